"""The view of every future's carry at 08:00 of each day."""

from dataclasses import replace

from lake.query.views.carry import COLUMNS, TRAILING_DAYS, figures_ctes
from lake.query.views.clock import (
    DAY_STARTS_US,
    DAY_US,
    EXACT,
    HOURS_PER_YEAR,
    LAST_MINUTE_US,
    MINUTE_US,
)
from lake.query.views.declaration import View

# The 08:00 of a day that an hour counts for, in microseconds: it ends in the 24 hours up to then.
_DAY_OF_HOUR = (
    f"(epoch_us(hour_end) - {DAY_STARTS_US} + {DAY_US - 1}) // {DAY_US} * {DAY_US} "
    f"+ {DAY_STARTS_US}"
)
# The time is the day's 08:00, so the end of the hour of the index and the time of the settlement
# would say the same again.
_MEANINGS = {
    "ts": "08:00 of the day",
    "days_to_expiry": "expires_at less 07:59 of the day, from which the annual rates count",
    "index_price": "index at 08:00 of the day",
    "open_interest": "position of the settlement of that 08:00",
}
_COLUMNS = tuple(
    replace(column, meaning=_MEANINGS.get(column.name, column.meaning))
    for column in COLUMNS
    if column.name not in ("index_hour_end", "settled_at")
)


def _trailing(days: int) -> str:
    """The hours that are stored of the days up to one, and what was paid in them, annualised."""
    return f"""
        sum(hours) OVER last_{days} AS hours_{days}d,
        CASE WHEN hours_{days}d = {24 * days}
             THEN CAST(sum(total) OVER last_{days} AS DOUBLE) * {HOURS_PER_YEAR} / {24 * days}
                  * 100 END AS funding_{days}d_pct"""


def _window(days: int) -> str:
    return (
        f"last_{days} AS (PARTITION BY instrument ORDER BY day_us "
        f"RANGE BETWEEN {(days - 1) * DAY_US} PRECEDING AND CURRENT ROW)"
    )


CARRY_DAILY = View(
    name="carry_daily",
    meaning="Every future at 08:00 of each day: basis, funding, open interest.",
    formula=(
        "The figures of `carry_at` in the minute labelled 07:59, which ends at ts: the closes of "
        "that minute, the index at ts, and the funding of the 168 and 720 hours that end at ts. "
        "days_to_expiry and the annual rates count from 07:59. Only open_interest is from another "
        "time: the settlement of ts itself, some milliseconds after ts, as in "
        "`open_interest_daily`. A row is a candle of a future in the minute 07:59. Any other "
        "missing input is null, and reason names it. Simple rates, ACT/365."
    ),
    source=(
        "Tables `candles` (suspect ones as well), `instruments`, `funding` and `settlements`. "
        "PostgreSQL has it as a table. Fees, collateral and borrowing are not in it."
    ),
    columns=_COLUMNS,
    sql=f"""
        WITH closes AS MATERIALIZED (
            SELECT instrument, epoch_us(ts) + {MINUTE_US} AS day_us, close, traded, suspect
            FROM candles
            WHERE epoch_us(ts) % {DAY_US} = {LAST_MINUTE_US}
        ), by_day AS (
            SELECT instrument, {_DAY_OF_HOUR} AS day_us, count(*) AS hours,
                   sum(CAST(interest_1h AS {EXACT})) AS total
            FROM funding
            GROUP BY ALL
        ), days AS (
            SELECT instrument, unnest(range(min(day_us), (SELECT max(day_us) FROM closes) + 1,
                                            {DAY_US})) AS day_us
            FROM by_day
            GROUP BY instrument
        ), paid AS (
            SELECT instrument, day_us, {", ".join(map(_trailing, TRAILING_DAYS))}
            FROM days
            LEFT JOIN by_day USING (instrument, day_us)
            WINDOW {", ".join(map(_window, TRAILING_DAYS))}
        ), joined AS (
            SELECT futures.base AS coin, futures.instrument, futures.term, futures.expires_at,
                   make_timestamptz(own.day_us) AS ts,
                   (epoch_us(futures.expires_at) - own.day_us + {MINUTE_US}) / {DAY_US}
                       AS days_to_expiry,
                   perpetuals.instrument AS perpetual, own.close AS future_close,
                   other.close AS perpetual_close, index_hourly.index_price,
                   paid.* EXCLUDE (instrument, day_us), interest.open_interest,
                   own.traded AS future_traded, own.suspect OR other.suspect AS suspect
            FROM closes AS own
            JOIN instruments AS futures
                ON futures.instrument = own.instrument AND futures.kind = 'future'
            LEFT JOIN instruments AS perpetuals
                ON perpetuals.kind = 'perpetual' AND perpetuals.base = futures.base
            LEFT JOIN closes AS other
                ON other.instrument = perpetuals.instrument AND other.day_us = own.day_us
            LEFT JOIN index_hourly
                ON index_name = futures.price_index
                AND hour_end = make_timestamptz(own.day_us)
            LEFT JOIN paid
                ON paid.instrument = perpetuals.instrument AND paid.day_us = own.day_us
            LEFT JOIN open_interest_daily AS interest
                ON interest.instrument = own.instrument
                AND interest.ts = make_timestamptz(own.day_us)
        ), {figures_ctes("no settlement of the day")}
        SELECT {", ".join(column.name for column in _COLUMNS)}
        FROM figures
        ORDER BY ts, coin, expires_at, instrument
    """,
)
