"""Index of a simulated coin, and the carry that prices its futures.

Both are pure functions of the seed, the coin and the minute. The index is a random walk in blocks
of three weeks. At the ends of each block it equals a sum of slow waves, so a minute needs only its
own block. The coins share most of each step, and all of the waves.
"""

import math
from functools import lru_cache

import polars as pl

from basislake.simulator.noise import draw, noise

DAY = 1440
YEAR = 365 * DAY

_BLOCK_MINUTES = 32_768
# 16 MB: a year of both coins.
_BLOCKS = 32

_LEVELS = {"BTC": 60_000.0, "ETH": 2_700.0}
_OTHER_LEVEL = 100.0
# Volatility of a coin relative to the market.
_SWINGS = {"BTC": 1.0, "ETH": 1.25}
# (period in minutes, amplitude in log price): a yearly and a seasonal wave.
_WAVES = ((401 * DAY, 0.35), (97 * DAY, 0.10))
# A minute's step of the market in log price: 40 % a year at the quiet middle.
_STEP = 0.40 / math.sqrt(YEAR)
_COMMON, _OWN = 0.85, math.sqrt(1 - 0.85**2)
# This power makes most steps small and some large; the scale gives a variance of 1.
_STEP_POWER = 5
_STEP_SCALE = math.sqrt(2 * _STEP_POWER + 1)
# (period in minutes, amplitude in the log of the step): quiet and wild weeks.
_VOLATILITY = (9 * DAY + 71, 0.45)
# The busiest minute of the day, 15:00 UTC, and its excess over the mean, as a logarithm.
_BUSIEST, _BUSY = 15 * 60, 0.35

# Annual rates that price the nearest futures: the mean, which far futures always have, and waves
# around it as (period in minutes, amplitude).
_CARRY = {"BTC": 0.085, "ETH": 0.075}
_OTHER_CARRY = 0.06
_CARRY_WAVES = ((173 * DAY, 0.045), (19 * DAY, 0.03), (2 * DAY + 457, 0.01))
# At this distance from expiry, the waves are reduced to a third.
_CARRY_REACH = 90 * DAY


def shared(seed: int, coin: str, first: int, end: int) -> pl.DataFrame:
    """Return index and carry of a coin in the minutes `[first, end)`.

    Returns:
        Columns index (a price) and near_carry (the annual rate of a future about to expire).
    """
    size = _BLOCK_MINUTES
    blocks = [_block(seed, coin, n) for n in range(first // size, (end - 1) // size + 1)]
    return pl.concat(blocks).slice(first % size, end - first)


def carry(coin: str, minutes_left: pl.Expr) -> pl.Expr:
    """Return the annual rate of a future, from `near_carry` and its time to expiry."""
    far = _CARRY.get(coin, _OTHER_CARRY)
    share = (minutes_left * (-1 / _CARRY_REACH)).exp()
    return far + (pl.col("near_carry") - far) * share


def busyness() -> pl.Expr:
    """Return the activity at a time of day relative to the average, as a logarithm."""
    return wave(DAY, 0.25 - _BUSIEST / DAY) * _BUSY


def wave(period_minutes: int, phase: float) -> pl.Expr:
    """Return a wave over `minute` between -1 and 1."""
    return (pl.col("minute") * (2 * math.pi / period_minutes) + 2 * math.pi * phase).sin()


@lru_cache(maxsize=_BLOCKS)
def _block(seed: int, coin: str, block: int) -> pl.DataFrame:
    """Index and carry in the minutes from `block` to `block + 1` times the size of a block."""
    first, end = block * _BLOCK_MINUTES, (block + 1) * _BLOCK_MINUTES
    begin, rise = _pin(seed, first), _pin(seed, end) - _pin(seed, first)
    way = (pl.col("minute") - first) / _BLOCK_MINUTES
    walk = pl.col("step").cum_sum() - pl.col("step")
    log_price = begin + rise * way + walk - pl.col("step").sum() * way
    level, swing = _LEVELS.get(coin, _OTHER_LEVEL), _SWINGS.get(coin, 1.0)
    common = noise(first, end, f"{seed}/market", ("common",)).drop("minute")
    return (
        noise(first, end, f"{seed}/{coin}", ("own",))
        .hstack(common)
        .with_columns(step=_step(seed))
        .select(
            (log_price * swing).exp().mul(level).alias("index"),
            _near_carry(seed, coin).alias("near_carry"),
        )
    )


def _pin(seed: int, minute: int) -> float:
    """The log of the market's level, at which the walks of the blocks begin and end."""
    return sum(
        amplitude
        * math.sin(2 * math.pi * (minute / period + draw(seed, "market", "phase", period)))
        for period, amplitude in _WAVES
    )


def _step(seed: int) -> pl.Expr:
    """The market's step from each minute to the next, in log price."""
    period, amplitude = _VOLATILITY
    volatility = (amplitude * wave(period, draw(seed, "volatility")) + busyness()).exp()
    drawn = {name: (pl.col(f"{name} noise") * 2 - 1).pow(_STEP_POWER) for name in ("common", "own")}
    return _STEP * _STEP_SCALE * volatility * (_COMMON * drawn["common"] + _OWN * drawn["own"])


def _near_carry(seed: int, coin: str) -> pl.Expr:
    swings = pl.sum_horizontal(
        amplitude * wave(period, draw(seed, coin, "carry", period))
        for period, amplitude in _CARRY_WAVES
    )
    return _CARRY.get(coin, _OTHER_CARRY) + swings
