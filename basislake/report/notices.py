"""Notices at the top of the report: what is wrong, and what to do about it; pure."""

from collections import Counter
from dataclasses import dataclass

from basislake.report.facts import Facts
from basislake.report.listing import share
from basislake.report.quality import SLIGHT_PCT
from lake.counted_words import counted
from lake.query.views.proofs import PRICES_DIFFER, TOTALS_DIFFER

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence.

    Attributes:
        level: `good`, `warn` or `bad`.
        text: for people, with code in backticks.
    """

    level: str
    text: str


def notices(facts: Facts) -> list[Notice]:
    """Return how sound the lake is, by minutes, then each problem with what to do about it."""
    summary = facts.first("summary")
    if not summary["instruments"]:
        found = [Notice("warn", "The lake is empty: `basislake run` fills it.")]
    elif not summary["raw_candles"]:
        found = [Notice("warn", "No candle is stored yet: `basislake backfill` fetches them.")]
    else:
        found = [_soundness(facts), *_unbuilt(facts), *_verdicts(facts)]
    return [*found, *_unanswered(facts), *_disproved(facts), *_database(facts)]


def _soundness(facts: Facts) -> Notice:
    minutes = _minutes(facts)
    due, sound = sum(minutes.values()), minutes["sound"]
    if sound == due:
        return Notice(
            "good", "Complete: the exchange answered for every minute, and no minute is missing."
        )
    rest = ", ".join(f"{n:,} {state}" for state, n in minutes.items() if state != "sound" and n)
    pct = 100 * sound / due
    level = "good" if pct >= _WHOLE_PERCENT - SLIGHT_PCT else "warn"
    return Notice(level, f"{share(pct)} % of the {due:,} expected minutes are sound; {rest}.")


def _minutes(facts: Facts) -> Counter[str]:
    return _summed(facts, "soundness", "state", "minutes")


def _summed(facts: Facts, figure: str, by: str, of: str) -> Counter[str]:
    found = Counter[str]()
    for name, count in zip(facts.rows[figure][by], facts.rows[figure][of], strict=True):
        found[name] += count
    return found


def _unbuilt(facts: Facts) -> list[Notice]:
    if facts.built >= facts.as_of:
        return []
    text = "The curated tables are not built from the newest raw candles."
    return [Notice("warn", f"{text} `basislake build` brings them up to date.")]


def _verdicts(facts: Facts) -> list[Notice]:
    counts = _summed(facts, "verdicts", "verdict", "instruments")
    return [
        Notice("warn", f"{counted(counts[verdict], 'instrument')} {text}")
        for verdict, text in _BY_VERDICT.items()
        if counts[verdict]
    ]


def _unanswered(facts: Facts) -> list[Notice]:
    rows = facts.rows["unanswered"]
    failed = [
        (name, minutes)
        for name, state, minutes in zip(
            rows["instrument"], rows["state"], rows["failed_minutes"], strict=True
        )
        if state == "failed"
    ]
    if not failed:
        return []
    named = ", ".join(name for name, _ in failed[:_NAMED])
    more = " and others" if len(failed) > _NAMED else ""
    minutes = sum(minutes for _, minutes in failed)
    due = sum(_minutes(facts).values())
    level = "bad" if 100 * minutes > SLIGHT_PCT * due else "warn"
    return [
        Notice(
            level,
            f"{counted(minutes, 'minute')} of {counted(len(failed), 'instrument')} got no answer "
            f"({named}{more}). `basislake backfill` asks again.",
        )
    ]


def _disproved(facts: Facts) -> list[Notice]:
    """Contradictions between two answers of the exchange."""
    found = []
    for name, count, one, state, text in _BY_PROOF:
        if differing := _summed(facts, name, "state", count)[state]:
            found.append(Notice("bad", f"{counted(differing, one)} {text}; see Carry."))
    return found


def _database(facts: Facts) -> list[Notice]:
    parity = facts.rows["parity"]
    unequal = [
        name
        for name, equal in zip(parity["table_name"], parity["is_equal"], strict=True)
        if not equal
    ]
    if not unequal:
        return []
    text = f"PostgreSQL differs from the lake, in {', '.join(unequal)}."
    return [Notice("bad", f"{text} `basislake load` brings it up to date.")]


_WHOLE_PERCENT = 100
_MORE = f"more than {SLIGHT_PCT} % of the minutes"
_BY_VERDICT = {
    "not asked": "not asked for yet. `basislake backfill` asks.",
    "partly asked": "asked for only in part. `basislake backfill` asks for the rest.",
    "gaps": f"with gaps in {_MORE}: two answers of the exchange lack them; see Gaps.",
    "refused candles": f"with a refused candle in {_MORE}; see Instruments.",
    "suspect candles": f"with a suspect candle in {_MORE}; see Instruments.",
}
_BY_PROOF = (
    (
        "funding-proof", "months", "month", TOTALS_DIFFER,
        "of funding with another sum than the exchange's own total",
    ),
    (
        "delivery-proof", "futures", "expired future", PRICES_DIFFER,
        "with another delivery price than that of the index",
    ),
)  # fmt: skip
