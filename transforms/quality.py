"""The figures of raw candles: of one instrument and month, and of all its months together; pure."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from lake.spans import MINUTE
from lake.tables import QUALITY, WARNINGS
from transforms.rules import WARNING_RULES

_LONG_GAP_MINUTES = 10
_ADDED = ("rows", "missing_minutes", "gaps", "gaps_over_10m", "quarantined", "untraded_minutes")


def month_figures(
    instrument: str, month: datetime, raw: pl.DataFrame, candles: pl.DataFrame, before: pl.DataFrame
) -> dict[str, Any]:
    """Return a row of `months`.

    Args:
        instrument: whose.
        month: its first instant.
        raw: column ts of its raw candles of the month, sorted; at least one.
        candles: those that passed validation, flagged.
        before: the candle of the minute before the month, or none.
    """
    ts = raw["ts"]
    gaps = _gap_minutes(ts.unique(maintain_order=True))
    judged = pl.concat([before, candles])
    warned = judged.select(rule.broken.alias(rule.name) for rule in WARNING_RULES)
    counts = warned.slice(before.height).sum().fill_null(0).row(0, named=True)
    return {
        "instrument": instrument,
        "month": month.date(),
        "rows": raw.height,
        "first_ts": ts[0],
        "last_ts": ts[-1],
        **_gap_figures(gaps),
        "quarantined": raw.height - candles.height,
        "untraded_minutes": int((~candles["traded"]).sum()),
        "warned": json.dumps({name: count for name, count in counts.items() if count}),
    }


def quality(
    months: pl.DataFrame, asked_until: Mapping[str, datetime], duplicates: Mapping[str, int]
) -> pl.DataFrame:
    """Return the rows of `quality`.

    Missing minutes and gaps count from the first raw candle to what was asked, so what the exchange
    had before the first trade is no gap, and what it lacks at the end is one.

    Args:
        months: rows of `months`, sorted.
        asked_until: end of what was asked, exclusive, by instrument.
        duplicates: repeats seen in replies, by instrument.
    """
    parts = months.partition_by("instrument", maintain_order=True)
    rows = [
        _quality(
            name := str(own["instrument"][0]), own, asked_until.get(name), duplicates.get(name, 0)
        )
        for own in parts
    ]
    return pl.DataFrame(rows, schema=QUALITY.polars_schema, orient="row")


def warnings(months: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `warnings`, from those of `months`."""
    counts: dict[tuple[str, str], int] = {}
    for instrument, warned in months.select("instrument", "warned").iter_rows():
        for rule, rows in json.loads(warned).items():
            counts[instrument, rule] = counts.get((instrument, rule), 0) + rows
    rows = [(*key, count) for key, count in counts.items()]
    return pl.DataFrame(rows, schema=WARNINGS.polars_schema, orient="row")


def _quality(
    instrument: str, months: pl.DataFrame, asked_until: datetime | None, duplicates: int
) -> dict[str, Any]:
    first, last = months["first_ts"][0], months["last_ts"][-1]
    end = max(asked_until or last, last + MINUTE)
    ends = pl.Series([*months["first_ts"].to_list()[1:], end], dtype=months.schema["first_ts"])
    between = _gaps_of(ends - months["last_ts"])
    outer = _gap_figures(between)
    sums = months.select(pl.col(*_ADDED).sum()).row(0, named=True)
    added = {name: sums[name] + outer.get(name, 0) for name in _ADDED}
    return {
        "instrument": instrument,
        "first_ts": first,
        "last_ts": last,
        "expected_minutes": (end - first) // MINUTE,
        **added,
        "longest_gap_minutes": max(
            months["longest_gap_minutes"].max(),
            outer["longest_gap_minutes"],  # type: ignore[type-var]
        ),
        "duplicates": duplicates,
    }


def _gap_figures(gaps: pl.Series) -> dict[str, int]:
    return {
        "missing_minutes": int(gaps.sum()),
        "gaps": len(gaps),
        "gaps_over_10m": int((gaps > _LONG_GAP_MINUTES).sum()),
        "longest_gap_minutes": max(gaps.to_list(), default=0),
    }


def _gap_minutes(ts: pl.Series) -> pl.Series:
    """Lengths of the runs of minutes absent between the first and the last, in order."""
    return _gaps_of(ts.diff().drop_nulls())


def _gaps_of(steps: pl.Series) -> pl.Series:
    return steps.filter(steps > timedelta(minutes=1)).dt.total_minutes() - 1
