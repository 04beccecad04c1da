"""The types of values on the command line: numbers, rates, times and batches."""

import math
from datetime import UTC, datetime
from typing import Any

import click

from ingest.rate_limit.allowance import AUTO, Rate

_FIRST_YEAR, _END_YEAR = 2000, 2100
_MOST_CALLS_PER_SECOND = 1e6


class Whole(click.IntRange):
    """A whole number in a range."""

    name = "integer"


class Number(click.FloatRange):
    """A number in a range; NaN is in no range."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class CallsPerSecond(click.ParamType[Rate]):
    """Calls a second, 0 for no limit, or `auto`."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        """Parse."""
        if value == AUTO:
            return AUTO
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number <= _MOST_CALLS_PER_SECOND:
            self.fail(
                f"{value!r} is neither 'auto' nor a number from 0 to {_MOST_CALLS_PER_SECOND:,.0f}",
                param,
                ctx,
            )
        return number


class Time(click.ParamType[datetime]):
    """A UTC date or time: 2024-03-29, 2024-03-29T08:00 or 2024-03-29T08:00:00Z."""

    name = "time"
    wanted = "a UTC date or time"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Parse, taking a time without a zone as UTC."""
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is not {self.wanted} like 2024-03-29 or 2024-03-29T08:00Z", param, ctx
            )
        if not _FIRST_YEAR <= time.year < _END_YEAR:
            self.fail(f"{value!r} is not in the years {_FIRST_YEAR} to {_END_YEAR}", param, ctx)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class _TimeOfBatch(Time):
    wanted = "a batch number, or a UTC date or time"


class BatchOrTime(click.ParamType["int | datetime"]):
    """A batch number, or a UTC date or time at which a batch was the newest."""

    name = "batch or time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        """Parse: a number is a batch."""
        if isinstance(value, str) and value.isdecimal() and value.isascii():
            return int(value)
        return value if isinstance(value, int) else _TimeOfBatch().convert(value, param, ctx)
