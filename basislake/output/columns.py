"""Columns of a printed table: the kind of their values, and each value as text; pure.

Only counts have commas between thousands. A year, an id, a price and any result of a query have
none, so that they can be copied.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import Enum, auto

from basislake.output.json_output import json_text
from basislake.output.units import size

# Significant digits of a column's largest number, and of its smallest.
_DIGITS, _PERCENT_DIGITS, _SMALLEST_DIGITS = 5, 4, 2
_LEAST_DECIMALS, _MOST_DECIMALS = 2, 8
_CERTAIN_DIGITS = 12
# Beyond these, a float is written with an exponent.
_SMALLEST, _LARGEST = 10**-_MOST_DECIMALS, 1e15
_PERCENT_ENDINGS = ("_pct", " %")


class Kind(Enum):
    """How the values of a column are written."""

    COUNT = auto()
    """A count: 1,234,567. The kind of a column that is given by its title alone."""
    PLAIN = auto()
    """A year, an id, or any result of a query; midnights are dates."""
    EXACT = auto()
    """A number with all its digits."""
    SIZE = auto()
    """Bytes: 2.1 MB."""
    TIME = auto()
    """A time in the result of a query; midnights are not shortened to dates."""
    VERBATIM = auto()
    """A command, never wrapped, so that it can be copied."""
    MEASURE = auto()
    """Text that begins with a number, such as `99.5 %`; aligned to the right."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A column of a printed table.

    Attributes:
        title: its heading, which may wrap at spaces.
        kind: of its values.
        rank: if the columns do not fit, the highest rank is hidden first, and among equals the one
            on the right.
        decimals: of its floats, by default as many as its values need; a column that declares them
            is a column of numbers.
    """

    title: str
    kind: Kind = Kind.COUNT
    rank: int = 0
    decimals: int | None = None


def is_numeric(column: Heading, values: Sequence[object]) -> bool:
    """Return whether the column is aligned to the right: by its declaration, which also holds for
    a column without values, or by its values.
    """
    is_declared = column.kind in (Kind.SIZE, Kind.MEASURE, Kind.EXACT)
    return is_declared or column.decimals is not None or any(map(_is_number, values))


def texts(column: Heading, values: Sequence[object]) -> list[str]:
    """Return the values of a column as text: floats with one number of decimals, times to one
    precision.
    """
    floats = [value for value in values if isinstance(value, float)]
    decimals = column.decimals if column.decimals is not None else _decimals(column, floats)
    form = _time_form(column, [value for value in values if isinstance(value, datetime)])
    return [_text(column, value, decimals, form) for value in values]


def _text(column: Heading, value: object, decimals: int, form: str) -> str:  # noqa: PLR0911
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and column.kind is Kind.SIZE:
        return size(value)
    if isinstance(value, int):
        return f"{value:,}" if column.kind is Kind.COUNT else str(value)
    if isinstance(value, float):
        return _float_text(value, decimals)
    if isinstance(value, datetime):
        return _time_text(value, form)
    return json_text(value) if isinstance(value, list | dict) else str(value)


def _float_text(value: float, decimals: int) -> str:
    if abs(value) >= _LARGEST or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.1e}" if 0 < abs(value) < _SMALLEST else f"{value + 0.0:.{decimals}f}"


def _decimals(column: Heading, values: Sequence[float]) -> int:
    """The number of decimals for all numbers of a column: as many as they need and matter."""
    sizes = [each for value in values if _SMALLEST <= (each := abs(value)) < _LARGEST]
    if not sizes:
        return 0
    if column.kind is Kind.EXACT:
        return max(_needed(repr(each)) for each in sizes)
    # 75300.0 - 75274.45 is 25.550000000003: the last digits are rounding errors.
    needed = max(_needed(f"{each:.{_CERTAIN_DIGITS}g}") for each in sizes)
    if column.title.endswith(_PERCENT_ENDINGS):
        enough = max(_LEAST_DECIMALS, _places(max(sizes), _PERCENT_DIGITS))
        while enough < needed and any(_looks_round(each, enough) for each in sizes):
            enough += 1
    else:
        enough = max(_places(max(sizes), _DIGITS), _places(min(sizes), _SMALLEST_DIGITS))
    return min(needed, max(_LEAST_DECIMALS, enough), _MOST_DECIMALS)


def _looks_round(percent: float, decimals: int) -> bool:
    """Whether a percentage near 0 or 100 would be shown as 0 or 100."""
    return percent not in (0, 100) and round(percent, decimals) in (0, 100)


def _needed(text: str) -> int:
    """The number of decimals in the text of a number."""
    exponent = Decimal(text).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _places(value: float, digits: int) -> int:
    """The decimals that show so many significant digits of a number."""
    return digits - 1 - math.floor(math.log10(value))


def _time_form(column: Heading, values: Sequence[datetime]) -> str:
    if column.kind not in (Kind.PLAIN, Kind.TIME):
        return "%Y-%m-%d %H:%M"
    if any(value.microsecond for value in values):
        return "%Y-%m-%d %H:%M:%S.%f"
    if any(value.second for value in values):
        return "%Y-%m-%d %H:%M:%S"
    is_date = column.kind is Kind.PLAIN and all(value.time() == time() for value in values)
    return "%Y-%m-%d" if is_date else "%Y-%m-%d %H:%M"


def _time_text(value: datetime, form: str) -> str:
    in_utc = value if value.tzinfo is None else value.astimezone(UTC)
    zone = "" if value.tzinfo is None or "%H" not in form else "Z"
    return f"{in_utc:{form}}{zone}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
