"""Validation: raw candles of one instrument into candles and quarantine; pure, and no row is
lost.
"""

from datetime import datetime

import polars as pl

from transforms.rules import broken_names, errors


def validate(
    raw: pl.DataFrame, listed_at: datetime, expires_at: datetime | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split raw candles by the rules.

    Args:
        raw: rows of `raw_candles` of one instrument, one a minute.
        listed_at: creation, UTC.
        expires_at: expiry, UTC, exclusive; None for a perpetual.

    Returns:
        Rows of `candles`, none flagged, and rows of `quarantine`; together as many as came in.
    """
    rules = errors(listed_at, expires_at)
    is_broken = pl.any_horizontal(*(rule.broken for rule in rules))
    marked = raw.with_columns(is_broken.alias("_broken"))
    sound = marked.filter(~pl.col("_broken")).drop("_broken")
    broken = marked.filter("_broken").drop("_broken")
    candles = sound.with_columns(
        traded=pl.col("volume") > 0,
        # What other instruments tell comes later: transforms/spikes.py.
        suspect=pl.lit(value=False),
    )
    return candles, broken.with_columns(rules=broken_names(rules))
