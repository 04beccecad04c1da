"""Times and rates in the SQL of views: lengths in microseconds, and the exchange's day.

Integers, because DuckDB's functions of times with a zone consult a calendar for every row.
"""

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# The exchange's day: its dated futures expire and its accounts settle at 08:00 UTC.
DAY_STARTS_AT_HOUR = 8
DAY_STARTS_US = DAY_STARTS_AT_HOUR * HOUR_US
# The last minute of that day, 07:59, as microseconds of a calendar day.
LAST_MINUTE_US = DAY_STARTS_US - MINUTE_US
HOURS_PER_YEAR = 8760
DAYS_PER_YEAR = 365
# Rates of funding as exact decimals: a sum of them is the same in any order, and a difference of
# running sums is as exact as a sum of the hours between.
EXACT = "DECIMAL(38, 24)"


def start_of_day(microseconds: str) -> str:
    """SQL of the 08:00 that begins the exchange's day of a time, both in microseconds."""
    return f"(({microseconds} - {DAY_STARTS_US}) // {DAY_US} * {DAY_US} + {DAY_STARTS_US})"


def basis_pct(price: str, reference: str) -> str:
    """SQL of how far a price is above a reference, in percent of the reference."""
    return f"({price} - {reference}) / {reference} * 100"


def annualised(percent: str, days: str) -> str:
    """SQL of a simple annual rate; null if 60 minutes or less are left."""
    return f"CASE WHEN {days} * 24 > 1 THEN {percent} * {DAYS_PER_YEAR} / {days} END"
