"""Shortens long replies: enough to judge them, and little enough to send to somebody; pure."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ingest.assumptions.evidence import BARS, HOUR_MS, MINUTE_MS, UNREADABLE, Bar
from ingest.deribit.instrument_records import read_records

_SHOWN_CHARACTERS = 200
_MOST_BARS, _FIRST_BARS, _LAST_BARS = 150, 10, 60
_MOST_HOURS, _END_HOURS = 30, 3
_MOST_REFUSED = 20


def whole(result: object) -> object:
    """Keep the whole result."""
    return result


def listed(result: object) -> dict[str, Any]:
    """Keep of a list of instruments: ours, and the fields of their records."""
    if not isinstance(result, list):
        return {UNREADABLE: repr(result)[:_SHOWN_CHARACTERS]}
    listing = read_records(result)
    own = [
        record
        for record in result
        if isinstance(record, dict) and record.get("instrument_name") in listing.instruments
    ]
    return {
        "records": len(result),
        "instruments": {
            name: {
                "listed_ms": round(one.listed_at.timestamp() * 1000),
                "expires_ms": round(one.expires_at.timestamp() * 1000) if one.expires_at else None,
                "price_index": one.price_index,
            }
            for name, one in listing.instruments.items()
        },
        "left_out": len(listing.left_out),
        "refused": [
            [each.name, each.reason]
            for each in sorted(listing.refused, key=lambda each: not each.could_be_dated)
        ][:_MOST_REFUSED],
        "refused_futures": sum(each.could_be_dated for each in listing.refused),
        "fields": dict(Counter(str(field) for record in own for field in record)),
        "example": own[:1],
    }


def candles(result: object) -> dict[str, Any]:
    """Keep of a page of candles: its ends, their number, and the gaps among them."""
    columns: list[Any] = [result.get(name) for name in _COLUMNS] if isinstance(result, dict) else []
    lengths = {len(column) if isinstance(column, list) else None for column in columns}
    if len(lengths) != 1 or None in lengths:
        return {UNREADABLE: repr(result)[:_SHOWN_CHARACTERS]}
    bars = list(zip(*columns, strict=True))
    if not all(isinstance(value, int | float) for bar in bars for value in bar):
        return {UNREADABLE: "a cell is not a number"}
    kept = bars if len(bars) <= _MOST_BARS else [*bars[:_FIRST_BARS], *bars[-_LAST_BARS:]]
    ticks = [bar[0] for bar in bars]
    return {
        "status": result.get("status") if isinstance(result, dict) else None,
        "count": len(bars),
        "gaps": _gaps(ticks, MINUTE_MS),
        BARS: [list(bar) for bar in kept],
    }


def hours(result: object) -> dict[str, Any]:
    """Keep of hours of funding: the ends, their number, and their sum."""
    rows: list[Any] = result if isinstance(result, list) else [None]
    is_sound = all(
        isinstance(row, dict)
        and isinstance(row.get("timestamp"), int | float)
        and isinstance(row.get("interest_1h"), int | float)
        for row in rows
    )
    if not is_sound:
        return {UNREADABLE: repr(result)[:_SHOWN_CHARACTERS]}
    times = [row["timestamp"] for row in rows]
    return {
        "count": len(rows),
        "first": times[0] if times else None,
        "last": times[-1] if times else None,
        "gaps": _gaps(times, HOUR_MS),
        "off_hour": sum(time % HOUR_MS != 0 for time in times),
        "sum_interest_1h": math.fsum(row["interest_1h"] for row in rows),
        "rows": rows if len(rows) <= _MOST_HOURS else [*rows[:_END_HOURS], *rows[-_END_HOURS:]],
    }


_COLUMNS = tuple({"tick": "ticks"}.get(name, name) for name in Bar._fields)


def _gaps(times: Sequence[float], step: int) -> int:
    return sum(after - before != step for before, after in pairwise(times))
