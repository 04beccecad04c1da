"""The term of a contract: daily, weekly, monthly, quarterly or perpetual; pure."""

from datetime import UTC, datetime, timedelta

PERPETUAL = "perpetual"
DAILY, WEEKLY, MONTHLY, QUARTERLY = "daily", "weekly", "monthly", "quarterly"
# Shortest first.
DATED_TERMS = (DAILY, WEEKLY, MONTHLY, QUARTERLY)

_FRIDAY = 4
_WEEK = timedelta(days=7)
_QUARTER_MONTHS = (3, 6, 9, 12)


def term_of(expires_at: datetime | None) -> str:
    """Return a contract's term, determined by the day (UTC) of its expiry.

    A contract that expires on the last Friday of March, June, September or December is
    `quarterly`; on the last Friday of another month `monthly`; on another Friday `weekly`; on
    another day `daily`. A contract that expires on a Friday is never `daily`, however short its
    life.

    Args:
        expires_at: with a time zone; None for a perpetual.
    """
    if expires_at is None:
        return PERPETUAL
    day = expires_at.astimezone(UTC)
    if day.weekday() != _FRIDAY:
        return DAILY
    if (day + _WEEK).month == day.month:
        return WEEKLY
    return QUARTERLY if day.month in _QUARTER_MONTHS else MONTHLY
