"""Ready queries about prices and contracts."""

from basislake.sql.examples.example import example

PRICES = (
    example(
        "prices",
        "Current prices of the perpetuals, and how they moved",
        "A row per perpetual: the close of its newest minute, and the change in percent against "
        "the same minute a day, 7 and 30 days before. A change is null if that minute has no "
        "candle.",
        """
        WITH newest AS (
            SELECT instrument, max(ts) AS ts
            FROM candles
            WHERE instrument LIKE '%-PERPETUAL'
            GROUP BY instrument
        )
        SELECT now.instrument, now.ts, now.close AS price,
               100 * (now.close / day.close - 1) AS day_pct,
               100 * (now.close / week.close - 1) AS week_pct,
               100 * (now.close / month.close - 1) AS month_pct
        FROM newest
        JOIN candles AS now USING (instrument, ts)
        LEFT JOIN candles AS day
            ON day.instrument = now.instrument AND day.ts = now.ts - INTERVAL 1 DAY
        LEFT JOIN candles AS week
            ON week.instrument = now.instrument AND week.ts = now.ts - INTERVAL 7 DAY
        LEFT JOIN candles AS month
            ON month.instrument = now.instrument AND month.ts = now.ts - INTERVAL 30 DAY
        ORDER BY now.instrument
        """,
    ),
    example(
        "contracts",
        "Open contracts, their expiries and terms",
        "A row per instrument that is open at the newest candle, by coin and expiry, the perpetual "
        "first; contract_size is in USD, tick_size in USD per coin.",
        """
        WITH newest AS (
            SELECT max("end") AS ts FROM coverage WHERE dataset = 'candles' AND status = 'present'
        )
        SELECT instrument, term, expires_at, epoch(expires_at - newest.ts) / 86_400 AS days_left,
               contract_size, tick_size, settlement, price_index, listed_at
        FROM instruments
        CROSS JOIN newest
        WHERE listed_at < newest.ts AND (expires_at IS NULL OR expires_at > newest.ts)
        ORDER BY base, expires_at NULLS FIRST, instrument
        """,
    ),
    example(
        "days",
        "Daily candles of the perpetuals",
        "A row per perpetual and day, the newest first, from 08:00 to 08:00 UTC; `minutes` is "
        "1,440 for a complete day.",
        """
        SELECT instrument, ts, open, high, low, close, volume, cost, minutes, traded_minutes
        FROM candles_daily
        WHERE instrument LIKE '%-PERPETUAL'
        ORDER BY ts DESC, instrument
        """,
    ),
    example(
        "price-moves",
        "The largest moves of the perpetuals within an hour",
        "Twenty rows, the largest first: open and close of a full hour, and the move in percent. "
        "Hours with a suspect candle are left out.",
        """
        SELECT instrument, ts, open, close, 100 * (close / open - 1) AS move_pct, low, high, cost
        FROM candles_hourly
        WHERE instrument LIKE '%-PERPETUAL' AND suspect_minutes = 0
        ORDER BY abs(move_pct) DESC, instrument, ts
        LIMIT 20
        """,
    ),
    example(
        "hourly-volatility",
        "Realised volatility of the perpetuals, hour by hour",
        "A row per perpetual and hour of the newest week: standard deviation of the log returns of "
        "neighbouring minutes, in percent. It is annualised by the square root of the minutes in "
        "365 days.",
        """
        WITH returns AS (
            SELECT instrument, ts, ln(close / lag(close) OVER before) AS log_return,
                   ts - lag(ts) OVER before AS step
            FROM candles
            WHERE instrument LIKE '%-PERPETUAL' AND NOT suspect
                AND ts > (SELECT max(ts) FROM candles) - INTERVAL 7 DAY
            WINDOW before AS (PARTITION BY instrument ORDER BY ts)
        )
        SELECT instrument, date_trunc('hour', ts) AS hour, count(*) AS minutes,
               100 * stddev_samp(log_return) * sqrt(365 * 1440) AS volatility_pct
        FROM returns
        WHERE step = INTERVAL 1 MINUTE
        GROUP BY ALL
        ORDER BY instrument, hour
        """,
    ),
)
