"""Ready queries about the basis through time, and about rolls."""

from basislake.sql.examples.example import example, may_be_empty

HISTORY = (
    example(
        "front-quarterly",
        "Basis of the front quarterly, day by day",
        "A row per coin and day, the newest first, of the front quarterly. It rolls five days "
        "before each expiry, so that the last days do not dominate the mean. `traded_pct` is the "
        "percentage of minutes with a trade.",
        """
        SELECT coin, date_trunc('day', ts) AS day, instrument,
               avg(basis_pct) AS basis_pct, avg(annualised_pct) AS annualised_pct,
               100.0 * count_if(future_traded AND perpetual_traded) / count(*) AS traded_pct
        FROM front_by('quarterly', 5)
        WHERE NOT suspect
        GROUP BY ALL
        ORDER BY day DESC, coin, instrument
        """,
    ),
    example(
        "basis-months",
        "Average quarterly basis, month by month",
        "A row per coin and calendar month, the newest first: mean, least and greatest basis of "
        "its minutes, in percent and percent a year. The series rolls five days before each "
        "expiry. Suspect minutes are left out.",
        """
        SELECT coin, date_trunc('month', ts) AS month, avg(basis_pct) AS basis_pct,
               avg(annualised_pct) AS annualised_pct, min(annualised_pct) AS min_annualised_pct,
               max(annualised_pct) AS max_annualised_pct, count(*) AS minutes
        FROM front_by('quarterly', 5)
        WHERE NOT suspect
        GROUP BY ALL
        ORDER BY month DESC, coin
        """,
    ),
    example(
        "basis-history",
        "The hourly basis of the futures that expire next",
        "A row per hour of each coin's next future, oldest first; for the history of one contract, "
        "put its name into the last condition.",
        """
        WITH upcoming AS (
            SELECT base, arg_min(instrument, expires_at) AS instrument
            FROM instruments
            WHERE kind = 'future' AND expires_at > (SELECT max(ts) FROM basis)
                AND instrument IN (SELECT DISTINCT instrument FROM basis)
            GROUP BY base
        )
        SELECT instrument, ts, last_basis_pct, mean_basis_pct, last_annualised_pct,
               both_traded_minutes
        FROM basis_hourly
        WHERE instrument IN (SELECT instrument FROM upcoming)
        ORDER BY instrument, ts
        """,
    ),
    example(
        "basis-days",
        "Daily basis of the futures that live longest",
        "A row per day of each coin's longest-lived future with a basis; both_traded_minutes is "
        "the number of minutes in which both legs traded.",
        """
        WITH lives AS (
            SELECT DISTINCT base, instrument, expires_at - listed_at AS life
            FROM instruments
            SEMI JOIN basis USING (instrument)
        ), longest AS (
            SELECT base, max_by(instrument, (life, instrument)) AS instrument
            FROM lives
            GROUP BY base
        )
        SELECT basis_daily.*
        FROM basis_daily
        JOIN longest USING (instrument)
        ORDER BY instrument, ts
        """,
    ),
    example(
        "recent-basis",
        "The basis of the last 30 days, contract by contract",
        "A row per future with a basis in the 30 days before the newest minute: mean, extremes and "
        "last basis in percent. Suspect minutes are left out.",
        """
        SELECT base AS coin, instrument, expires_at, count(*) AS minutes,
               avg(basis_pct) AS mean_basis_pct, min(basis_pct) AS min_basis_pct,
               max(basis_pct) AS max_basis_pct, arg_max(basis_pct, ts) AS last_basis_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE ts > (SELECT max(ts) FROM basis) - INTERVAL 30 DAY AND NOT suspect
        GROUP BY ALL
        ORDER BY coin, expires_at
        """,
    ),
    example(
        "contango",
        "How often the curve was in contango",
        "A row per coin and month, the newest first: percent of the minutes in contango and in "
        "backwardation, for futures that traded in the minute.",
        """
        SELECT base AS coin, date_trunc('month', ts) AS month, count(*) AS minutes,
               100.0 * count_if(market_structure = 'contango') / count(*) AS contango_pct,
               100.0 * count_if(market_structure = 'backwardation') / count(*) AS backwardation_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE future_traded AND perpetual_traded
        GROUP BY ALL
        ORDER BY month DESC, coin
        """,
    ),
    example(
        "basis-jumps",
        "The largest moves of the quarterly basis within an hour",
        "Twenty rows, the largest first: annualised basis of the front quarterly in the first and "
        "the last minute of an hour in which both legs traded, and the change.",
        """
        SELECT coin, date_trunc('hour', ts) AS hour, instrument,
               arg_min(annualised_pct, ts) AS from_pct, arg_max(annualised_pct, ts) AS to_pct,
               to_pct - from_pct AS change_pct, count(*) AS traded_minutes
        FROM front_by('quarterly', 5)
        WHERE future_traded AND perpetual_traded AND NOT suspect
        GROUP BY ALL
        ORDER BY abs(change_pct) DESC, coin, hour
        LIMIT 20
        """,
    ),
    example(
        "extremes",
        "The largest and the smallest annualised basis that was traded",
        "Ten rows: minutes in which both legs traded, with a day or more left, that no warning "
        "rule flags.",
        """
        SELECT instrument, ts, future_close, perpetual_close, basis_pct, annualised_pct
        FROM basis
        WHERE future_traded AND perpetual_traded AND NOT suspect AND days_to_expiry >= 1
        QUALIFY row_number() OVER (ORDER BY annualised_pct DESC, instrument, ts) <= 5
            OR row_number() OVER (ORDER BY annualised_pct, instrument, ts) <= 5
        ORDER BY annualised_pct DESC, instrument, ts
        """,
    ),
    example(
        "widest-gaps",
        "The widest gaps between future and perpetual",
        "Twenty rows, at most one per future: its minute with the largest basis in percent, above "
        "or below zero. Only minutes in which both legs traded count, without suspect ones.",
        """
        SELECT instrument, arg_max(ts, abs(basis_pct)) AS ts,
               arg_max(future_close, abs(basis_pct)) AS future_close,
               arg_max(perpetual_close, abs(basis_pct)) AS perpetual_close,
               arg_max(basis_pct, abs(basis_pct)) AS basis_pct,
               arg_max(days_to_expiry, abs(basis_pct)) AS days_to_expiry
        FROM basis
        WHERE future_traded AND perpetual_traded AND NOT suspect
        GROUP BY instrument
        ORDER BY max(abs(basis.basis_pct)) DESC, instrument
        LIMIT 20
        """,
    ),
    may_be_empty(
        "quarterly-rolls",
        "The cost of a roll of the front quarterly",
        "A row per roll, the newest first: the closes of both contracts in one minute, five "
        "days before the expiry. They are null if the two share no minute in the day before.",
        """
        SELECT coin, ts, from_instrument, to_instrument, gap_ts, from_close, to_close, gap,
               100 * (ratio - 1) AS gap_pct, both_traded
        FROM rolls_by('quarterly', 5)
        ORDER BY ts DESC, coin
        """,
    ),
    example(
        "rolls",
        "When the front contract changed, and by how much the price jumped",
        "A row per roll of the front, the newest first. Most have the reason `expired`, at 08:00 "
        "UTC. `absent` means that a contract had no basis in that minute, `nearer` that it "
        "returned.",
        """
        SELECT coin, ts, from_instrument, to_instrument, from_close, to_close, gap, reason
        FROM rolls
        WHERE position = 'front'
        ORDER BY ts DESC, coin
        """,
    ),
)
