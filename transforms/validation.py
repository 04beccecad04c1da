"""Validation of candles: splits raw candles into candles and quarantine; pure, and no row is
lost.
"""

import polars as pl

from lake.table import BATCH
from lake.tables import SUPERSEDED
from transforms.rules import ERRORS, broken_names


def validate(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split raw candles by the rules.

    Args:
        raw: rows of `raw_candles`, one instrument after the other, each sorted by time, with
            listed_at and expires_at of their records. Of several rows of one minute the last batch
            counts; the others are superseded.

    Returns:
        Rows of `candles`, none flagged, and rows of `quarantine`; together as many as in `raw`.
    """
    raw, older = _newest(raw)
    is_broken = raw.select(pl.any_horizontal(*(rule.broken for rule in ERRORS)))[:, 0]
    found = is_broken.any()
    sound, broken = (raw.filter(~is_broken), raw.filter(is_broken)) if found else (raw, raw.clear())
    candles = sound.with_columns(
        traded=pl.col("volume") > 0,
        # Rules that compare instruments come later: transforms/spikes.py.
        suspect=pl.lit(value=False),
    )
    quarantine = broken.with_columns(rules=broken_names(ERRORS))
    if older.height:
        named = older.with_columns(rules=pl.lit([SUPERSEDED]))
        quarantine = pl.concat([quarantine, named]).sort("ts", maintain_order=True)
    return candles.drop(BATCH), quarantine.drop(BATCH)


def _newest(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that count, one a minute, and the rows that a later batch replaced."""
    ts = raw["ts"]
    is_alike = ts.slice(1) == ts.slice(0, max(raw.height, 1) - 1)
    # Adjacent rows may also be of two instruments.
    if not is_alike.any():
        return raw, raw.clear()
    ordered = raw.sort("instrument", "ts", BATCH)
    following = pl.struct("instrument", "ts").shift(-1)
    is_last = pl.struct("instrument", "ts").ne_missing(following)
    return ordered.filter(is_last), ordered.filter(~is_last)
