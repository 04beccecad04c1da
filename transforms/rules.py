"""The validation rules: each a named expression that is true if a candle breaks it, with its
meaning for the reader of a finding.

Errors send a raw candle to quarantine; warnings keep it and count it.
"""

from dataclasses import dataclass

import polars as pl

from lake.time.intervals import MINUTE

_PRICES = ("open", "high", "low", "close")
_AMOUNTS = ("volume", "cost")
# Block trades at off-market prices moved the average price of 1 % of the traded minutes in 3,346
# candles of real replies out of [low, high], by at most 0.57 %.
_AVERAGE_LEEWAY = 0.01


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: as written in `quarantine.rules` and `warnings.rule`.
        meaning: one sentence for the reader of a finding: what is wrong, and why it matters.
        broken: true if a candle breaks it; null counts as not broken, since `null_value` covers
            nulls.
    """

    name: str
    meaning: str
    broken: pl.Expr


def _any(*broken: pl.Expr) -> pl.Expr:
    return pl.any_horizontal(*(expression.fill_null(value=False) for expression in broken))


_OF_A_CANDLE = (
    Rule(
        "null_value",
        "A price, the volume or the cost is missing, so the minute is incomplete.",
        pl.any_horizontal(pl.col(*_PRICES, *_AMOUNTS).is_null()),
    ),
    Rule(
        "nonpositive_price",
        "A price is zero or negative, at which no contract here can trade.",
        pl.any_horizontal((pl.col(*_PRICES) <= 0).fill_null(value=False)),
    ),
    Rule(
        "ohlc_order",
        "The low is not the lowest or the high not the highest of the four prices, so at least "
        "one of them is wrong.",
        _any(
            pl.col("low") > pl.min_horizontal("open", "close", "high"),
            pl.col("high") < pl.max_horizontal("open", "close", "low"),
        ),
    ),
    Rule(
        "negative_volume",
        "The volume or the cost is negative, which no sum of trades can be.",
        pl.any_horizontal((pl.col(*_AMOUNTS) < 0).fill_null(value=False)),
    ),
)


# Rules that send a raw candle to quarantine, given listed_at and expires_at (null for a perpetual)
# of its instrument's record.
ERRORS = (
    *_OF_A_CANDLE,
    Rule(
        "outside_life",
        "The minute is before the listing, or at or after the expiry, where the exchange "
        "repeats the last price.",
        _any(
            pl.col("ts") < pl.col("listed_at").dt.truncate("1m"),
            pl.col("ts") >= pl.col("expires_at"),
        ),
    ),
)


def is_sound() -> pl.Expr:
    """Return whether a candle breaks none of the rules that apply at any minute."""
    return ~pl.any_horizontal(rule.broken for rule in _OF_A_CANDLE)


def broken_names(rules: tuple[Rule, ...]) -> pl.Expr:
    """Return the names of all rules that a candle breaks, as a list of texts, empty for a sound
    candle.
    """
    names = [pl.when(rule.broken).then(pl.lit(rule.name)) for rule in rules]
    return pl.concat_list(names).list.drop_nulls()


# Warning rules, which keep a candle. All count it; `spike` also sets `suspect`. They expect
# `candles` of one instrument after the other, each sorted by time.
WARNING_RULES = (
    Rule(
        "cost_outside_range",
        "The average price, cost / volume, is outside [low, high] by more than 1 %. The amounts or "
        "the prices are wrong, or a block was traded far from the market.",
        (pl.col("cost") > 0)
        & (
            (pl.col("cost") < pl.col("low") * pl.col("volume") * (1 - _AVERAGE_LEEWAY))
            | (pl.col("cost") > pl.col("high") * pl.col("volume") * (1 + _AVERAGE_LEEWAY))
        ),
    ),
    Rule(
        "untraded_move",
        "Nothing traded, but the close differs from the minute before, although an untraded minute "
        "repeats the last close.",
        ~pl.col("traded")
        & (pl.col("close") != pl.col("close").shift(1))
        & (pl.col("instrument") == pl.col("instrument").shift(1))
        & (pl.col("ts") - pl.col("ts").shift(1) == MINUTE),
    ),
    Rule(
        "volume_without_cost",
        "Something traded at a cost of zero, so the cost was lost.",
        pl.col("traded") & (pl.col("cost") == 0),
    ),
    Rule(
        "spike",
        "The price moved away from its perpetual and from neighbouring expiries (for a perpetual: "
        "from its futures) by more than a robust bound, while those did not move "
        "(transforms/spikes.py). It can be a bad print or a true liquidation, so the candle is "
        "flagged as suspect.",
        pl.col("suspect"),
    ),
)
