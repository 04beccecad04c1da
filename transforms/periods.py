"""Periods: the few days in which the spike rule judges a future's candles by themselves, and
which a build computes again if something in them may have changed; pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import polars as pl

from lake.files.slices import month_of, month_span, split
from lake.time.intervals import Span, merge

# First instants of periods to build again, by instrument.
Chosen: TypeAlias = Mapping[str, tuple[datetime, ...]]

# A period begins on the 1st, 5th, 9th, 13th, 17th, 21st and 25th of a month (UTC) and ends with the
# next one: long enough for the prints of a thin contract, short enough to be built each minute.
_DAYS = 4
_IN_A_MONTH = 7
_LAST_BEGINS_ON = 1 + _DAYS * (_IN_A_MONTH - 1)


def period_of(time: datetime) -> datetime:
    """The first instant of the period that contains a time."""
    return month_of(time) + timedelta(days=_DAYS * min((time.day - 1) // _DAYS, _IN_A_MONTH - 1))


def period_span(start: datetime) -> Span:
    """A period, by its first instant."""
    is_last = start.day == _LAST_BEGINS_ON
    return Span(start, month_span(start).end if is_last else start + timedelta(days=_DAYS))


def periods_in(span: Span) -> Iterator[datetime]:
    """The periods that share an instant with a span."""
    start = period_of(span.start)
    while start < span.end:
        yield start
        start = period_span(start).end


def period_of_rows(ts: str = "ts") -> pl.Expr:
    """The first instant of the period of each row."""
    before = ((pl.col(ts).dt.day() - 1) // _DAYS).clip(upper_bound=_IN_A_MONTH - 1) * _DAYS
    return pl.col(ts).dt.truncate("1mo") + pl.duration(days=before)


def spans_of_periods(periods: Iterable[datetime]) -> list[Span]:
    """Return periods, by their first instants, as spans; adjacent ones are merged."""
    return merge(map(period_span, periods))


def parts(
    rows: pl.DataFrame, firsts: Callable[[Span], Iterable[datetime]]
) -> Iterator[tuple[tuple[str, datetime], slice]]:
    """Yield the instrument and first instant of each part, and the positions of its rows.

    Args:
        rows: columns instrument and ts; one instrument after the other, each sorted by time.
        firsts: see `lake.files.slices.split`.
    """
    start = 0
    for length, name in rows["instrument"].rle().struct.unnest().iter_rows():
        for first, own in split(rows["ts"].slice(start, length), firsts):
            yield (name, first), slice(start + own.start, start + own.stop)
        start += length
