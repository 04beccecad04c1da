"""What prices usually are beside: a future's beside its perpetual's, a perpetual's beside its own a
little before and after; pure.

All levels and bounds are natural logarithms: 0.01 is about one per cent. A *print* is a candle in
which something new appears: a trade, or a price other than the previous close. Medians run over
prints, not over minutes, so the stale price of an idle contract does not become what is usual.
"""

import math
from datetime import timedelta
from typing import Literal

import polars as pl

from lake.spans import MINUTE
from transforms.periods import period_of_rows

# No bound is tighter than the floor: good recorded candles of futures left by 0.75 % at most, and 1
# in 10,000 by 0.64 % or more. None is wider than the cap, which is well below ln 1.5 = 0.405: such
# a print is always beyond. benchmarks/spikes.py measures both; see benchmarks/RESULTS.md.
FLOOR = 0.02
CAP = 0.25
# A bound is so many robust standard deviations of what is usual.
FUTURE_DEVIATIONS = 12.0
PERPETUAL_DEVIATIONS = 20.0
# The median absolute deviation of a normal distribution times this is its standard deviation.
_SCALE = 1.4826

# A future's usual level is the median over so many prints, the one in question in the middle.
PRINTS = 101
# With fewer in a period, the spread says little: the cap is the bound.
_FEWEST_FOR_SPREAD = 20
# With fewer still, a spike would be its own median: as many are filled up with the perpetual's
# level.
_FEWEST_FOR_LEVEL = 5

# A perpetual's usual level is the median close of so many prints before, and after.
_BESIDE = 10
# Its volatility is that of so many steps before, or after.
_STEPS = 60

# Where the perpetual lacks the minute, its candles within this time, before and after, stand in.
STAND_IN = timedelta(hours=1)
# Candles further away say nothing of each other. So a flag depends on nearby minutes only, and of a
# future on its prints of the same period, and a build knows what a change can reach
# (transforms/changes.py).
NEAR = timedelta(hours=12)
# So much before a period says which of a future's candles at its beginning are prints, and whether
# the first candle moved (`rules.WARNING_RULES`).
LEAD_IN = 2 * MINUTE

SIDES = ("high", "low")


def with_previous(candles: pl.DataFrame, *, each_period: bool = False) -> pl.DataFrame:
    """Add the closes of the candle before and of that before it, called previous and earlier (null
    where it is not near), whether each is a print, and the number of its part.

    Args:
        candles: of one instrument after the other, each sorted by time.
        each_period: judge each period of an instrument by itself, so each is a part, and of another
            period only the minutes right before are near; else an instrument is a part.
    """
    parts = ["instrument", *([period_of_rows().alias("period")] if each_period else [])]
    rows = candles.select(
        "instrument", "ts", *SIDES, "close", "traded", part=pl.struct(parts).rle_id()
    )
    closes = {
        name: _near(pl.col("close").shift(places), places)
        for name, places in (("previous", 1), ("earlier", 2))
    }
    is_new = (pl.col("high") != pl.col("previous")) | (pl.col("low") != pl.col("previous"))
    return rows.with_columns(**closes).with_columns(
        is_print=pl.col("traded") | is_new.fill_null(value=True)
    )


def beside_perpetual(rows: pl.DataFrame, perpetual: pl.DataFrame) -> pl.DataFrame:
    """Add the perpetual's prices of each minute, or of the minutes around where it lacks this one.

    Args:
        rows: sorted by ts.
        perpetual: rows of `candles` of the perpetual, sorted; the flagged ones do not count.

    Returns:
        The rows with perpetual_high, perpetual_low and perpetual_close. Where the minute is absent:
        the highest high and lowest low of the candles before and after within an hour; null where
        there is none.
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
    """Return the prints that may be out of bound, with what is usual there.

    usual = median over 101 prints of the part, centred, of ln(close / perpetual close); bound =
    12 x 1.4826 x the median over the same prints of the distance from it, but at least the floor
    and at most the cap.

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
    """The levels of periods with more, of the prints that may leave."""
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
    """Return the prints that may be out of bound beside those before and after.

    usual = the higher (for the high; the lower for the low) of the median closes of the 10 prints
    before and the 10 after, so a move that stays is none; of the next one alone where 10 are not
    near. bound = 20 x 1.4826 x the median step of ln(close) over 60 prints, before or after,
    whichever is larger, within floor and cap; the cap where 60 are not near.

    Args:
        prints: of one part, sorted.

    Returns:
        The rows with usual_high, usual_low and bound; not where no other print is near.
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
    """Mark the rows that may leave, and keep them and so many of their part on either side: medians
    are dear, and few rows need one.
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
    """The value where the candle so many rows before (after, if negative) is near; else null."""
    away = (pl.col("ts") - pl.col("ts").shift(rows)).abs()
    is_of_part, is_own = (
        pl.col(name) == pl.col(name).shift(rows) for name in ("part", "instrument")
    )
    is_right_there = is_own & (away <= abs(rows) * MINUTE)
    return pl.when((away <= NEAR) & (is_of_part | is_right_there)).then(value)
