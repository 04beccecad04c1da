"""Periods: the few days in which the candles of a future are judged by themselves, and which a
build makes again where something in them may have changed; pure.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import polars as pl

from lake.slices import month_of, month_span
from lake.spans import Span, merge

# A period begins on the 1st, 5th, 9th, 13th, 17th, 21st and 25th of a month (UTC) and ends with the
# next one: long enough for the prints of a thin contract, short enough to be made each minute.
DAYS = 4
_IN_A_MONTH = 7


def period_of(time: datetime) -> datetime:
    """The first instant of the period that holds a time."""
    return month_of(time) + timedelta(days=DAYS * min((time.day - 1) // DAYS, _IN_A_MONTH - 1))


def period_span(start: datetime) -> Span:
    """A period, by its first instant."""
    end = start + timedelta(days=DAYS)
    return Span(start, end if end.day <= DAYS * _IN_A_MONTH - DAYS + 1 else month_span(start).end)


def periods_in(span: Span) -> Iterator[datetime]:
    """The periods that share an instant with a span."""
    start = period_of(span.start)
    while start < span.end:
        yield start
        start = period_span(start).end


def period_of_rows(ts: str = "ts") -> pl.Expr:
    """The first instant of the period of each row."""
    before = ((pl.col(ts).dt.day() - 1) // DAYS).clip(upper_bound=_IN_A_MONTH - 1) * DAYS
    return pl.col(ts).dt.truncate("1mo") + pl.duration(days=before)


def spans_of_periods(periods: Iterable[datetime]) -> list[Span]:
    """Return periods, by their first instants, as spans; neighbours as one."""
    return merge(map(period_span, periods))
