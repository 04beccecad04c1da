"""The figures of one instrument's raw candles, for the `quality` table; pure."""

from datetime import datetime

import polars as pl

from lake.spans import MINUTE
from lake.tables import QUALITY

_LONG_GAP_MINUTES = 10


def quality(
    raw: pl.DataFrame,
    candles: pl.DataFrame,
    asked_until: datetime | None,
    duplicates: int,
) -> pl.DataFrame:
    """Return one row of `quality`.

    Missing minutes and gaps count from the first raw candle to `asked_until`, so what the exchange
    had before the first trade is no gap, and what it lacks at the end is one.

    Args:
        raw: rows of `raw_candles` of one instrument, one a minute, sorted; at least one.
        candles: those that passed validation.
        asked_until: end of what was asked, exclusive; None where that is not recorded.
        duplicates: repeats seen in replies.
    """
    ts = raw["ts"]
    first, last = ts[0], ts[-1]
    end = max(asked_until or last, last + MINUTE)
    gaps = _gap_minutes(ts, end)
    return pl.DataFrame(
        {
            "instrument": raw["instrument"][0],
            "rows": raw.height,
            "first_ts": first,
            "last_ts": last,
            "expected_minutes": (end - first) // MINUTE,
            "missing_minutes": int(gaps.sum()),
            "gaps": len(gaps),
            "gaps_over_10m": int((gaps > _LONG_GAP_MINUTES).sum()),
            "longest_gap_minutes": max(gaps.to_list(), default=0),
            "duplicates": duplicates,
            "quarantined": raw.height - candles.height,
            "untraded_minutes": int((~candles["traded"]).sum()),
        },
        schema=QUALITY.polars_schema,
    )


def _gap_minutes(ts: pl.Series, end: datetime) -> pl.Series:
    """Lengths of the runs of minutes absent between the first candle and the end, in order."""
    steps = ts.extend_constant(end, 1).diff()
    return steps.filter(steps > MINUTE).dt.total_minutes() - 1
