"""Parses and checks results that are lists of objects; pure."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from lake.errors import TransientError
from lake.table import BATCH, Table

_SHOWN_CHARACTERS = 40
_YEARS = range(2010, 2100)


def malformed(what: str) -> TransientError:
    """Return the error of a refused reply; the call is retried."""
    return TransientError(f"basislake refuses the exchange's reply: {what}.")


def objects(result: object, of: str) -> list[Mapping[str, Any]]:
    """Return a result that is a list of objects.

    Raises:
        TransientError: it is not.
    """
    if not isinstance(result, list) or not all(isinstance(row, dict) for row in result):
        raise malformed(f"{of} are not a list of objects")
    return result


def time_of(row: Mapping[str, Any]) -> datetime:
    """Return the field `timestamp`, a time in milliseconds.

    Raises:
        TransientError: it is not.
    """
    value = row.get("timestamp")
    if isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0:
        with suppress(OverflowError, ValueError, OSError):
            time = datetime.fromtimestamp(value / 1000, UTC)
            if time.year in _YEARS:
                return time
    raise malformed(f"'timestamp' is {_shown(value)}, not a time")


def date_of(row: Mapping[str, Any]) -> date:
    """Return the field `date`, such as 2026-09-20.

    Raises:
        TransientError: it is not a date.
    """
    value = row.get("date")
    if isinstance(value, str):
        with suppress(ValueError):
            found = date.fromisoformat(value)
            if found.year in _YEARS:
                return found
    raise malformed(f"'date' is {_shown(value)}, not a date")


def text_of(row: Mapping[str, Any], name: str) -> str:
    """Return a field that is a text.

    Raises:
        TransientError: it is not.
    """
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise malformed(f"{name!r} is {_shown(value)}, not a text")
    return value


def number_of(row: Mapping[str, Any], name: str) -> float | None:
    """Return a field that is a finite number, None if it is null or absent.

    Raises:
        TransientError: it is something else.
    """
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(f"{name!r} is {_shown(value)}, not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise malformed(f"{name!r} is too large a number")
    return found


def frame_of(table: Table, rows: Sequence[Mapping[str, Any]], subject: str) -> pl.DataFrame:
    """Return rows as a frame with the columns of a raw table except the subject and the batch."""
    names = [name for name in table.stored.names if name not in (subject, BATCH)]
    schema = {name: table.polars_schema[name] for name in names}
    return pl.DataFrame([{n: row.get(n) for n in names} for row in rows], schema, orient="row")


def once(frame: pl.DataFrame, key: Sequence[str], describe: str) -> tuple[pl.DataFrame, int]:
    """Return the rows in order, each once, and how many were repeats.

    Raises:
        TransientError: one key has different values.
    """
    distinct = frame.unique(maintain_order=True).sort(key)
    if distinct.select(key).n_unique() < distinct.height:
        raise malformed(f"one {describe} appears twice with different values")
    return distinct, frame.height - distinct.height


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARACTERS]
