"""JSON on stdout, and in cells and files."""

from dataclasses import asdict, is_dataclass
from datetime import date, datetime, timedelta
from typing import Any

import click
import orjson


def print_json(value: Any) -> None:
    """Print one JSON value on stdout; times as RFC 3339 in UTC."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    click.echo(orjson.dumps(value, default=_plain, option=options).decode())


def json_text(value: Any) -> str:
    """Return a value as JSON on one line."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z).decode()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    return str(value)
