"""Quality figures of raw candles: by instrument and period, and by instrument; pure."""

import json
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from lake.tables import PERIODS, QUALITY, WARNINGS
from lake.time.intervals import MINUTE
from transforms.periods import parts, period_of_rows, periods_in
from transforms.rules import WARNING_RULES

_LONG_GAP_MINUTES = 10
# Value of `warned` for a period in which no rule flagged anything.
NOTHING = "{}"
_NO_GAPS = dict.fromkeys(("missing_minutes", "gaps", "gaps_over_10m", "longest_gap_minutes"), 0)
_ADDED = ("rows", "missing_minutes", "gaps", "gaps_over_10m", "quarantined", "untraded_minutes")


def period_figures(raw: pl.DataFrame, candles: pl.DataFrame, outside: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `periods`, one for each period of an instrument with raw candles.

    Args:
        raw: instrument and ts of raw candles of whole periods, one instrument after the other, each
            sorted by time.
        candles: those that passed validation, flagged.
        outside: candles of the minutes before these periods, for some warning rules.
    """
    places = list(parts(raw, periods_in))
    gaps = _gaps(raw["ts"], [place.start for _, place in places])
    sound = dict(parts(candles, periods_in))
    broken = _broken(candles, outside)
    rows = []
    for number, (key, place) in enumerate(places):
        count = place.stop - place.start
        traded = candles["traded"][sound.get(key, slice(0, 0))]
        figures = {
            "instrument": key[0],
            "period": key[1].date(),
            "rows": count,
            "first_ts": raw["ts"][place.start],
            "last_ts": raw["ts"][place.stop - 1],
            **gaps.get(number, _NO_GAPS),
            "quarantined": count - len(traded),
            "untraded_minutes": len(traded) - traded.sum(),
            "warned": json.dumps(broken.get(key, {})),
        }
        rows.append(figures)
    return PERIODS.cast(pl.DataFrame(rows, schema=PERIODS.polars_schema))


def _gaps(ts: pl.Series, starts: list[int]) -> dict[int, dict[str, int]]:
    """The figures of missing minutes, by the number of the part; of parts that have gaps.

    Args:
        ts: of all rows.
        starts: the positions of the first rows of the parts.
    """
    firsts = pl.Series(starts, dtype=pl.UInt32)
    steps = pl.DataFrame({"gap": ts.diff().dt.total_minutes() - 1}).with_row_index("place")
    gaps = steps.filter(pl.col("gap") > 0).filter(~pl.col("place").is_in(firsts.implode()))
    part = firsts.search_sorted(gaps["place"], side="right") - 1
    found = gaps.group_by(part.alias("part")).agg(
        missing_minutes=pl.sum("gap"),
        gaps=pl.len(),
        gaps_over_10m=(pl.col("gap") > _LONG_GAP_MINUTES).sum(),
        longest_gap_minutes=pl.max("gap"),
    )
    return {row.pop("part"): row for row in found.iter_rows(named=True)}


def _broken(
    candles: pl.DataFrame, outside: pl.DataFrame
) -> dict[tuple[str, datetime], dict[str, int]]:
    """How many candles break each warning rule, by instrument and period; only counts above 0."""
    names = [rule.name for rule in WARNING_RULES]
    judged = candles.with_columns(is_own=True)
    if outside.height:
        others = outside.with_columns(is_own=False)
        judged = pl.concat([judged, others]).sort("instrument", "ts")
    found = judged.select(
        "instrument", "ts", "is_own", *(rule.broken.alias(rule.name) for rule in WARNING_RULES)
    ).filter(pl.col("is_own") & pl.any_horizontal(names))
    counts = found.group_by("instrument", period_of_rows().alias("period")).agg(pl.sum(*names))
    return {
        (row.pop("instrument"), row.pop("period")): {name: n for name, n in row.items() if n}
        for row in counts.iter_rows(named=True)
    }


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
