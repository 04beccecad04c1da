"""Ready queries about carry, which need funding, delivery prices and settlements."""

from basislake.sql.examples.example import Example, may_be_empty

CARRY: tuple[Example, ...] = (
    may_be_empty(
        "carry-by-quarter",
        "Realised carry by quarter, after funding",
        "A row per coin and quarter of entry; each day's entry into each future of a week or more "
        "has the same weight. Basis at entry, funding paid and the rest, in percent a year, and "
        "the share of carries with a gain.",
        """
        SELECT base AS coin, CAST(date_trunc('quarter', entry) AS DATE) AS quarter,
               count(*) AS carries, avg(locked_pct * 365 / days) AS locked_apr_pct,
               avg(funding_pct * 365 / days) AS funding_apr_pct, avg(net_apr_pct) AS net_apr_pct,
               avg(CAST(net_pct > 0 AS INTEGER)) * 100 AS earned_pct
        FROM realised_carry
        JOIN instruments USING (instrument)
        WHERE net_pct IS NOT NULL AND days >= 7
        GROUP BY ALL
        ORDER BY coin, quarter
        """,
    ),
    may_be_empty(
        "basis-against-funding",
        "When basis and funding disagreed",
        "Thirty rows, each a coin and a day, the largest difference first: the mean basis of "
        "futures with a week or more left, and the perpetual's funding in the 7 days before, both "
        "in percent a year.",
        """
        WITH paid AS (
            SELECT base AS coin, daily.ts + INTERVAL 1 DAY AS ts,
                   avg(annualised_pct) OVER week AS funding_7d_pct, sum(hours) OVER week AS hours
            FROM funding_daily AS daily
            JOIN instruments USING (instrument)
            WINDOW week AS (PARTITION BY instrument ORDER BY daily.ts ROWS 6 PRECEDING)
        )
        SELECT coin, ts, equally_pct AS basis_apr_pct, funding_7d_pct,
               equally_pct - funding_7d_pct AS difference_pct,
               sign(equally_pct) <> sign(funding_7d_pct) AS signs_differ
        FROM weighted_basis_daily(7)
        JOIN paid USING (coin, ts)
        WHERE hours = 7 * 24
        ORDER BY abs(difference_pct) DESC
        LIMIT 30
        """,
    ),
    may_be_empty(
        "richest",
        "Where the curve is richest now",
        "A row per two neighbouring expiries in the newest minute: the forward rate between "
        "them, the highest first. A short back future and a long front future lock this rate in.",
        """
        SELECT coin, front, back, spread, forward_pct,
               forward_pct - avg(forward_pct) OVER (PARTITION BY coin) AS above_mean_pct,
               both_traded
        FROM calendar_spreads((SELECT max(ts) FROM basis))
        WHERE forward_pct IS NOT NULL
        ORDER BY coin, forward_pct DESC
        """,
    ),
    may_be_empty(
        "rolled-quarterly",
        "The return of rolling a short quarterly",
        "A row per expired quarterly: short the quarterly, long the perpetual, entered at the "
        "expiry of the quarterly before. total_net_pct is the sum of the carries, without "
        "compounding.",
        """
        WITH quarterlies AS (
            SELECT base AS coin, instrument, expires_at,
                   lag(expires_at) OVER (PARTITION BY base ORDER BY expires_at) AS rolled_at
            FROM instruments
            WHERE term = 'quarterly'
        )
        SELECT coin, instrument, rolled_at, expires_at, locked_pct, funding_pct, net_pct,
               net_apr_pct, sum(net_pct) OVER (PARTITION BY coin ORDER BY expires_at)
                   AS total_net_pct,
               reason
        FROM quarterlies
        JOIN realised_carry USING (instrument)
        WHERE entry = rolled_at
        ORDER BY coin, expires_at
        """,
    ),
    may_be_empty(
        "best-entry",
        "How long before the expiry an entry was best",
        "A row per coin and weeks to the expiry at entry: mean net carry in percent a year, "
        "its middle half, and the number of entries.",
        """
        SELECT base AS coin, CAST(floor(days / 7) AS INTEGER) AS weeks, count(*) AS carries,
               avg(net_apr_pct) AS mean_pct, quantile_cont(net_apr_pct, 0.25) AS lower_pct,
               quantile_cont(net_apr_pct, 0.75) AS upper_pct
        FROM realised_carry
        JOIN instruments USING (instrument)
        WHERE net_apr_pct IS NOT NULL
        GROUP BY ALL
        ORDER BY coin, weeks
        """,
    ),
    may_be_empty(
        "carry-unknown",
        "Trades whose carry cannot be computed, and why",
        "A row per reason: how many entries, of how many futures, from when to when. No row "
        "if every input is stored.",
        """
        SELECT regexp_replace(reason, '[0-9]+ of [0-9]+', 'some') AS reason, count(*) AS entries,
               count(DISTINCT instrument) AS futures, min(entry) AS first, max(entry) AS last
        FROM realised_carry
        WHERE reason IS NOT NULL
        GROUP BY ALL
        ORDER BY entries DESC
        """,
    ),
    may_be_empty(
        "funding-by-month",
        "Funding of a perpetual, by month",
        "A row per perpetual and calendar month: the sum of its hours in percent, the same in "
        "percent a year, and hours that are missing.",
        """
        SELECT instrument, month, sum_interest_1h * 100 AS paid_pct, annualised_pct, hours,
               missing_hours
        FROM funding_monthly
        ORDER BY instrument, month
        """,
    ),
    may_be_empty(
        "dearest-days",
        "The days on which holding a perpetual cost most",
        "The 20 days, from 08:00 to 08:00, with the highest funding either way, in percent a "
        "year; below 0 a short position paid.",
        """
        SELECT instrument, ts AS day, sum_interest_1h * 100 AS paid_pct, annualised_pct
        FROM funding_daily
        WHERE missing_hours = 0 AND hours = 24
        ORDER BY abs(annualised_pct) DESC
        LIMIT 20
        """,
    ),
    may_be_empty(
        "premium-by-hour",
        "The perpetual's premium by hour of the day",
        "A row per perpetual and hour (UTC): mean premium against the index in basis points, "
        "and the share of hours in which it was above 0.",
        """
        SELECT instrument, hour(hour_end) AS hour, avg(premium_pct) * 100 AS premium_bp,
               avg(CAST(premium_pct > 0 AS INTEGER)) * 100 AS above_pct, count(*) AS hours
        FROM perpetual_premium
        WHERE premium_pct IS NOT NULL
        GROUP BY ALL
        ORDER BY instrument, hour
        """,
    ),
    may_be_empty(
        "methods",
        "Constant-maturity basis, with three interpolation methods",
        "A row per coin and distance, against the index, in the newest minute 23:59: the same "
        "curve by each method. As they differ, a figure should always name its method.",
        """
        WITH figures AS (
            SELECT 'linear' AS method, * FROM constant_maturity_by(1440, 'linear', 'index')
            UNION ALL
            SELECT 'forward' AS method, * FROM constant_maturity_by(1440, 'forward', 'index')
            UNION ALL
            SELECT 'nearest' AS method, * FROM constant_maturity_by(1440, 'nearest', 'index')
        )
        SELECT coin, ts, days,
               max(annualised_pct) FILTER (method = 'linear') AS linear_pct,
               max(annualised_pct) FILTER (method = 'forward') AS forward_pct,
               max(annualised_pct) FILTER (method = 'nearest') AS nearest_pct
        FROM figures
        WHERE ts = (SELECT max(ts) FROM figures)
        GROUP BY coin, ts, days
        ORDER BY coin, days
        """,
    ),
    may_be_empty(
        "open-interest",
        "Open interest by expiry",
        "A row per future with open interest at the newest 08:00: its amount, its share of the "
        "coin, and its change since the day before.",
        """
        SELECT base AS coin, daily.instrument, expires_at, daily.ts, daily.open_interest,
               daily.open_interest / sum(daily.open_interest) OVER (PARTITION BY base) * 100
                   AS share_pct,
               daily.open_interest - before.open_interest AS change
        FROM open_interest_daily AS daily
        JOIN instruments ON instruments.instrument = daily.instrument AND kind = 'future'
        LEFT JOIN open_interest_daily AS before ON before.instrument = daily.instrument
            AND before.ts = daily.ts - INTERVAL 1 DAY
        WHERE daily.ts = (SELECT max(ts) FROM open_interest_daily)
        ORDER BY coin, expires_at
        """,
    ),
    may_be_empty(
        "weighted-basis",
        "The average basis, with three weightings",
        "A row per coin and day: the mean annualised basis of futures of a week or more, "
        "weighted by open interest, by traded cost, and equally.",
        """
        SELECT coin, ts, by_open_interest_pct, by_cost_pct, equally_pct, futures
        FROM weighted_basis_daily(7)
        ORDER BY coin, ts
        """,
    ),
    may_be_empty(
        "delivery-gap",
        "How far the perpetual was from the delivery price",
        "A row per expiry: the perpetual's close in the last minute against the delivery "
        "price, in basis points. A carry gains this in addition to the basis that it locked in.",
        """
        SELECT base AS coin, expires_at, any_value(perpetual_last) AS perpetual_last,
               any_value(delivery_price) AS delivery_price,
               (any_value(perpetual_last) / any_value(delivery_price) - 1) * 10000 AS gap_bp
        FROM realised_carry
        JOIN instruments USING (instrument)
        WHERE perpetual_last IS NOT NULL AND delivery_price IS NOT NULL
        GROUP BY coin, expires_at
        ORDER BY coin, expires_at
        """,
    ),
)
