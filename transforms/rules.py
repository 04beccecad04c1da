"""The validation rules: each a named expression that is true where a raw candle breaks it, with
what it means.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lake.spans import floor_minute

_PRICES = ("open", "high", "low", "close")
_AMOUNTS = ("volume", "cost")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: as written in `quarantine.rules`.
        meaning: one sentence for the reader of a finding.
        broken: true where a candle breaks it; null counts as not broken, for `null_value` tells of
            nulls.
    """

    name: str
    meaning: str
    broken: pl.Expr


def errors(listed_at: datetime, expires_at: datetime | None) -> tuple[Rule, ...]:
    """Return the rules that send a candle to quarantine, for an instrument with this life.

    Args:
        listed_at: creation; the minute that holds it is the first of the life.
        expires_at: end of the life, exclusive; None for a perpetual.
    """
    return (
        Rule(
            "null_value",
            "A price, the volume or the cost is absent.",
            pl.any_horizontal(pl.col(*_PRICES, *_AMOUNTS).is_null()),
        ),
        Rule(
            "nonpositive_price",
            "A price is zero or negative.",
            pl.any_horizontal((pl.col(*_PRICES) <= 0).fill_null(value=False)),
        ),
        Rule(
            "ohlc_order",
            "The low is not the lowest or the high is not the highest of the four prices.",
            _any(
                pl.col("low") > pl.min_horizontal("open", "close", "high"),
                pl.col("high") < pl.max_horizontal("open", "close", "low"),
            ),
        ),
        Rule(
            "negative_volume",
            "The volume or the cost is negative.",
            pl.any_horizontal((pl.col(*_AMOUNTS) < 0).fill_null(value=False)),
        ),
        Rule(
            "outside_life",
            "The minute is before the listing or not before the expiry.",
            _any(pl.col("ts") < floor_minute(listed_at), pl.col("ts") >= pl.lit(expires_at)),
        ),
    )


def _any(*broken: pl.Expr) -> pl.Expr:
    return pl.any_horizontal(*(expression.fill_null(value=False) for expression in broken))


def broken_names(rules: tuple[Rule, ...]) -> pl.Expr:
    """Return the names of all rules that a candle breaks, as a list of texts, empty for a sound
    one.
    """
    names = [pl.when(rule.broken).then(pl.lit(rule.name)) for rule in rules]
    return pl.concat_list(names).list.drop_nulls()
