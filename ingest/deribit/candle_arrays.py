"""Parses the seven arrays of a candle reply from JSON to columns; pure.

A full page is some 300 kB. Polars parses it without the interpreter's lock and creates no object
for a cell, so threads parse in parallel; but it accepts more than we do. So `at_once` accepts only
plain pages, and leaves everything else to `one_by_one`, which refuses with a reason.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from lake.errors import TransientError

CELLS = ("open", "high", "low", "close", "volume", "cost")
_TICKS = "ticks"
_ARRAYS = (_TICKS, *CELLS)

_OK, _NO_DATA = "ok", "no_data"
_NUMBERS = frozenset({int, float, type(None)})

# For smaller replies both ways cost little.
_LEAST_BYTES = 16_384
_FLOATS = pl.List(pl.Float64)
_BESIDE = ("usOut", "testnet")
_REPLY = pl.Struct(
    {
        **dict(zip(_BESIDE, (pl.Float64, pl.Boolean), strict=True)),
        "result": pl.Struct({"status": pl.String, **dict.fromkeys(_ARRAYS, _FLOATS)}),
    }
)

# Polars would read these in its own way: a boolean as a number, a number as an array of one, the
# first of two values of one name, a name behind an escape. An error also comes before a result.
# A plain page has no backslash, and no other marks except each of its names once, two braces, seven
# brackets, and one boolean.
_NAMES = ("result", "status", *_ARRAYS)
_MARKS = "|".join([r"[\[{]", "true", "false", *(f'"{n}"' for n in (*_NAMES, *_BESIDE, "error"))])
_LEAST_MARKS = len(_NAMES) + 2 + len(_ARRAYS)
_MOST_MARKS = _LEAST_MARKS + 3

# `ticks` and the cells, all float64 and of one length; ticks are milliseconds since 1970.
Columns: TypeAlias = Mapping[str, pl.Series]


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain page.

    Attributes:
        columns: at least two rows, all finite or null.
        us_out: the exchange's clock, microseconds since 1970, None if the reply has none.
    """

    columns: Columns
    us_out: float | None


def at_once(body: bytes) -> Plain | None:
    """Return the columns of a reply if it is a plain page, else None.

    Args:
        body: of a reply with HTTP status 200.
    """
    if len(body) < _LEAST_BYTES or b"\\" in body:
        return None
    try:
        text = pl.Series([body.decode()])
        marks = text.str.count_matches(_MARKS)[0]
        if marks > _MOST_MARKS:
            return None
        reply = text.str.json_decode(_REPLY).struct.unnest()
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    optional = reply["usOut"].count() + 2 * reply["testnet"].count()
    result = reply["result"].struct.unnest()
    # Polars would repeat a column of one row next to longer ones.
    lengths = set(result.select(pl.col(_ARRAYS).list.len()).row(0))
    is_whole = len(lengths) == 1 and lengths.isdisjoint({None, 0, 1})
    if marks != _LEAST_MARKS + optional or not is_whole or result["status"][0] != _OK:
        return None
    columns = result.select(pl.col(_ARRAYS).explode()).to_dict()
    return Plain(columns, reply["usOut"][0])


def one_by_one(result: object) -> Columns:
    """Return the columns of a result of `get_tradingview_chart_data` after checking each cell.

    Raises:
        TransientError: the result is not a status and seven arrays of one length, of finite
            numbers or nulls.
    """
    if not isinstance(result, dict):
        raise TransientError("The exchange's reply holds no candle arrays.")
    arrays = {name: _array(name, result.get(name)) for name in _ARRAYS}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) != 1:
        raise TransientError("The exchange's seven candle arrays are not of one length.")
    status = result.get("status")
    if status not in (_OK, _NO_DATA) or (status == _NO_DATA and lengths != {0}):
        raise TransientError(f"The exchange's reply has the status {str(status)[:20]!r}.")
    return {name: _column(name, array) for name, array in arrays.items()}


def _array(name: str, array: object) -> list[Any]:
    if not isinstance(array, list):
        raise TransientError(f"The exchange's reply holds no array {name!r}.")
    if not set(map(type, array)) <= _NUMBERS:
        raise TransientError(f"The exchange's array {name!r} holds a cell that is not a number.")
    return array


def _column(name: str, array: list[Any]) -> pl.Series:
    column = pl.Series(name, array, dtype=pl.Float64)
    # A sum is finite only if all cells are, and quicker to check.
    if not (math.isfinite(column.sum()) or column.is_finite().all()):
        raise TransientError(f"The exchange's array {name!r} holds a number too large to store.")
    return column
