"""Quality figures of raw candles: by instrument and period, and by instrument; pure."""

import json
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from lake.tables import PERIODS, QUALITY, WARNINGS
from lake.time.intervals import MINUTE
from transforms.periods import period_of_rows
from transforms.rules import WARNING_RULES

_LONG_GAP_MINUTES = 10
# Value of `warned` for a period in which no rule flagged anything.
NOTHING = "{}"
_KEY = ("instrument", "period")
_ADDED = ("rows", "missing_minutes", "gaps", "gaps_over_10m", "quarantined", "untraded_minutes")


def period_figures(raw: pl.DataFrame, candles: pl.DataFrame, outside: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `periods`, one for each period of an instrument with raw candles.

    Args:
        raw: instrument and ts of raw candles of whole periods, one instrument after the other, each
            sorted by time.
        candles: those that passed validation, flagged.
        outside: candles of the minutes before these periods, for some warning rules.
    """
    period = period_of_rows().alias("period")
    step = (pl.col("ts") - pl.col("ts").shift(1)).dt.total_minutes() - 1
    is_same = [pl.col(name) == pl.col(name).shift(1) for name in _KEY]
    figures = (
        raw.select("instrument", "ts", period)
        .with_columns(gap=pl.when(*is_same, step > 0).then(step))
        .group_by(_KEY, maintain_order=True)
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
        judged = judged.sort("instrument", "ts")
    broken = (rule.broken.alias(rule.name) for rule in WARNING_RULES)
    counts = (
        judged.select("instrument", period, "traded", "is_own", *broken)
        .filter("is_own")
        .group_by(_KEY)
        .agg(pl.len().alias("sound"), (~pl.col("traded")).sum().alias("untraded"), pl.sum(*names))
    )
    rows = figures.join(counts, on=_KEY, how="left", maintain_order="left").fill_null(0)
    warned = [
        json.dumps({name: count for name, count in row.items() if count})
        for row in rows.select(names).iter_rows(named=True)
    ]
    return PERIODS.cast(
        rows.with_columns(
            pl.col("period").dt.date(),
            quarantined=pl.col("rows") - pl.col("sound"),
            untraded_minutes="untraded",
            warned=pl.Series(warned, dtype=pl.String),
        )
    )


def quality(
    periods: pl.DataFrame, asked_until: Mapping[str, datetime], duplicates: Mapping[str, int]
) -> pl.DataFrame:
    """Return the rows of `quality`.

    Missing minutes and gaps count from the first raw candle to the end of the requested time, so
    minutes before the first trade are not missing, but minutes lacking at the end are.

    Args:
        periods: rows of `periods`, sorted.
        asked_until: end of the requested time, exclusive, by instrument.
        duplicates: repeats seen in replies, by instrument.
    """
    names = periods["instrument"].unique(maintain_order=True).to_list()
    asked = pl.DataFrame(
        [(n, asked_until.get(n), duplicates.get(n, 0)) for n in names],
        {
            "instrument": pl.String,
            "asked": PERIODS.polars_schema["last_ts"],
            "duplicates": pl.Int64,
        },
        orient="row",
    )
    # Minutes missing between a period's last candle and the next period's first, or the end.
    end = pl.max_horizontal("asked", pl.col("last_ts") + MINUTE)
    until = pl.col("first_ts").shift(-1).over("instrument").fill_null(end)
    absent = (until - pl.col("last_ts")).dt.total_minutes() - 1
    rows = periods.join(asked, on="instrument", how="left", maintain_order="left").with_columns(
        end=end, after=absent
    )
    sums = {column: pl.col(column).sum() for column in _ADDED}
    sums["missing_minutes"] += pl.col("after").sum()
    sums["gaps"] += (pl.col("after") > 0).sum()
    sums["gaps_over_10m"] += (pl.col("after") > _LONG_GAP_MINUTES).sum()
    found = rows.group_by("instrument", maintain_order=True).agg(
        pl.first("first_ts", "duplicates"),
        pl.last("last_ts"),
        expected_minutes=(pl.last("end") - pl.first("first_ts")).dt.total_minutes(),
        longest_gap_minutes=pl.max_horizontal("longest_gap_minutes", "after").max(),
        **sums,
    )
    return QUALITY.cast(found)


def warnings(periods: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `warnings` from rows of `periods`."""
    counts: dict[tuple[str, str], int] = {}
    found = periods.filter(pl.col("warned") != NOTHING).select("instrument", "warned")
    for instrument, warned in found.iter_rows():
        for rule, rows in json.loads(warned).items():
            counts[instrument, rule] = counts.get((instrument, rule), 0) + rows
    rows = [(*key, count) for key, count in counts.items()]
    return WARNINGS.cast(pl.DataFrame(rows, schema=WARNINGS.polars_schema, orient="row"))
