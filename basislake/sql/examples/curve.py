"""Ready queries about the basis by expiry."""

from basislake.sql.examples.example import example, may_be_empty

CURVE = (
    example(
        "curve",
        "The newest term structure",
        "A row per open future in the newest minute of its coin, by coin and expiry; "
        "`basislake curve` prints the same.",
        """
        SELECT coin, ts, instrument, term, days_to_expiry, future_close, perpetual_close,
               basis_pct, annualised_pct, market_structure, future_traded_minutes_ago,
               perpetual_traded_minutes_ago
        FROM term_structure_latest
        ORDER BY coin, days_to_expiry
        """,
    ),
    example(
        "forward-rates",
        "Calendar spreads and forward rates now",
        "A row per two neighbouring expiries in the newest minute of the coin: the later price "
        "minus the earlier one, and the simple annual rate between the two. Suspect prices are "
        "left out.",
        """
        SELECT coin, ts, lag(instrument) OVER earlier AS nearer, instrument AS farther,
               future_close - lag(future_close) OVER earlier AS spread,
               100 * (future_close / lag(future_close) OVER earlier - 1) * 365
                   / (days_to_expiry - lag(days_to_expiry) OVER earlier) AS forward_pct,
               greatest(future_traded_minutes_ago,
                        lag(future_traded_minutes_ago) OVER earlier) AS traded_minutes_ago
        FROM term_structure_latest
        WHERE NOT suspect
        WINDOW earlier AS (PARTITION BY coin ORDER BY days_to_expiry, instrument)
        QUALIFY nearer IS NOT NULL
        ORDER BY coin, days_to_expiry
        """,
    ),
    example(
        "constant-maturity",
        "Annualised basis 7, 30, 60, 90, 120 and 180 days out",
        "A row per coin and day (the minute 23:59 UTC), the newest first; null if no future "
        "expires before, or none after, the distance.",
        """
        SELECT coin, ts,
               max(annualised_pct) FILTER (days = 7) AS days_7_pct,
               max(annualised_pct) FILTER (days = 30) AS days_30_pct,
               max(annualised_pct) FILTER (days = 60) AS days_60_pct,
               max(annualised_pct) FILTER (days = 90) AS days_90_pct,
               max(annualised_pct) FILTER (days = 120) AS days_120_pct,
               max(annualised_pct) FILTER (days = 180) AS days_180_pct
        FROM constant_maturity_by(1440, 'forward', 'perpetual')
        GROUP BY coin, ts
        ORDER BY ts DESC, coin
        """,
    ),
    example(
        "calendar-spread",
        "Next contract minus front contract, hour by hour",
        "A row per coin and hour of the newest week: mean difference between the basis of the next "
        "future and that of the front, in percent of the perpetual.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM basis)
        SELECT coin, date_trunc('hour', ts) AS hour,
               avg(basis_pct) FILTER (WHERE position = 'next')
                   - avg(basis_pct) FILTER (WHERE position = 'front') AS spread_pct,
               count_if(position = 'next') AS minutes
        FROM continuous_between((SELECT ts - INTERVAL 7 DAY FROM newest),
                                (SELECT ts + INTERVAL 1 MINUTE FROM newest))
        GROUP BY ALL
        ORDER BY coin, hour
        """,
    ),
    example(
        "roll-yield",
        "The cost of a roll from the front into the next contract",
        "A row per coin and day at 07:59 UTC with two futures, the newest first. It has the "
        "premium of the next price over the front price, in percent and annualised by the days "
        "between the two expiries. If the premium is above zero, a long position pays to roll.",
        """
        WITH days AS (
            SELECT base AS coin, ts, instrument, expires_at, future_close,
                   row_number() OVER (PARTITION BY base, ts ORDER BY expires_at) AS place
            FROM basis
            JOIN instruments USING (instrument)
            WHERE epoch_us(ts) // 60_000_000 % 1440 = 479 AND NOT suspect
        )
        SELECT front.coin, front.ts, front.instrument AS front, back.instrument AS next,
               100 * (back.future_close / front.future_close - 1) AS roll_pct,
               roll_pct * 365 * 86_400 / epoch(back.expires_at - front.expires_at)
                   AS roll_annualised_pct
        FROM days AS front
        JOIN days AS back ON back.coin = front.coin AND back.ts = front.ts AND back.place = 2
        WHERE front.place = 1
        ORDER BY front.ts DESC, front.coin
        """,
    ),
    example(
        "basis-moves",
        "How the basis moved in the last 24 hours",
        "A row per open future of the newest minute: its annualised basis then, 24 hours before, "
        "and the change.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM basis)
        SELECT base AS coin, current.instrument, current.days_to_expiry, current.annualised_pct,
               before.annualised_pct AS day_before_pct,
               current.annualised_pct - before.annualised_pct AS change_pct
        FROM basis AS current
        JOIN instruments USING (instrument)
        LEFT JOIN basis AS before ON before.instrument = current.instrument
            AND before.ts = current.ts - INTERVAL 1 DAY
        WHERE current.ts = (SELECT ts FROM newest)
        ORDER BY coin, current.days_to_expiry
        """,
    ),
    example(
        "by-time-left",
        "Basis by time left",
        "A row per coin and range of days to expiry, medians of all minutes; the basis "
        "shrinks to almost zero by the expiry.",
        """
        SELECT base AS coin,
               CASE WHEN days_to_expiry <= 7 THEN '7 days or less'
                    WHEN days_to_expiry <= 30 THEN '7 to 30 days'
                    WHEN days_to_expiry <= 90 THEN '30 to 90 days'
                    ELSE 'over 90 days' END AS time_left,
               count(*) AS minutes,
               median(basis_pct) AS basis_pct,
               median(annualised_pct) AS annualised_pct,
               100.0 * count_if(future_traded) / count(*) AS traded_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE NOT suspect
        GROUP BY ALL
        ORDER BY coin, min(days_to_expiry)
        """,
    ),
    example(
        "basis-by-days-left",
        "Average basis by days to expiry",
        "A row per coin and number of full days left: mean and standard deviation of the basis "
        "over all contracts, and the number of contracts. Only minutes in which both legs traded "
        "count.",
        """
        SELECT base AS coin, CAST(floor(days_to_expiry) AS BIGINT) AS days_left,
               count(DISTINCT instrument) AS contracts, count(*) AS minutes,
               avg(basis_pct) AS mean_basis_pct, stddev_samp(basis_pct) AS stddev_basis_pct,
               avg(annualised_pct) AS mean_annualised_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE future_traded AND perpetual_traded AND NOT suspect
        GROUP BY ALL
        ORDER BY coin, days_left
        """,
    ),
    may_be_empty(
        "month-before-expiry",
        "The basis 30 days before each expiry",
        "A row per expired future that has a basis in the minute 30 days before its expiry: both "
        "prices, and the basis in percent and annualised.",
        """
        SELECT base AS coin, basis.instrument, basis.ts, expires_at, future_close,
               perpetual_close, basis_pct, annualised_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE expires_at <= (SELECT max(ts) FROM basis)
            AND basis.ts = date_trunc('minute', expires_at - INTERVAL 30 DAY)
        ORDER BY coin, expires_at
        """,
    ),
    example(
        "last-day",
        "The basis on the last day of each future",
        "A row per coin and hour left, 23 to 0: mean size of the basis in percent. The basis goes "
        "to zero, because a future settles at the index that the perpetual follows.",
        """
        SELECT base AS coin, floor(days_to_expiry * 24) AS hours_left, count(*) AS minutes,
               avg(abs(basis_pct)) AS mean_size_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE days_to_expiry < 1 AND NOT suspect
        GROUP BY ALL
        ORDER BY coin, hours_left DESC
        """,
    ),
)
