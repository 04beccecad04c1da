"""The view of the realised carry of an expired future, by the day of entry."""

from lake.query.views.clock import (
    DAY_STARTS_US,
    DAY_US,
    DAYS_PER_YEAR,
    EXACT,
    HOUR_US,
    LAST_MINUTE_US,
    MINUTE_US,
    basis_pct,
)
from lake.query.views.declaration import View, columns_of, optional
from lake.table import Column, Type
from lake.tables import INSTRUMENTS

REALISED_CARRY = View(
    name="realised_carry",
    meaning="What a short future and a long perpetual earned from a day of entry to the expiry.",
    formula=(
        "entry is a day's 08:00. F = future_close and P = perpetual_close are the closes of the "
        "minute labelled 07:59, which ends at entry. D = delivery_price is the price of the "
        "future's index on the day of the expiry. P_T = perpetual_last is the perpetual's close in "
        "the last minute before the expiry. locked_pct = (F - P) / P x 100: the basis at entry. "
        "gross_pct = ((F - D) + (P_T - P)) / P x 100: both legs at the end. funding_pct = sum of "
        "interest_1h over the hours that end in (entry, expires_at] x 100, which the long "
        "perpetual pays. net_pct = gross_pct - funding_pct. net_apr_pct = net_pct x 365 / days: "
        "simple, ACT/365. days = expires_at - entry. Each row is a future that has expired by its "
        "record and a day whose 07:59 and 08:00 lie in its life. A missing input is null, and so "
        "is every figure derived from it; reason names the input. funding_pct is null if one of "
        "its hours is missing."
    ),
    source=(
        "Tables `instruments`, `candles` (including suspect ones), `deliveries` and `funding`. "
        "Both legs have the same size in coins. It does not include fees, collateral, borrowing or "
        "interest on profits."
    ),
    columns=(
        *columns_of(INSTRUMENTS, "instrument"),
        Column("entry", Type.TIME, "08:00 of a day in the future's life", "UTC"),
        Column("days", Type.FLOAT, "expires_at - entry", "days"),
        optional("future_close", "F: the future's close at entry", "quote per base"),
        optional("perpetual_close", "P: the perpetual's close at entry", "quote per base"),
        optional("delivery_price", "D: delivery price of the future", "quote per base"),
        optional("perpetual_last", "P_T: the perpetual's close at the expiry", "quote per base"),
        optional("locked_pct", "basis at entry", "percent of the perpetual_close"),
        optional(
            "gross_pct", "profit of both legs, before funding", "percent of the perpetual_close"
        ),
        optional(
            "funding_pct", "funding that the long perpetual paid", "percent of the perpetual_close"
        ),
        optional("net_pct", "profit after funding", "percent of the perpetual_close"),
        optional("net_apr_pct", "profit after funding, annualised", "percent a year"),
        optional("reason", "what is missing if a column is null", kind=Type.TEXT),
    ),
    sql=f"""
        WITH expired AS (
            SELECT futures.instrument, futures.price_index, perpetuals.instrument AS perpetual,
                   epoch_us(futures.listed_at) // {MINUTE_US} * {MINUTE_US} AS listed_us,
                   epoch_us(futures.expires_at) AS expires_us
            FROM instruments AS futures
            LEFT JOIN instruments AS perpetuals
                ON perpetuals.kind = 'perpetual' AND perpetuals.base = futures.base
            WHERE futures.kind = 'future' AND NOT futures.active
        ), entries AS (
            SELECT *, (expires_us - {MINUTE_US}) // {MINUTE_US} * {MINUTE_US} AS last_us,
                   -- From the first 07:59 of its life on, each a minute before an entry.
                   unnest(range(
                       (listed_us + {DAY_US - 1 - LAST_MINUTE_US}) // {DAY_US} * {DAY_US}
                           + {DAY_STARTS_US},
                       expires_us,
                       {DAY_US}
                   )) AS entry_us
            FROM expired
        ), closes AS MATERIALIZED (
            SELECT instrument, epoch_us(ts) AS ts_us, close
            FROM candles
            WHERE epoch_us(ts) % {DAY_US} = {LAST_MINUTE_US}
            UNION ALL
            -- Futures have expired at other hours, too. Apart, for one condition of both is slow.
            SELECT instrument, epoch_us(ts), close
            FROM candles
            JOIN (
                SELECT DISTINCT perpetual AS instrument, make_timestamptz(last_us) AS ts
                FROM entries
                WHERE last_us % {DAY_US} <> {LAST_MINUTE_US}
            ) USING (instrument, ts)
        ), paid AS MATERIALIZED (
            SELECT instrument, epoch_us(hour_end) AS end_us,
                   count(*) OVER earlier AS hours,
                   sum(CAST(interest_1h AS {EXACT})) OVER earlier AS total
            FROM funding
            WINDOW earlier AS (PARTITION BY instrument ORDER BY hour_end)
        ), inputs AS (
            SELECT entries.*, (expires_us - entry_us) / {DAY_US} AS days,
                   own.close AS future_close, other.close AS perpetual_close, delivery_price,
                   last.close AS perpetual_last,
                   expires_us // {HOUR_US} - entry_us // {HOUR_US} AS hours,
                   coalesce(until.hours, 0) - coalesce(before.hours, 0) AS stored_hours,
                   coalesce(until.total, 0) - coalesce(before.total, 0) AS paid
            FROM entries
            LEFT JOIN closes AS own
                ON own.instrument = entries.instrument AND own.ts_us = entry_us - {MINUTE_US}
            LEFT JOIN closes AS other
                ON other.instrument = perpetual AND other.ts_us = entry_us - {MINUTE_US}
            LEFT JOIN closes AS last ON last.instrument = perpetual AND last.ts_us = last_us
            LEFT JOIN deliveries
                ON index_name = price_index
                AND epoch_us(delivered_at) // {DAY_US} = expires_us // {DAY_US}
            ASOF LEFT JOIN paid AS before
                ON before.instrument = perpetual AND entry_us >= before.end_us
            ASOF LEFT JOIN paid AS until
                ON until.instrument = perpetual AND expires_us >= until.end_us
        ), figures AS (
            SELECT *, {basis_pct("future_close", "perpetual_close")} AS locked_pct,
                   ((future_close - delivery_price) + (perpetual_last - perpetual_close))
                       / perpetual_close * 100 AS gross_pct,
                   CASE WHEN stored_hours = hours THEN CAST(paid AS DOUBLE) * 100 END
                       AS funding_pct
            FROM inputs
        )
        SELECT instrument, make_timestamptz(entry_us) AS entry, days, future_close,
               perpetual_close, delivery_price, perpetual_last, locked_pct, gross_pct, funding_pct,
               gross_pct - funding_pct AS net_pct,
               (gross_pct - funding_pct) * {DAYS_PER_YEAR} / days AS net_apr_pct,
               nullif(concat_ws('; ',
                   CASE WHEN future_close IS NULL THEN 'the future has no candle at entry' END,
                   CASE WHEN perpetual IS NULL THEN 'its coin has no perpetual'
                        WHEN perpetual_close IS NULL AND perpetual_last IS NULL
                            THEN 'the perpetual has no candle at entry and at the expiry'
                        WHEN perpetual_close IS NULL THEN 'the perpetual has no candle at entry'
                        WHEN perpetual_last IS NULL
                            THEN 'the perpetual has no candle at the expiry' END,
                   CASE WHEN delivery_price IS NULL THEN 'no delivery price' END,
                   CASE WHEN perpetual IS NOT NULL AND stored_hours < hours
                        THEN hours - stored_hours || ' of ' || hours
                            || ' hours of funding are missing' END
               ), '') AS reason
        FROM figures
        ORDER BY instrument, entry
    """,
)
