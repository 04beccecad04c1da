"""What a run that follows the market says: on lines for people, and nothing twice."""

from collections.abc import Callable, Collection

from basislake.output import duration
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.discover import Discovery
from ingest.results import Finished, Result
from ingest.schedule import Lag
from ingest.summary import rows, selected
from lake.counts import counted

_MOST_NAMED = 5
_MOST_FAILURES = 3


class News:
    """Says what is new; what has been said of a topic is not said again until it changes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin with nothing said; `say` is told each line."""
        self.say = say
        self._told: dict[str, str] = {}

    def say_once(self, topic: str, message: str) -> None:
        """Say something of a topic where it is not what was said of it last; "" is silence."""
        if message and self._told.get(topic) != message:
            self.say(message)
        self._told[topic] = message

    def discovered(self, found: Discovery) -> None:
        """Say what a discovery brought."""
        if found.new:
            self.say(f"New: {counted(len(found.new), 'instrument')}, {some(found.new)}.")
        if found.changed:
            self.say(f"Changed: the exchange now gives another life for {some(found.changed)}.")
        refused = [f"{each.name}: {each.reason}" for each in found.refused if each.could_be_dated]
        self.say_once("refused", f"Refused records: {some(refused)}." if refused else "")
        failed = f"Failed: {' '.join(found.failed)} Asking again." if found.failed else ""
        self.say_once("lists", failed)

    def fetched(self, result: Result, lag: Lag | None) -> None:
        """Say what a round came to."""
        self.say(round_line(result, lag))
        failed = list(result.all_failed.items())[:_MOST_FAILURES]
        reasons = [f"{subject}: {reason}" for subject, reason in failed]
        told = f"Failed: {'; '.join(reasons)}. They are asked for again." if reasons else ""
        self.say_once("failed", told)


def round_line(result: Result, lag: Lag | None) -> str:
    """Say on one line what a round did; pure."""
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
    """Say on one line how an instrument ended, and how many of the run's are finished; pure."""
    figures = finished.figures
    dataset = DATASETS[finished.subject.dataset]
    came = (
        counted(figures["candles"], "candle")
        if "candles" in figures
        else counted(figures["rows"], "row")
    )
    parts = [came, counted(figures["calls"], "call")]
    if retries := figures["retries"]:
        parts.append(counted(retries, "retry", "retries"))
    if missing := figures["missing"]:
        parts.append(f"{counted(missing, dataset.noun)} missing")
    reason = f": {figures['reason']}" if "reason" in figures else ""
    return (
        f"[{finished.done}/{finished.total}] {finished.subject} {finished.status}{reason}, "
        f"{', '.join(parts)}"
    )


def some(names: Collection[str]) -> str:
    """Name the first few, and say how many more there are; pure."""
    more = len(names) - _MOST_NAMED
    return ", ".join(list(names)[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
