"""Messages of a run that follows the market, for people; none is repeated without a change."""

from collections.abc import Callable, Collection

from basislake.output.units import duration
from ingest.backfill.results import Finished, Result
from ingest.backfill.summary import rows, selected
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.discover import Discovery
from ingest.follow_schedule import Lag
from lake.counted_words import counted

_MOST_NAMED = 5
_MOST_FAILURES = 3


class Messages:
    """Logs messages; a message about a topic is logged again only after it has changed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin without messages; `say` is called with each line."""
        self.say = say
        self._last: dict[str, str] = {}

    def say_once(self, topic: str, message: str) -> None:
        """Log a message about a topic unless it was the last one about it; "" logs nothing."""
        if message and self._last.get(topic) != message:
            self.say(message)
        self._last[topic] = message

    def discovered(self, found: Discovery) -> None:
        """Log what a discovery found."""
        if found.new:
            self.say(f"New: {counted(len(found.new), 'instrument')}, {some(found.new)}.")
        if found.changed:
            self.say(f"Changed: the exchange now lists other dates for {some(found.changed)}.")
        refused = [f"{each.name}: {each.reason}" for each in found.refused if each.could_be_dated]
        self.say_once("refused", f"Refused records: {some(refused)}." if refused else "")
        failed = f"Failed: {' '.join(found.failed)} Asking again." if found.failed else ""
        self.say_once("lists", failed)

    def fetched(self, result: Result, lag: Lag | None) -> None:
        """Log the result of a round."""
        self.say(round_line(result, lag))
        failed = list(result.all_failed.items())[:_MOST_FAILURES]
        reasons = [f"{subject}: {reason}" for subject, reason in failed]
        message = f"Failed: {'; '.join(reasons)}. The next rounds retry." if reasons else ""
        self.say_once("failed", message)


def round_line(result: Result, lag: Lag | None) -> str:
    """Return a line about what a round did; pure."""
    at = f"{lag.at:%Y-%m-%d %H:%M:%S}Z: " if lag else ""
    behind = f"; lag {duration(lag.seconds)}" if lag and lag.seconds is not None else ""
    elsewhere = f", {len(result.all_left)} left to another run" if result.all_left else ""
    failed = f", {len(result.all_failed)} failed" if result.all_failed else ""
    written = []
    for dataset, counts in selected(result):
        if dataset.name == CANDLES.name:
            instruments = counted(counts.instruments, "instrument")
            written.append(f"{rows(dataset, result.candles_written)} of {instruments}")
        elif count := result.written(dataset.name):
            written.append(rows(dataset, count))
    calls = counted(result.all_calls, "call")
    came = ", ".join(written) or "nothing new"
    return f"{at}{came} by {calls}{elsewhere}{failed}{behind}"


def finished_line(finished: Finished) -> str:
    """Return a line about how an instrument ended, and how many of the run are done; pure."""
    status, figures = finished.conclusion.status, finished.conclusion.figures
    dataset = DATASETS[finished.subject.dataset]
    row = "candle" if "candles" in figures else "row"
    parts = [counted(figures[f"{row}s"], row), counted(figures["calls"], "call")]
    if retries := figures["retries"]:
        parts.append(counted(retries, "retry", "retries"))
    if missing := figures["missing"]:
        parts.append(f"{counted(missing, dataset.noun)} missing")
    reason = f": {figures['reason'].rstrip('.')}" if "reason" in figures else ""
    return (
        f"[{finished.done}/{finished.total}] {finished.subject} {status}{reason}, "
        f"{', '.join(parts)}"
    )


def some(names: Collection[str]) -> str:
    """Return the first few names, and the number of further ones; pure."""
    more = len(names) - _MOST_NAMED
    return ", ".join(list(names)[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
