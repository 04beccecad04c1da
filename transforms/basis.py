"""The basis of futures against their perpetual, minute by minute; pure."""

from typing import TypeVar

import polars as pl

MICROSECONDS_PER_DAY = 86_400_000_000
# Days a year in the annualisation, by the convention of markets that never close.
DAYS_PER_YEAR = 365
# With this time to expiry or less, the annualised basis is noise, so it is null.
LEAST_MINUTES_TO_ANNUALISE = 60

# The formulas hold for numbers and for columns of numbers, so `explain` shows those of the product.
N = TypeVar("N", float, pl.Expr)


def difference(future_close: N, perpetual_close: N) -> N:
    """Return the basis, in quote currency per coin."""
    return future_close - perpetual_close


def percent(basis: N, perpetual_close: N) -> N:
    """Return the basis in percent of the perpetual's close."""
    return basis / perpetual_close * 100


def annualised(basis_pct: N, days_to_expiry: N) -> N:
    """Return the basis in percent a year: simple, actual days of 365."""
    return basis_pct * DAYS_PER_YEAR / days_to_expiry


def basis(futures: pl.DataFrame, perpetual: pl.DataFrame) -> pl.DataFrame:
    """Return one row of `basis` for each minute in which both legs have a candle.

    basis = future close - perpetual close; basis_pct = basis / perpetual close x 100;
    days_to_expiry = expires_at - ts in days of 86,400 s; annualised_pct = basis_pct x 365 /
    days_to_expiry, null if 60 minutes or less are left. No value is carried from one minute to
    another: a future's minute without its perpetual's has no row.

    Args:
        futures: rows of `candles` of dated futures of one coin, with expires_at of their records,
            UTC.
        perpetual: rows of `candles` of the perpetual of the same coin; extra minutes are ignored.
    """
    other = perpetual.select(
        "ts",
        perpetual_close="close",
        perpetual_traded="traded",
        perpetual_suspect="suspect",
    )
    both = futures.join(other, on="ts", maintain_order="left").with_columns(
        basis=difference(pl.col("close"), pl.col("perpetual_close")),
        left=pl.col("expires_at") - pl.col("ts"),
    )
    both = both.with_columns(
        basis_pct=percent(pl.col("basis"), pl.col("perpetual_close")),
        days_to_expiry=_days(both["left"]),
    )
    is_long = pl.col("left") > pl.duration(minutes=LEAST_MINUTES_TO_ANNUALISE)
    return both.select(
        "instrument",
        "ts",
        pl.col("close").alias("future_close"),
        "perpetual_close",
        "basis",
        "basis_pct",
        "days_to_expiry",
        pl.when(is_long)
        .then(annualised(pl.col("basis_pct"), pl.col("days_to_expiry")))
        .alias("annualised_pct"),
        _structure(pl.col("basis")).alias("market_structure"),
        pl.col("traded").alias("future_traded"),
        "perpetual_traded",
        (pl.col("suspect") | pl.col("perpetual_suspect")).alias("suspect"),
    )


def _days(left: pl.Series) -> pl.Series:
    """Durations in days: one division, rounded once.

    Arrow divides; Polars multiplies by the inverse of a constant, which is off by one bit for some
    values.
    """
    import pyarrow.compute as pc  # noqa: PLC0415  (a build that finds nothing new needs none)

    microseconds = left.dt.total_microseconds().cast(pl.Float64).to_arrow()
    return pl.Series(pc.divide(microseconds, float(MICROSECONDS_PER_DAY)))


def _structure(basis: pl.Expr) -> pl.Expr:
    return (
        pl.when(basis > 0)
        .then(pl.lit("contango"))
        .when(basis < 0)
        .then(pl.lit("backwardation"))
        .otherwise(pl.lit("flat"))
    )
