"""Time steps, one for each row of a dataset: minutes, hours, days and months; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import polars as pl

from lake.files.slices import month_of, month_span, months_in
from lake.time.intervals import MINUTE, Span, merge

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EqualSteps:
    """Steps of one length, each of which one row may cover.

    Attributes:
        length: of a step.
        longest: maximal number of steps in a window.
        offset: of a step's start after midnight UTC.
        by_end: whether a row is labelled by the end of its step, not by the start.
    """

    length: timedelta
    longest: int
    offset: timedelta = timedelta(0)
    by_end: bool = False

    def floor(self, time: datetime) -> datetime:
        """Return the start of the step that contains a time."""
        origin = _EPOCH + self.offset
        return origin + (time - origin) // self.length * self.length

    def ceil(self, time: datetime) -> datetime:
        """Return the first start of a step that is not before a time."""
        floored = self.floor(time)
        return floored if floored == time else floored + self.length

    def spans(self, starts: pl.Series) -> list[Span]:
        """Return steps as maximal spans, given their sorted and distinct starts."""
        if starts.is_empty():
            return []
        whole = Span(starts[0], starts[-1] + self.length)
        if (whole.end - whole.start) // self.length == len(starts):
            return [whole]
        is_start = starts.diff().ne_missing(self.length).fill_null(value=True)
        is_end = is_start.shift(-1, fill_value=True)
        pairs = zip(starts.filter(is_start), starts.filter(is_end), strict=True)
        return [Span(start, end + self.length) for start, end in pairs]

    def windows(self, needed: Iterable[Span]) -> list[Span]:
        """Cover spans of whole steps with the fewest windows, each fetched by one call.

        Windows are sorted and disjoint, contain every needed step, and start and end with one.
        Short holes between needed steps are covered too if that saves a call, so the windows tile
        needed steps without holes exactly.
        """
        longest = self.longest * self.length
        result: list[Span] = []
        for span in merge(needed):
            start = span.start
            if result and start < result[-1].start + longest:
                end = min(span.end, result[-1].start + longest)
                result[-1] = Span(result[-1].start, end)
                start = end
            while start < span.end:
                end = min(span.end, start + longest)
                result.append(Span(start, end))
                start = end
        return result

    def count(self, spans: Iterable[Span]) -> int:
        """Return the number of steps in disjoint spans of whole steps."""
        return sum(max(0, (span.end - span.start) // self.length) for span in spans)

    def selected(self, span: Span) -> Span:
        """Return the steps whose label is in a span; a label by the end in `(start, end]`."""
        edge = self.floor if self.by_end else self.ceil
        return Span(edge(span.start), edge(span.end))


class Months:
    """Calendar months, each of which is a window."""

    def floor(self, time: datetime) -> datetime:
        """See `EqualSteps`."""
        return month_of(time)

    def ceil(self, time: datetime) -> datetime:
        """See `EqualSteps`."""
        floored = month_of(time)
        return floored if floored == time else month_span(floored).end

    def spans(self, starts: pl.Series) -> list[Span]:
        """See `EqualSteps`."""
        return merge(month_span(start) for start in starts)

    def windows(self, needed: Iterable[Span]) -> list[Span]:
        """See `EqualSteps`."""
        return [month_span(month) for span in merge(needed) for month in months_in(span)]

    def count(self, spans: Iterable[Span]) -> int:
        """See `EqualSteps`."""
        return len(self.windows(spans))

    def selected(self, span: Span) -> Span:
        """See `EqualSteps`: the whole months in the span."""
        return Span(self.ceil(span.start), self.floor(span.end))


Steps: TypeAlias = EqualSteps | Months

# A call returns at most 5,001 candles; of more it silently returns the newest. Deribit documents
# no limit: a call for 10,400 minutes returned the newest 5,001.
MINUTES = EqualSteps(MINUTE, 5_000)
# A call returns at most 744 hours of funding, silently the newest.
HOURS = EqualSteps(HOUR, 720, by_end=True)
MONTHS = Months()
# A settlement or delivery at 08:00 covers the day before it.
DAYS = EqualSteps(DAY, 900, timedelta(hours=8), by_end=True)
ALL_DAYS = EqualSteps(DAY, 100_000, timedelta(hours=8), by_end=True)

# Steps by dataset.
STEPS: Mapping[str, Steps] = {
    "candles": MINUTES,
    "funding": HOURS,
    "funding_totals": MONTHS,
    "deliveries": ALL_DAYS,
    "settlements": DAYS,
}
