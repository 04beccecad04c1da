"""The few checks of the exchange before the first window of a lake: those whose failure would cost
data without anybody noticing.
"""

from datetime import UTC, datetime

from basislake.doctor.saved import save
from basislake.output import called
from ingest.assumptions.asking import ask_first
from ingest.assumptions.catalogue import FIRST, judge
from ingest.assumptions.evidence import Candidate
from ingest.exchange import Exchange
from lake import Lake
from lake.errors import ChangedError, LakeError
from lake.tables import ASKS, INSTRUMENTS

# What differs is looked at once more: a fault that passes is for the backfill to handle.
_TRIES = 2


def check_first(where: Lake, exchange: Exchange, now: datetime) -> None:
    """Refuse to fill an empty lake from an exchange that would not give all candles; a lake of
    which something was asked before is not checked.

    Args:
        where: the lake, which knows its instruments.
        exchange: to ask, two calls, or four where something differs.
        now: its clock.

    Raises:
        ChangedError: twice in a row something differs so that data would be lost.
    """
    if where.snapshot(ASKS).rows:
        return
    instruments = _subjects(where)
    for _ in range(_TRIES):
        evidence = ask_first(exchange, instruments, _milliseconds(now))
        outcomes = judge(evidence, FIRST)
        differing = [each for each in outcomes if each.is_data_at_risk]
        if not differing:
            return
    try:
        saved = f"; the replies are in {save(where, evidence, outcomes, datetime.now(UTC))}"
    except LakeError:
        saved = ""
    phrase = "; ".join(
        f"{each.name}: relied on: {each.relied_on}; seen: {each.seen}" for each in differing
    )
    raise ChangedError(
        f"The exchange is not as basislake relies on, so data would be lost: {phrase}. Nothing was "
        f"fetched{saved}. Run `{called()} doctor` for all checks, or add --no-doctor to fetch all "
        "the same."
    )


def _subjects(where: Lake) -> list[Candidate]:
    known = where.snapshot(INSTRUMENTS).read()
    return [
        Candidate(
            name, _milliseconds(listed_at), None if ends is None else _milliseconds(ends), index
        )
        for name, listed_at, ends, index in known.select(
            "instrument", "listed_at", "expires_at", "price_index"
        ).iter_rows()
    ]


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
