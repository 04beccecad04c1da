"""Validation: raw candles of one instrument into candles and quarantine; pure, and no row is
lost.
"""

from datetime import datetime

import polars as pl

from transforms.rules import broken_names, errors


def validate(
    raw: pl.DataFrame, listed_at: datetime | pl.Expr, expires_at: datetime | pl.Expr | None
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
    is_broken = raw.select(pl.any_horizontal(*(rule.broken for rule in rules)))[:, 0]
    found = is_broken.any()
    sound, broken = (raw.filter(~is_broken), raw.filter(is_broken)) if found else (raw, raw.clear())
    candles = sound.with_columns(
        traded=pl.col("volume") > 0,
        # What other instruments tell comes later: transforms/spikes.py.
        suspect=pl.lit(value=False),
    )
    return candles, broken.with_columns(rules=broken_names(rules))
