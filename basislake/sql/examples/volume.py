"""Ready queries about traded amounts and times."""

from basislake.sql.examples.example import example

TRADING = (
    example(
        "volume",
        "Current volume of each contract",
        "A row per contract that traded in the 30 days before the newest minute, the most traded "
        "first. It has the traded amount in USD (`cost`) of the last day, 7 and 30 days, and the "
        "contract's share of the coin's last day.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM candles)
        SELECT base AS coin, instrument, term,
               sum(cost) FILTER (candles.ts > newest.ts - INTERVAL 1 DAY) AS day_cost,
               100 * day_cost / sum(day_cost) OVER (PARTITION BY coin) AS day_share_pct,
               sum(cost) FILTER (candles.ts > newest.ts - INTERVAL 7 DAY) AS week_cost,
               sum(cost) AS month_cost
        FROM candles
        JOIN instruments USING (instrument)
        CROSS JOIN newest
        WHERE candles.ts > (SELECT ts - INTERVAL 30 DAY FROM newest) AND traded
        GROUP BY coin, instrument, term
        ORDER BY coin, day_cost DESC NULLS LAST, instrument
        """,
    ),
    example(
        "most-traded",
        "The most traded contracts",
        "Twenty rows: traded amount in the quote currency (`cost`) over a contract's life, its "
        "mean per day that has candles, and the share of minutes with a trade.",
        """
        SELECT instrument, sum(cost) AS cost, sum(volume) AS volume,
               sum(cost) / count(DISTINCT ts::DATE) AS cost_a_day,
               100.0 * count_if(traded) / count(*) AS traded_minutes_pct,
               min(ts) AS first_ts, max(ts) AS last_ts
        FROM candles
        GROUP BY instrument
        ORDER BY cost DESC, instrument
        LIMIT 20
        """,
    ),
    example(
        "volume-days",
        "Traded amount a day, futures and perpetuals",
        "A row per coin and day, the newest first, from 08:00 to 08:00 UTC: `cost` of the dated"
        " futures and of the perpetual, and the share of the futures in both.",
        """
        SELECT base AS coin, ts, sum(cost) FILTER (WHERE kind = 'future') AS futures_cost,
               sum(cost) FILTER (WHERE kind = 'perpetual') AS perpetual_cost,
               100 * futures_cost / sum(cost) AS futures_share_pct
        FROM candles_daily
        JOIN instruments USING (instrument)
        GROUP BY base, ts
        ORDER BY ts DESC, coin
        """,
    ),
    example(
        "busiest-hours",
        "When the market trades",
        "A row per coin and hour of the day (UTC): share of the traded amount of all contracts, "
        "and share of the futures' minutes with a trade.",
        """
        WITH hours AS (
            SELECT base AS coin, hour(ts) AS hour, sum(cost) AS cost,
                   100.0 * count_if(traded AND kind = 'future')
                       / nullif(count_if(kind = 'future'), 0) AS futures_traded_pct
            FROM candles
            JOIN instruments USING (instrument)
            GROUP BY ALL
        )
        SELECT coin, hour, 100 * cost / sum(cost) OVER (PARTITION BY coin) AS cost_pct,
               futures_traded_pct
        FROM hours
        ORDER BY coin, hour
        """,
    ),
    example(
        "last-trades",
        "How long ago each open future last traded",
        "A row per future that is open in the newest minute: its last trade, and the minutes "
        "since, in which its close only repeats that trade.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM candles)
        SELECT base AS coin, instrument, expires_at,
               max(candles.ts) FILTER (WHERE traded) AS last_trade,
               date_diff('minute', last_trade, any_value(newest.ts)) AS minutes_ago,
               arg_max(close, candles.ts) AS last_close
        FROM candles
        JOIN instruments USING (instrument)
        CROSS JOIN newest
        WHERE kind = 'future' AND expires_at > newest.ts
        GROUP BY ALL
        ORDER BY coin, expires_at
        """,
    ),
)
