"""The usual levels of prices: a future's relative to its perpetual, a perpetual's relative to its
own prices shortly before and after; pure.

All levels and bounds are natural logarithms: 0.01 is about one per cent. A *print* is a candle with
something new: a trade, or a price other than the previous close. Medians run over
prints, not over minutes, so the stale price of an idle contract does not become the usual level.
"""

import math
from datetime import timedelta
from typing import Literal

import polars as pl

from lake.time.intervals import MINUTE
from transforms.periods import parts, periods_in

# No bound is narrower than the floor: good recorded candles of futures deviate by 0.75 % at most,
# and 1 in 10,000 by 0.64 % or more. No bound is wider than the cap, which is well below ln 1.5 =
# 0.405: such a print always exceeds it. benchmarks/spikes.py measures both (benchmarks/RESULTS.md).
FLOOR = 0.02
CAP = 0.25
# A bound is so many robust standard deviations from the usual level.
FUTURE_DEVIATIONS = 12.0
PERPETUAL_DEVIATIONS = 20.0
# The standard deviation of a normal distribution is this times its median absolute deviation.
_SCALE = 1.4826

# A future's usual level is the median over so many prints, centred on the tested one.
PRINTS = 101
# With fewer prints in a period, their spread is not reliable: the cap is the bound.
_FEWEST_FOR_SPREAD = 20
# With even fewer, a spike would be its own median: they are supplemented by the perpetual's
# level.
_FEWEST_FOR_LEVEL = 5

# A perpetual's usual level is the median close of so many prints before, or after.
_BESIDE = 10
# Its volatility is that of so many steps before, or after.
_STEPS = 60

# If the perpetual lacks the minute, its candles within this time, before and after, replace it.
STAND_IN = timedelta(hours=1)
# Candles further apart do not affect each other. So a flag depends on nearby minutes only, and for
# a future also on its prints of the same period, and a build knows what a change can affect
# (transforms/staleness.py).
NEAR = timedelta(hours=12)
# This time before a period determines which of a future's first candles are prints, and whether the
# first candle moved (`rules.WARNING_RULES`).
LEAD_IN = 2 * MINUTE

SIDES = ("high", "low")


def with_previous(candles: pl.DataFrame, *, each_period: bool = False) -> pl.DataFrame:
    """Add the closes of the previous candle and of the one before, called previous and earlier
    (null if it is not near), whether each is a print, and the number of its part.

    Args:
        candles: of one instrument after the other, each sorted by time.
        each_period: judge each period of an instrument separately, so each is a part, and only the
            minutes just before it are near; else an instrument is a part.
    """
    part = _numbers(candles) if each_period else pl.col("instrument").rle_id()
    rows = candles.select("instrument", "ts", *SIDES, "close", "traded", part=part)
    closes = {
        name: _near(pl.col("close").shift(places), places)
        for name, places in (("previous", 1), ("earlier", 2))
    }
    is_new = (pl.col("high") != pl.col("previous")) | (pl.col("low") != pl.col("previous"))
    return rows.with_columns(**closes).with_columns(
        is_print=pl.col("traded") | is_new.fill_null(value=True)
    )


def _numbers(rows: pl.DataFrame) -> pl.Series:
    """The number of each row's instrument and period, in order."""
    starts = [place.start for _, place in parts(rows, periods_in)]
    return pl.zeros(rows.height, pl.UInt32, eager=True).scatter(starts, 1).cum_sum()


def with_perpetual_prices(rows: pl.DataFrame, perpetual: pl.DataFrame) -> pl.DataFrame:
    """Add the perpetual's prices of each minute, or of the minutes around it if that is missing.

    Args:
        rows: sorted by ts.
        perpetual: rows of `candles` of the perpetual, sorted; flagged rows are ignored.

    Returns:
        The rows with perpetual_high, perpetual_low and perpetual_close. If the minute is missing:
        the highest high and lowest low of the candles before and after within an hour; null without
        any.
    """
    sound = perpetual.filter(~pl.col("suspect")).select(
        "ts", stamp="ts", **{f"perpetual_{name}": name for name in (*SIDES, "close")}
    )
    found = _as_of(rows, sound, "backward")
    is_exact = (found["stamp"] == found["ts"]).fill_null(value=False)
    if is_exact.all():
        return found.drop("stamp")
    after = _as_of(rows.select("ts"), sound, "forward")
    ahead = {name: after[f"perpetual_{name}"] for name in (*SIDES, "close")}
    return found.drop("stamp").with_columns(
        perpetual_high=pl.max_horizontal("perpetual_high", ahead["high"]),
        perpetual_low=pl.min_horizontal("perpetual_low", ahead["low"]),
        perpetual_close=pl.coalesce("perpetual_close", ahead["close"]),
    )


def future_levels(prints: pl.DataFrame) -> pl.DataFrame:
    """Return the prints that may be out of bound, with their usual level and bound.

    usual = median over 101 prints of the part, centred, of ln(close / perpetual close); bound =
    12 x 1.4826 x the median distance of the same prints from it, but at least the floor and at
    most the cap.

    Args:
        prints: of futures, with their part and the perpetual's prices; each sorted by time.

    Returns:
        The rows with usual_high, usual_low (equal) and bound.
    """
    offset = (pl.col("close") / pl.col("perpetual_close")).log()
    rows = prints.with_columns(offset=offset, many=pl.len().over("part"))
    is_few = pl.col("many") < _FEWEST_FOR_SPREAD
    return pl.concat([_few_levels(rows.filter(is_few)), _many_levels(rows.filter(~is_few))])


def _few_levels(rows: pl.DataFrame) -> pl.DataFrame:
    """The levels of parts with few prints."""
    absent = pl.repeat(0.0, (_FEWEST_FOR_LEVEL - pl.len().cast(pl.Int64)).clip(lower_bound=0))
    middle = pl.col("offset").append(absent).median()
    medians = rows.group_by("part").agg(middle=middle)
    rows = rows.join(medians, on="part", maintain_order="left")
    return _usual(rows, pl.col("middle"), pl.lit(CAP))


def _many_levels(rows: pl.DataFrame) -> pl.DataFrame:
    """The levels of periods with more prints, for the prints that may be out of bound."""
    highest = _extreme("high") - pl.col("offset").rolling_min(
        PRINTS, min_samples=1, center=True
    ).over("part")
    lowest = pl.col("offset").rolling_max(PRINTS, min_samples=1, center=True).over(
        "part"
    ) - _extreme("low")
    rows = _around(rows, (highest > FLOOR) | (lowest > FLOOR), PRINTS)
    middle = pl.col("offset").rolling_median(PRINTS, min_samples=1, center=True).over("part")
    spread = (
        (pl.col("offset") - pl.col("middle"))
        .abs()
        .rolling_median(PRINTS, min_samples=1, center=True)
        .over("part")
    )
    rows = rows.with_columns(middle=middle).with_columns(spread=spread).filter("may_leave")
    return _usual(rows, pl.col("middle"), _bound(FUTURE_DEVIATIONS, pl.col("spread")))


def own_levels(prints: pl.DataFrame) -> pl.DataFrame:
    """Return the prints that may be out of bound relative to those before and after.

    usual = the higher (for the high; the lower for the low) of the median closes of the 10 prints
    before and the 10 after, so a lasting move is not a spike; of the next one alone if 10 are
    not near. bound = 20 x 1.4826 x the median step of ln(close) over 60 prints, before or after,
    whichever is larger, within floor and cap; the cap if 60 are not near.

    Args:
        prints: of one part, sorted.

    Returns:
        The rows with usual_high, usual_low and bound; without rows that have no other print near.
    """
    window = 2 * _BESIDE + 1
    lowest = pl.col("close").rolling_min(window, min_samples=1, center=True)
    highest = pl.col("close").rolling_max(window, min_samples=1, center=True)
    limit = math.exp(FLOOR)
    may_leave = (pl.col("high") > lowest * limit) | (pl.col("low") * limit < highest)
    rows = _around(prints, may_leave, _STEPS + _BESIDE)
    middle = pl.col("close").rolling_median(_BESIDE)
    step = pl.col("close").log().diff().abs().rolling_median(_STEPS)
    rows = rows.with_columns(
        before=pl.coalesce(_near(middle.shift(1), _BESIDE), _near(pl.col("close").shift(1), 1)),
        after=pl.coalesce(
            _near(middle.shift(-_BESIDE), -_BESIDE), _near(pl.col("close").shift(-1), -1)
        ),
        step=pl.max_horizontal(
            _near(step.shift(1), _STEPS + 1), _near(step.shift(-_STEPS - 1), -_STEPS - 1)
        ),
    )
    rows = rows.filter(
        pl.col("may_leave") & pl.any_horizontal(pl.col("before", "after").is_not_null())
    )
    return rows.with_columns(
        usual_high=pl.max_horizontal("before", "after").log(),
        usual_low=pl.min_horizontal("before", "after").log(),
        bound=_bound(PERPETUAL_DEVIATIONS, pl.col("step")).fill_null(CAP),
    ).drop("may_leave", "before", "after", "step")


def _as_of(
    rows: pl.DataFrame, sound: pl.DataFrame, strategy: Literal["backward", "forward"]
) -> pl.DataFrame:
    return rows.join_asof(sound, on="ts", strategy=strategy, tolerance=STAND_IN)


def _extreme(side: str) -> pl.Expr:
    return (pl.col(side) / pl.col(f"perpetual_{side}")).log()


def _usual(rows: pl.DataFrame, level: pl.Expr, bound: pl.Expr) -> pl.DataFrame:
    rows = rows.with_columns(usual_high=level, usual_low=level, bound=bound)
    return rows.drop("offset", "many", "middle", "spread", "may_leave", strict=False)


def _around(rows: pl.DataFrame, may_leave: pl.Expr, reach: int) -> pl.DataFrame:
    """Mark the rows that may be out of bound, and keep them with so many rows on either side:
    medians are expensive, and few rows need one.
    """
    marked = rows.with_columns(may_leave=may_leave)
    is_kept = (
        pl.col("may_leave")
        .cast(pl.Int8)
        .rolling_max(2 * reach + 1, min_samples=1, center=True)
        .over("part")
    )
    return marked.filter(is_kept == 1) if marked["may_leave"].any() else marked.clear()


def _bound(deviations: float, spread: pl.Expr) -> pl.Expr:
    return (spread * (deviations * _SCALE)).clip(FLOOR, CAP)


def _near(value: pl.Expr, rows: int) -> pl.Expr:
    """The value if the candle so many rows before (after, if negative) is near; else null."""
    away = (pl.col("ts") - pl.col("ts").shift(rows)).abs()
    is_of_part, is_own = (
        pl.col(name) == pl.col(name).shift(rows) for name in ("part", "instrument")
    )
    is_right_there = is_own & (away <= abs(rows) * MINUTE)
    return pl.when((away <= NEAR) & (is_of_part | is_right_there)).then(value)
