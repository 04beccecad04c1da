"""What the reader should know before looking at any figure; pure."""

from collections import Counter
from dataclasses import dataclass

from basislake.output import counted
from basislake.report.facts import Facts

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence.

    Attributes:
        level: `good`, `warn` or `bad`.
        text: for people; code stands between backticks.
    """

    level: str
    text: str


def notices(facts: Facts) -> list[Notice]:
    """Return what is wrong, the worst first; that all is well, where it is."""
    found = [*_bad(facts), *_incomplete(facts)]
    return found or [
        Notice(
            "good", "All is there: every minute that was asked for is answered, none is missing."
        )
    ]


def _bad(facts: Facts) -> list[Notice]:
    found = []
    unanswered = facts.rows["unanswered"]
    failed = [
        name
        for name, state in zip(unanswered["instrument"], unanswered["state"], strict=True)
        if state == "failed"
    ]
    if failed:
        named = ", ".join(failed[:_NAMED]) + (", ..." if len(failed) > _NAMED else "")
        text = f"{counted(len(failed), 'instrument')} with minutes that got no answer: {named}."
        found.append(Notice("bad", f"{text} `basislake backfill` asks again."))
    parity = facts.rows["parity"]
    unequal = [
        name
        for name, equal in zip(parity["table_name"], parity["is_equal"], strict=True)
        if not equal
    ]
    if unequal:
        text = f"PostgreSQL does not hold what the lake holds, in {', '.join(unequal)}."
        found.append(Notice("bad", f"{text} `basislake load` brings it up to date."))
    return found


def _incomplete(facts: Facts) -> list[Notice]:
    summary = facts.first("summary")
    if not summary["instruments"]:
        return [Notice("warn", "The lake is empty: `basislake run` fills it.")]
    if not summary["raw_candles"]:
        return [Notice("warn", "No candle has been fetched yet: `basislake backfill` does it.")]
    found = []
    if facts.built < facts.as_of:
        text = "The curated tables are not made from the newest raw candles."
        found.append(Notice("warn", f"{text} `basislake build` brings them up to date."))
    verdicts = facts.rows["verdicts"]
    counts = Counter[str]()
    for verdict, count in zip(verdicts["verdict"], verdicts["instruments"], strict=True):
        counts[verdict] += count
    for verdict, text in _TOLD.items():
        if counts[verdict]:
            found.append(Notice("warn", f"{counted(counts[verdict], 'instrument')} {text}"))
    return found


_TOLD = {
    "not asked": "never asked for; `basislake backfill` asks.",
    "partly asked": "asked for in part only; `basislake backfill` asks for the rest.",
    "gaps": "with minutes that the exchange was asked for twice and lacks; see Gaps.",
    "refused candles": "with candles that broke a rule; they are in `quarantine`.",
    "suspect candles": "with candles that a warning flags; they are kept.",
}
