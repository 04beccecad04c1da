"""Checks of the exchange before the first window of a lake: those whose failure would lose data
without any sign.
"""

from datetime import UTC, datetime

from basislake.doctor.saved_replies import save
from basislake.output.pasting import called
from ingest.assumptions.asking import ask_first
from ingest.assumptions.catalogue import FIRST, judge
from ingest.assumptions.evidence import Candidate
from ingest.deribit.client import Exchange
from lake import Lake
from lake.errors import ChangedError, LakeError
from lake.tables import ASKS, INSTRUMENTS

# A difference is checked once more: the backfill itself handles transient faults.
_TRIES = 2


def check_first(lake: Lake, exchange: Exchange, now: datetime) -> None:
    """Refuse to fill an empty lake from an exchange that would not return all candles; do not check
    if the lake has asked for anything before.

    Args:
        lake: the lake, which has its list of instruments.
        exchange: gets two calls, or four if something differs.
        now: its clock.

    Raises:
        ChangedError: a difference that would lose data was seen twice in a row.
    """
    if lake.snapshot(ASKS).rows:
        return
    instruments = _subjects(lake)
    for _ in range(_TRIES):
        evidence = ask_first(exchange, instruments, _milliseconds(now))
        outcomes = judge(evidence, FIRST)
        differing = [each for each in outcomes if each.is_data_at_risk]
        if not differing:
            return
    try:
        saved = f"; the replies are in {save(lake, evidence, outcomes, datetime.now(UTC))}"
    except LakeError:
        saved = ""
    phrase = "; ".join(
        f"{each.name}: assumed: {each.relied_on}; seen: {each.seen}" for each in differing
    )
    raise ChangedError(
        "The exchange behaves differently from what basislake assumes, so data would be lost: "
        f"{phrase}. Nothing was fetched{saved}. Run `{called()} doctor` for all checks, or add "
        "--no-doctor to fetch anyway."
    )


def _subjects(lake: Lake) -> list[Candidate]:
    known = lake.snapshot(INSTRUMENTS).read()
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
