"""Candles of the simulated market: pure functions of a seed, the contract and the minute.

A minute's candle does not depend on the requested range. A contract trades at least once in 64
minutes, so a forward fill looks back at most that far, and never to the first trade. All contracts
of a coin follow its index (`coin`): the perpetual with a small premium, a future with its remaining
carry until it expires.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from basislake.simulator.coin import YEAR, busyness, carry, shared, wave
from basislake.simulator.noise import draw, noise

MINUTE_MS = 60_000
LONGEST_QUIET_MINUTES = 64

CANDLE_SCHEMA = {
    "ticks": pl.Int64,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "cost": pl.Float64,
}

_PRICES = ("open", "high", "low", "close")
_PREMIUM_PERIOD_MINUTES = 977
_PREMIUM = 1e-4
# Largest deviation of a price from its fair value.
_CONTRACT_NOISE = 0.5e-4
# Largest deviation of a contract's annual rate from its coin's.
_CONTRACT_CARRY = 0.004
_TRADED_SHARE = {"future": 0.33, "perpetual": 0.99}
# Turnover of a minute in the quote currency: the median, the logarithm of the largest multiple of
# it, and the median in lots, since most orders are round.
_TURNOVER = {
    ("BTC", "perpetual"): 250_000.0,
    ("ETH", "perpetual"): 120_000.0,
    ("BTC", "future"): 15_000.0,
    ("ETH", "future"): 8_000.0,
}
_OTHER_TURNOVER = 5_000.0
_LOG_MOST_TURNOVER = 2.5
_LOTS = 50
# Largest distance of a high or a low from open and close, as a share of the price.
_WICK = 3e-4
# Random numbers that each minute of a contract has.
_NOISES = ("price", "traded", "size", "up", "down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """An instrument as the exchange knows it; times are UTC milliseconds.

    Attributes:
        name: the instrument's name, e.g. `BTC-7MAY21`.
        base: the coin, e.g. `BTC`.
        quote: the currency of its price, e.g. `USD`.
        settlement: the currency it is settled in; the coin, for an inverse contract.
        kind: `future` (dated) or `perpetual`.
        listed_ms: creation, not on the minute.
        expires_ms: expiry, on the minute; None for a perpetual.
        first_trade_ms: start of the minute of the first trade, which is the first candle.
        tick_size: the step of prices, with at most 8 decimals.
        contract_size: quote currency per contract.
        settlement_period: `day`, `week`, `month` or `perpetual`.
    """

    name: str
    base: str
    quote: str
    settlement: str
    kind: Literal["future", "perpetual"]
    listed_ms: int
    expires_ms: int | None
    first_trade_ms: int
    tick_size: float
    contract_size: float
    settlement_period: Literal["day", "week", "month", "perpetual"]

    def is_listed(self, now_ms: int) -> bool:
        """Whether the exchange knows the contract at a time, expired or not."""
        return self.listed_ms <= now_ms

    def is_expired(self, now_ms: int) -> bool:
        """Whether the contract's life is over at a time."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


def candles(seed: int, contract: Contract, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Return the final 1-minute candles that open in `[start_ms, end_ms)`.

    Before the first trade there are none; from there they are dense. From expiry on they are flat
    padding at the close of the last minute of life, as the exchange serves it.

    Args:
        seed: of the whole market.
        contract: whose candles to compute.
        start_ms: UTC milliseconds, in the range.
        end_ms: UTC milliseconds, not in the range; it may be later than the exchange's clock.

    Returns:
        Columns ticks (opening time, UTC milliseconds), open, high, low, close, volume and cost, by
        ascending ticks.
    """
    first = contract.first_trade_ms // MINUTE_MS
    start = max(first, -(-start_ms // MINUTE_MS))
    end = -(-end_ms // MINUTE_MS)
    if start >= end:
        return pl.DataFrame(schema=CANDLE_SCHEMA)
    expiry = end if contract.expires_ms is None else contract.expires_ms // MINUTE_MS
    lookback = max(first, min(start, expiry) - LONGEST_QUIET_MINUTES)
    life = _life(seed, contract, lookback, min(end, expiry))
    if start >= expiry or end > expiry:
        life = pl.concat([life, _padding(life["close"][-1], max(start, expiry), end)])
    return life.filter(pl.col("ticks") >= start * MINUTE_MS)


def forming(candle: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return a candle as it looks before its minute is over.

    It is a valid candle that differs from the final one: one contract has traded so far, one tick
    above the final close.
    """
    return candle.with_columns(close=_decimal(pl.col("close") + contract.tick_size)).with_columns(
        high=pl.max_horizontal("high", "close"),
        volume=(contract.contract_size / pl.col("close")).round(8),
        cost=pl.lit(contract.contract_size, pl.Float64),
    )


def _life(seed: int, contract: Contract, first: int, end: int) -> pl.DataFrame:
    """Candles of the minutes `[first, end)`; up to 64 at the start may lack a price."""
    tick = contract.tick_size
    traded = pl.col("traded")
    top, bottom = pl.max_horizontal("open", "last"), pl.min_horizontal("open", "last")
    return (
        # One minute more than asked: a minute's last price is the next one's first.
        noise(first, end + 1, f"{seed}/{contract.name}", _NOISES)
        .hstack(shared(seed, contract.base, first, end + 1))
        .with_columns(open=_price(seed, contract), traded=_is_traded(seed, contract))
        .with_columns(last=pl.col("open").shift(-1))
        .head(-1)
        .with_columns(
            high=_decimal(top + tick * _wick_ticks("up", tick)),
            low=_decimal(bottom - tick * _wick_ticks("down", tick)),
            close=pl.when(traded).then("last").forward_fill(),
            cost=pl.when(traded).then(_traded_cost(contract)).otherwise(0.0),
        )
        .select(
            pl.col("minute").mul(MINUTE_MS).alias("ticks"),
            *(pl.when(traded).then(name).otherwise("close").alias(name) for name in _PRICES),
            (pl.col("cost") * 2 / (pl.col("high") + pl.col("low"))).round(8).alias("volume"),
            "cost",
        )
    )


def _padding(price: float, start: int, end: int) -> pl.DataFrame:
    """Flat, untraded candles of the minutes `[start, end)`."""
    ticks = pl.int_range(start, end, eager=True).alias("ticks") * MINUTE_MS
    flat = {name: pl.lit(price, pl.Float64) for name in _PRICES}
    none = {name: pl.lit(0.0) for name in ("volume", "cost")}
    return ticks.to_frame().with_columns(**flat, **none)


def _price(seed: int, contract: Contract) -> pl.Expr:
    """The contract's price at the start of each minute, on its tick size."""
    swing = 1 + _CONTRACT_NOISE * (_noise("price") * 2 - 1)
    level = pl.col("index") * _factor(seed, contract) * swing
    return _decimal((level / contract.tick_size).round() * contract.tick_size)


def _factor(seed: int, contract: Contract) -> pl.Expr:
    """The contract's price over the index: a small premium, or the remaining carry."""
    if contract.expires_ms is None:
        return 1 + _PREMIUM * wave(_PREMIUM_PERIOD_MINUTES, draw(seed, contract.name, "premium"))
    own = _CONTRACT_CARRY * (draw(seed, contract.name, "carry") * 2 - 1)
    minutes_left = contract.expires_ms // MINUTE_MS - pl.col("minute")
    return 1 + (carry(contract.base, minutes_left) + own) * minutes_left / YEAR


def _traded_cost(contract: Contract) -> pl.Expr:
    """The turnover of a traded minute, in whole contracts."""
    middle = _TURNOVER.get((contract.base, contract.kind), _OTHER_TURNOVER)
    times = (_LOG_MOST_TURNOVER * (_noise("size") * 2 - 1) + busyness()).exp()
    lot = max(1.0, middle / _LOTS // contract.contract_size) * contract.contract_size
    return pl.max_horizontal((times * (middle / lot)).floor(), 1.0) * lot


def _is_traded(seed: int, contract: Contract) -> pl.Expr:
    """Whether anyone trades in a minute: by chance, at the first candle, and once in 64 minutes."""
    minute = pl.col("minute")
    phase = int(LONGEST_QUIET_MINUTES * draw(seed, contract.name, "forced"))
    return (
        (_noise("traded") < _TRADED_SHARE[contract.kind])
        | (minute % LONGEST_QUIET_MINUTES == phase)
        | (minute == contract.first_trade_ms // MINUTE_MS)
    )


def _wick_ticks(side: str, tick: float) -> pl.Expr:
    return (_noise(side) * (_WICK / tick) * pl.col("open")).floor()


def _noise(name: str) -> pl.Expr:
    """Per minute, a number in [0, 1)."""
    return pl.col(f"{name} noise")


def _decimal(price: pl.Expr) -> pl.Expr:
    """The float nearest to the price's decimal form, 3000.15 rather than 3000.1500000000001."""
    return price.round(8)
