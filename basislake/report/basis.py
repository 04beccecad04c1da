"""Figures of the basis through time: front quarterly, all contracts, constant maturity, the life of
one contract, and minutes without a trade.
"""

from basislake.report.figures import Chart, ChartKind, Figure, query
from basislake.report.time_steps import start_sql, step_sql, text_sql
from lake.query.views.fronts import FRONT_QUARTERLY_ROLL_DAYS
from lake.query.views.maturities import MATURITY_DAYS

STEPS_A_LIFE = 120
FRONT_STEPS, SURFACE_STEPS = 1_500, 400
# Level k of the surface reaches from k²/4 to (k + 1)²/4 days: levels are narrow near the expiry,
# where contracts are close together, and wide far from it.
LEVELS_A_ROOT_DAY = 2
SHORTEST_DAYS = 1

FRONT = Figure(
    name="front-quarterly",
    title="Front-quarterly basis",
    caption=f"Annualised; rolls to the next future {FRONT_QUARTERLY_ROLL_DAYS} days before expiry",
    meaning=(
        "The view `front_by`: the quarterly future that expires first, of those with more than "
        f"{FRONT_QUARTERLY_ROLL_DAYS} days left. There are at most {FRONT_STEPS:,} steps of equal "
        "length, an hour or more. A point is the last minute of a step; suspect minutes are left "
        "out. A step without a point breaks the line. Hover over a point to see the contract."
    ),
    sql=query(f"""
        WITH {step_sql(FRONT_STEPS)}, steps AS (
            SELECT coin, {start_sql()} AS start, arg_max(instrument, ts) AS instrument,
                   arg_max(annualised_pct, ts) AS annualised_pct
            FROM front_by('quarterly', {FRONT_QUARTERLY_ROLL_DAYS})
            CROSS JOIN step
            WHERE NOT suspect
            GROUP BY ALL
        )
        SELECT coin, {text_sql("start")} AS start, instrument,
               round(annualised_pct, 3) AS annualised_pct
        FROM steps
        ORDER BY coin, steps.start
    """),
    units={"annualised_pct": "percent a year"},
    chart=Chart(
        ChartKind.LINES,
        x="start",
        y=("annualised_pct",),
        series="coin",
        y_title="annualised basis, % a year",
    ),
)

SURFACE = Figure(
    name="surface",
    title="Every contract through time",
    caption="Annualised basis by time and days to expiry; contracts move down to their expiry",
    meaning=(
        f"A column is one of at most {SURFACE_STEPS} steps of equal length, an hour or more. A row "
        "is a level of days to expiry: level k is k²/4 to (k + 1)²/4 days. A cell is the median of "
        "its contracts, over the last minute of each hour. Left out: "
        f"suspect minutes, and contracts with less than {SHORTEST_DAYS} day to expiry, whose "
        "annualised basis is mostly noise. The colours end at the 2nd and 98th percentile of the "
        "cells. Click a cell to see its contract."
    ),
    sql=query(f"""
        WITH {step_sql(SURFACE_STEPS)}, cells AS (
            SELECT base AS coin, {start_sql()} AS start,
                   floor({LEVELS_A_ROOT_DAY} * sqrt(days_to_expiry))::INTEGER AS level,
                   median(annualised_pct) AS annualised_pct,
                   list_sort(list(DISTINCT instrument)) AS instruments
            FROM basis
            JOIN instruments USING (instrument)
            CROSS JOIN step
            WHERE (epoch_us(ts) // 60000000 + 1) % 60 = 0
                AND days_to_expiry >= {SHORTEST_DAYS}
                AND annualised_pct IS NOT NULL
                AND NOT suspect
            GROUP BY ALL
        )
        SELECT coin, {text_sql("start")} AS start, level,
               round(annualised_pct, 2) AS annualised_pct, instruments
        FROM cells
        ORDER BY coin, cells.start, level
    """),
    units={"level": "levels of days to expiry", "annualised_pct": "percent a year"},
    chart=Chart(
        ChartKind.SURFACE,
        x="start",
        y=("level", "annualised_pct"),
        choose="coin",
        y_title="days to expiry",
    ),
    is_wide=True,
    is_hourly=True,
)

TERM_STRUCTURE = Figure(
    name="term-structure",
    title="The curve on any day",
    caption="Annualised basis by days to expiry, in the last minute of a day (23:59 UTC)",
    meaning=(
        "Dotted: the newest minute of each coin. Hollow: the future or its perpetual did not "
        "trade in that minute. Left out: suspect minutes, and futures with 60 minutes or less to "
        "expiry, which have no annualised basis."
    ),
    sql=query(f"""
        SELECT base AS coin, {text_sql("ts")} AS minute,
               list(instrument ORDER BY expires_at, instrument) AS instruments,
               list(round(days_to_expiry, 2) ORDER BY expires_at, instrument) AS days,
               list(round(annualised_pct, 2) ORDER BY expires_at, instrument) AS annualised_pct,
               list((future_traded AND perpetual_traded)::TINYINT
                    ORDER BY expires_at, instrument) AS traded
        FROM basis
        JOIN instruments USING (instrument)
        WHERE (epoch_us(ts) // 60000000 + 1) % 1440 = 0
            AND annualised_pct IS NOT NULL
            AND NOT suspect
        GROUP BY coin, ts
        ORDER BY ts, coin
    """),
    units={"days": "days", "annualised_pct": "percent a year"},
    chart=Chart(
        ChartKind.HISTORY,
        x="days",
        y=("annualised_pct",),
        series="coin",
        choose="minute",
        y_title="annualised basis, % a year",
    ),
    is_hourly=True,
)

MATURITY = Figure(
    name="constant-maturity",
    title="Basis at constant maturity",
    caption="Annualised basis at fixed distances to expiry, in the last minute of each day",
    meaning=(
        "The view `constant_maturity`, method `forward`, at 23:59 UTC: interpolates the total "
        "basis linearly between the two neighbouring futures that have at least one day left. The "
        "line breaks if no future expires before, or none after, that maturity: nothing is "
        "extrapolated, and no day is filled in."
    ),
    sql=query(
        "SELECT coin, strftime(ts, '%Y-%m-%d') AS day,\n"
        + ",\n".join(
            f"       round(max(annualised_pct) FILTER (days = {days}), 2) AS pct_{days}_days"
            for days in MATURITY_DAYS
        )
        + "\nFROM constant_maturity_by(1440, 'forward', 'perpetual')"
        + "\nGROUP BY coin, ts\nORDER BY coin, ts"
    ),
    units={f"pct_{days}_days": "percent a year" for days in MATURITY_DAYS},
    chart=Chart(
        ChartKind.LINES,
        x="day",
        y=tuple(f"pct_{days}_days" for days in MATURITY_DAYS),
        choose="coin",
        names={f"pct_{days}_days": f"{days} days" for days in MATURITY_DAYS},
        colours=tuple(f"step-{n}" for n in range(1, len(MATURITY_DAYS) + 1)),
        y_title="annualised basis, % a year",
    ),
    is_hourly=True,
)

CONTRACTS = Figure(
    name="contracts",
    title="One contract until its expiry",
    caption="Basis in percent of the perpetual, by days to expiry",
    meaning=(
        f"The life of a future, in at most {STEPS_A_LIFE} steps of whole minutes, counted back "
        "from the expiry. The line is the basis in the last minute of a step, the band its lowest "
        "and highest basis, so no extreme is lost. Suspect minutes are left out."
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
        ChartKind.BAND,
        x="step",
        y=("last_basis_pct", "low_basis_pct", "high_basis_pct"),
        choose="instrument",
        y_title="basis, % of the perpetual",
    ),
)

UNTRADED = Figure(
    name="untraded",
    title="Minutes without a trade",
    caption="Candles in which nothing traded, in percent of all candles of a month (UTC)",
    meaning=(
        "For a minute without a trade, the exchange sends a candle that repeats the last close."
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
        ChartKind.LINES,
        x="month",
        y=("untraded_pct",),
        series="series",
        y_title="candles without a trade, %",
    ),
)
