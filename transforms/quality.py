"""The figures of raw candles: of one instrument and month, and of all its months together; pure."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from lake.spans import MINUTE
from lake.tables import MONTHS, QUALITY, WARNINGS
from transforms.rules import WARNING_RULES

_LONG_GAP_MINUTES = 10
_ADDED = ("rows", "missing_minutes", "gaps", "gaps_over_10m", "quarantined", "untraded_minutes")


def month_figures(
    instrument: str, ts: pl.Series, candles: pl.DataFrame, outside: pl.DataFrame
) -> pl.DataFrame:
    """Return rows of `months`, one for each month that has raw candles.

    Args:
        instrument: whose.
        ts: minutes of its raw candles of whole months, sorted.
        candles: those that passed validation, flagged.
        outside: candles of other months, of which the one a minute before a month counts: some
            warning rules look at it.
    """
    month = pl.col("ts").dt.truncate("1mo").alias("month")
    raw = ts.to_frame("ts").with_columns(month)
    step = (pl.col("ts") - pl.col("ts").shift(1)).dt.total_minutes() - 1
    gap = pl.when(pl.col("month") == pl.col("month").shift(1), step > 0).then(step)
    figures = (
        raw.with_columns(gap=gap)
        .group_by("month", maintain_order=True)
        .agg(
            rows=pl.len(),
            first_ts=pl.first("ts"),
            last_ts=pl.last("ts"),
            missing_minutes=pl.sum("gap"),
            gaps=pl.count("gap"),
            gaps_over_10m=(pl.col("gap") > _LONG_GAP_MINUTES).sum(),
            longest_gap_minutes=pl.max("gap").fill_null(0),
        )
    )
    names = [rule.name for rule in WARNING_RULES]
    is_own = [pl.lit(value=own).alias("is_own") for own in (True, False)]
    judged = pl.concat([candles.with_columns(is_own[0]), outside.with_columns(is_own[1])])
    if outside.height:
        judged = judged.sort("ts")
    counts = (
        judged.select(month, "traded", "is_own", *(r.broken.alias(r.name) for r in WARNING_RULES))
        .filter("is_own")
        .group_by("month")
        .agg(pl.len().alias("sound"), (~pl.col("traded")).sum().alias("untraded"), pl.sum(*names))
    )
    rows = figures.join(counts, on="month", how="left", maintain_order="left").fill_null(0)
    warned = [
        json.dumps({name: count for name, count in row.items() if count})
        for row in rows.select(names).iter_rows(named=True)
    ]
    return MONTHS.cast(
        rows.with_columns(
            instrument=pl.lit(instrument),
            quarantined=pl.col("rows") - pl.col("sound"),
            untraded_minutes="untraded",
            warned=pl.Series(warned, dtype=pl.String),
        )
    )


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


def _gaps_of(steps: pl.Series) -> pl.Series:
    return steps.filter(steps > timedelta(minutes=1)).dt.total_minutes() - 1
