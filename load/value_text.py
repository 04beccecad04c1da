"""Formats values of a database, including those that Python or JSON cannot represent."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from lake.table import Column, Type

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_PG_EPOCH_US = 946_684_800_000_000
_PG_EPOCH_DAYS = 10_957
# PostgreSQL's infinite times are its largest and smallest numbers; Arrow counts from another day,
# so they overflow and wrap around.
_INFINITE = {
    -(2**63) + _PG_EPOCH_US - 1: "infinity",
    -(2**63) + _PG_EPOCH_US: "-infinity",
    -(2**31) + _PG_EPOCH_DAYS - 1: "infinity",
    -(2**31) + _PG_EPOCH_DAYS: "-infinity",
}
# The calendar repeats after so many years.
_CYCLE = timedelta(days=146_097)
_CYCLE_YEARS = 400


def cell(column: Column, series: pl.Series) -> Any:  # noqa: ANN401  (whatever the column holds)
    """Return the only value of a series, as a JSON value.

    A float that is not a number, and a time that Python lacks, become PostgreSQL's text.
    """
    if series.is_null()[0]:
        return None
    if column.type in (Type.TIME, Type.DATE):
        return _time(series.to_physical()[0], is_date=column.type is Type.DATE)
    value = series[0]
    if column.type is Type.FLOAT and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def worded(value: object) -> str:
    """Return a value for the middle of a sentence."""
    if value is None:
        return "nothing"
    return f"{value:%Y-%m-%d %H:%M:%S.%f}Z" if isinstance(value, datetime) else str(value)


def _time(number: int, *, is_date: bool) -> Any:  # noqa: ANN401  (a time, a date, or a text)
    if number in _INFINITE:
        return _INFINITE[number]
    since = timedelta(days=number) if is_date else timedelta(microseconds=number)
    try:
        time = _UNIX + since
    except OverflowError:
        cycles, rest = divmod(since, _CYCLE)
        near = _UNIX + rest
        year = near.year + cycles * _CYCLE_YEARS
        era = " BC" if year < 1 else ""
        clock = "" if is_date else f" {near:%H:%M:%S}+00"
        return f"{year if year > 0 else 1 - year:04}-{near:%m-%d}{clock}{era}"
    return time.date() if is_date else time
