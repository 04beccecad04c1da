"""Figures of the market: the basis across expiries and over time, and how much of it trades."""

from basislake.report.figures import Chart, Figure, Kind, query

# Of the distances of the view `constant_maturity_by`.
MATURITY_DAYS = (7, 30, 90, 180)
STEPS_A_LIFE = 120

TERM_STRUCTURE = Figure(
    name="term-structure",
    title="Term structure",
    meaning=(
        "Annualised basis of every open future by its days to expiry, in the last minute of each "
        "day (23:59 UTC) and in the newest minute of all. Hollow: the future or its perpetual did "
        "not trade in that minute, so a price is a repeated close. Left out: futures with 60 "
        "minutes or less to live, which have no annualised basis, and suspect minutes."
    ),
    sql=query("""
        SELECT base AS coin, strftime(ts, '%Y-%m-%d %H:%M') AS minute,
               list(instrument ORDER BY expires_at, instrument) AS instruments,
               list(round(days_to_expiry, 3) ORDER BY expires_at, instrument) AS days,
               list(round(annualised_pct, 3) ORDER BY expires_at, instrument) AS annualised_pct,
               list((future_traded AND perpetual_traded)::TINYINT
                    ORDER BY expires_at, instrument) AS traded
        FROM basis
        JOIN instruments USING (instrument)
        WHERE ((epoch_us(ts) // 60000000 + 1) % 1440 = 0 OR ts = (SELECT max(ts) FROM basis))
            AND annualised_pct IS NOT NULL
            AND NOT suspect
        GROUP BY coin, ts
        ORDER BY ts, coin
    """),
    units={"days": "days", "annualised_pct": "percent a year"},
    chart=Chart(
        Kind.CURVE,
        x="days",
        y=("annualised_pct",),
        series="coin",
        choose="minute",
        x_title="days to expiry",
        y_title="annualised basis, % a year",
    ),
    is_wide=True,
)

MATURITY = Figure(
    name="constant-maturity",
    title="Basis at constant maturity",
    meaning=(
        "Annualised basis at fixed distances to expiry, by the forward rate between the two "
        "neighbouring futures, as of the last minute of each day (23:59 UTC); the view "
        "`constant_maturity_by`. No line where no future expires on one of the two sides: "
        "nothing is extrapolated, and no day is filled in."
    ),
    sql=query(
        "SELECT coin, strftime(ts, '%Y-%m-%d') AS day,\n"
        + ",\n".join(
            f"       round(max(annualised_pct) FILTER (days = {days}), 3) AS pct_{days}_days"
            for days in MATURITY_DAYS
        )
        + "\nFROM constant_maturity_by(1440, 'forward', 'perpetual')"
        + "\nGROUP BY coin, ts\nORDER BY coin, ts"
    ),
    units={f"pct_{days}_days": "percent a year" for days in MATURITY_DAYS},
    chart=Chart(
        Kind.LINES,
        x="day",
        y=tuple(f"pct_{days}_days" for days in MATURITY_DAYS),
        choose="coin",
        stands_for={f"pct_{days}_days": f"{days} days" for days in MATURITY_DAYS},
        colours=tuple(f"step-{n}" for n in range(1, len(MATURITY_DAYS) + 1)),
        y_title="% a year",
    ),
    is_wide=True,
)

CONTRACTS = Figure(
    name="contracts",
    title="One contract's way to expiry",
    meaning=(
        f"Basis of a future by days to expiry, its life cut into at most {STEPS_A_LIFE} steps of "
        "whole minutes counted back from the expiry: the line is the last minute of a step, the "
        "band its lowest and highest, so no extreme is lost. Suspect minutes are left out."
    ),
    sql=query(f"""
        WITH lives AS (
            SELECT instrument, epoch_us(expires_at) AS expiry_us,
                   greatest(1, (epoch_us(expires_at) - epoch_us(listed_at))
                               // {60_000_000 * STEPS_A_LIFE} + 1) AS step_minutes
            FROM instruments
            WHERE kind = 'future'
        ), steps AS (
            SELECT instrument, step_minutes,
                   (expiry_us - epoch_us(ts)) // (60000000 * step_minutes) AS step,
                   arg_max(basis_pct, ts) AS last, min(basis_pct) AS low, max(basis_pct) AS high
            FROM basis
            JOIN lives USING (instrument)
            WHERE NOT suspect
            GROUP BY ALL
        )
        SELECT instrument, step_minutes,
               list(step ORDER BY step DESC) AS step,
               list(round(last, 4) ORDER BY step DESC) AS last_basis_pct,
               list(round(low, 4) ORDER BY step DESC) AS low_basis_pct,
               list(round(high, 4) ORDER BY step DESC) AS high_basis_pct
        FROM steps
        JOIN instruments USING (instrument)
        GROUP BY instrument, step_minutes, base, expires_at
        ORDER BY expires_at DESC, base, instrument
    """),
    units={
        "step_minutes": "minutes",
        "step": "steps of step_minutes before the expiry",
        "last_basis_pct": "percent",
        "low_basis_pct": "percent",
        "high_basis_pct": "percent",
    },
    chart=Chart(
        Kind.BAND,
        x="step",
        y=("last_basis_pct", "low_basis_pct", "high_basis_pct"),
        choose="instrument",
        x_title="days to expiry",
        y_title="basis, % of the perpetual",
    ),
)

UNTRADED = Figure(
    name="untraded",
    title="Untraded minutes",
    meaning=(
        "Share of the candles of a calendar month (UTC) in whose minute nothing traded: the "
        "exchange then repeats the last close."
    ),
    sql=query("""
        WITH days AS (
            SELECT instrument, epoch_us(ts) // 86400000000 AS day, count(*) AS candles,
                   count_if(NOT traded) AS untraded
            FROM candles
            GROUP BY ALL
        )
        SELECT base || ' ' || if(kind = 'perpetual', 'perpetual', 'futures') AS series,
               strftime(make_timestamp(day * 86400000000), '%Y-%m') AS month,
               sum(candles) AS candles, sum(untraded) AS untraded,
               round(100 * sum(untraded) / sum(candles), 3) AS untraded_pct
        FROM days
        JOIN instruments USING (instrument)
        GROUP BY 1, 2
        ORDER BY 1, 2
    """),
    units={"untraded_pct": "percent"},
    chart=Chart(
        Kind.LINES,
        x="month",
        y=("untraded_pct",),
        series="series",
        y_title="% of candles",
    ),
)
