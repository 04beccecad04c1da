"""Figures of carry: funding, basis, premium, open interest, and what expired futures earned."""

from basislake.report.figures import Chart, ChartKind, Figure, query
from basislake.report.time_steps import DAY_MINUTES, start_sql, step_sql, text_sql

DISTANCE_DAYS = 90
# With fewer days, the division makes an annual rate mostly noise.
SHORTEST_ENTRY_DAYS = 7
MOST_ENTRIES = 4_000
PREMIUM_STEPS, INTEREST_STEPS = 1_500, 450
_DAY_US = 86_400_000_000
_PAID = "SELECT min(hour_end) AS first, max(hour_end) AS last FROM funding"
_SETTLED = "SELECT min(settled_at) AS first, max(settled_at) AS last FROM settlements"

_METHODS = ("forward", "linear", "nearest")

FUNDING_BASIS = Figure(
    name="funding-basis",
    title="Funding and basis, by month",
    caption=f"Funding that a long perpetual paid, and the mean basis at {DISTANCE_DAYS} days",
    meaning=(
        "Funding: the view `funding_monthly`, the sum of `interest_1h` of a calendar month (UTC), "
        "as a simple annual rate over the stored hours. Above 0, a long position pays. A pale bar "
        "lacks some hours of its month, as the first and the newest month do. Basis: the mean over "
        "the days of the month of "
        f"`constant_maturity_by(1440, 'forward', 'perpetual')` at {DISTANCE_DAYS} days, if any day "
        "has one. If the basis is above the funding, a trader who sold the future and bought the "
        "perpetual was offered more than the perpetual cost."
    ),
    empty="The lake has no funding yet; `basislake run` fetches it.",
    sql=query(f"""
        WITH means AS (
            SELECT coin, strftime(ts, '%Y-%m') AS month, favg(annualised_pct) AS basis_pct,
                   count(annualised_pct) AS basis_days
            FROM constant_maturity_by(1440, 'forward', 'perpetual')
            WHERE days = {DISTANCE_DAYS}
            GROUP BY ALL
        ), paid AS (
            SELECT base AS coin, strftime(month, '%Y-%m') AS month, hours,
                   24 * day(last_day(month)) AS month_hours, annualised_pct
            FROM funding_monthly
            JOIN instruments USING (instrument)
        )
        SELECT coin, month, hours, month_hours, round(annualised_pct, 3) AS funding_pct,
               coalesce(basis_days, 0) AS basis_days, round(basis_pct, 3) AS basis_pct
        FROM paid
        LEFT JOIN means USING (coin, month)
        ORDER BY coin, month
    """),
    units={
        "hours": "hours",
        "month_hours": "hours",
        "funding_pct": "percent a year",
        "basis_days": "days",
        "basis_pct": "percent a year",
    },
    chart=Chart(
        ChartKind.MONTHS,
        x="month",
        y=("funding_pct", "basis_pct"),
        choose="coin",
        names={"funding_pct": "funding", "basis_pct": f"basis at {DISTANCE_DAYS} days"},
        colours=("series-3", "series-4"),
        y_title="% a year",
    ),
    is_hourly=True,
)

METHODS = Figure(
    name="methods",
    title=f"Basis at {DISTANCE_DAYS} days, by three methods",
    caption="Annualised basis against the perpetual, in the last minute of each day (23:59 UTC)",
    meaning=(
        "The view `constant_maturity_by`. Forward: interpolates the total basis linearly between "
        "the two neighbouring futures. Linear: interpolates the annualised basis. Nearest: the "
        f"annualised basis of the future that expires closest to {DISTANCE_DAYS} days ahead; it "
        "jumps when that future changes. Forward and linear need a future that expires before, and "
        "one after."
    ),
    empty="No day has a basis in its last minute yet.",
    sql=query(
        "SELECT coin, strftime(ts, '%Y-%m-%d') AS day,\n"
        + ",\n".join(
            f"       round(max(annualised_pct) FILTER (method = '{method}'), 3) AS {method}_pct"
            for method in _METHODS
        )
        + "\nFROM (\n    "
        + "\n    UNION ALL\n    ".join(
            f"SELECT '{method}' AS method, *\n"
            f"    FROM constant_maturity_by(1440, '{method}', 'perpetual')"
            for method in _METHODS
        )
        + f"\n)\nWHERE days = {DISTANCE_DAYS}\nGROUP BY coin, ts\nORDER BY coin, ts"
    ),
    units={f"{method}_pct": "percent a year" for method in _METHODS},
    chart=Chart(
        ChartKind.LINES,
        x="day",
        y=tuple(f"{method}_pct" for method in reversed(_METHODS)),
        choose="coin",
        names={f"{method}_pct": method for method in reversed(_METHODS)},
        colours=("never_asked", "series-3", "series-4"),
        y_title="annualised basis, % a year",
    ),
    is_hourly=True,
)

REALISED = Figure(
    name="realised-carry",
    title="Realised carry of expired futures",
    caption="Short future, long perpetual, held to the expiry: annual return by days to expiry",
    meaning=(
        "The view `realised_carry`: a point is an entry at 08:00 UTC of a day, with both legs of "
        "the same size in coins, and the future held to its delivery price. Its return is a simple "
        "rate after funding, ACT/365, without fees, collateral and borrowing. Left out: entries "
        f"with less than {SHORTEST_ENTRY_DAYS} days to expiry, whose annual rate is mostly noise, "
        "and entries that lack a price or an hour of funding. Of more than "
        f"{MOST_ENTRIES:,} entries, only every second, third and so on is shown, by expiry and "
        "day. Click a point to see its contract."
    ),
    empty=(
        "No entry can be computed: each needs an expired future, its delivery price, and the "
        "funding of every hour since the entry. `basislake run` fetches all three."
    ),
    sql=query(f"""
        WITH entries AS (
            SELECT base AS coin, instrument, expires_at, entry, days, locked_pct, funding_pct,
                   net_apr_pct, count(*) OVER () AS entries,
                   row_number() OVER (ORDER BY base, expires_at, instrument, entry) AS place
            FROM realised_carry
            JOIN instruments USING (instrument)
            WHERE net_apr_pct IS NOT NULL AND days >= {SHORTEST_ENTRY_DAYS}
        )
        SELECT coin, instrument, strftime(entry, '%Y-%m-%d') AS entry, round(days, 2) AS days,
               round(locked_pct * 365 / days, 2) AS locked_apr_pct,
               round(funding_pct * 365 / days, 2) AS funding_apr_pct,
               round(net_apr_pct, 2) AS net_apr_pct
        FROM entries
        WHERE place % greatest(1, ceil(entries / {MOST_ENTRIES})::BIGINT) = 0
        ORDER BY place
    """),
    units={
        "days": "days",
        "locked_apr_pct": "percent a year",
        "funding_apr_pct": "percent a year",
        "net_apr_pct": "percent a year",
    },
    chart=Chart(
        ChartKind.ENTRIES,
        x="days",
        y=("net_apr_pct",),
        series="coin",
        x_title="days from entry to expiry",
        y_title="after funding, % a year",
    ),
    is_wide=True,
    is_hourly=True,
)

OPEN_INTEREST = Figure(
    name="open-interest",
    title="Open interest by expiry",
    caption="Positions in futures at 08:00 UTC: each quarterly by itself, the others by term",
    meaning=(
        "The view `open_interest_daily`, from the exchange's settlements of inverse futures, whose "
        f"positions are in USD. There are at most {INTEREST_STEPS} steps of equal length, a day or "
        "more. A bar is the first day of a step; a day without settlements has no bar."
    ),
    empty="The lake has no settlements of futures; `basislake run` fetches them.",
    sql=query(f"""
        WITH {step_sql(INTEREST_STEPS, DAY_MINUTES, _SETTLED)}, positions AS (
            SELECT base AS coin, ts, open_interest,
                   if(term = 'quarterly', strftime(expires_at, '%Y-%m-%d'), term) AS layer
            FROM open_interest_daily
            JOIN instruments USING (instrument)
            CROSS JOIN step
            WHERE kind = 'future' AND contract_type = 'inverse'
                AND epoch_us(ts) // {_DAY_US} % (step_minutes // {DAY_MINUTES}) = 0
        )
        SELECT coin, strftime(ts, '%Y-%m-%d') AS day, layer,
               round(sum(open_interest)) AS open_interest
        FROM positions
        GROUP BY coin, ts, layer
        ORDER BY coin, ts, layer
    """),
    units={"open_interest": "USD"},
    chart=Chart(
        ChartKind.LAYERS,
        x="day",
        y=("open_interest",),
        series="layer",
        choose="coin",
        names={"daily": "dailies", "weekly": "weeklies", "monthly": "monthlies"},
        colours=("no_data", "never_asked-pale", "never_asked"),
        y_title="open interest, USD",
        unit="USD",
    ),
)

PREMIUM = Figure(
    name="premium",
    title="Perpetual premium",
    caption="Perpetual over index: mean, lowest and highest hour of each step",
    meaning=(
        "The view `perpetual_premium`: (perpetual close - index) / index at the end of each hour, "
        f"in basis points (0.01 %), not annualised. There are at most {PREMIUM_STEPS:,} steps of "
        "equal length, a day or more. Hours without a candle are left out; a step without candles "
        "breaks the line."
    ),
    empty="The lake has no funding, which includes the index; `basislake run` fetches it.",
    sql=query(f"""
        WITH {step_sql(PREMIUM_STEPS, DAY_MINUTES, _PAID)}, steps AS (
            SELECT base AS coin, {start_sql("hour_end - INTERVAL 1 MINUTE")} AS start,
                   favg(premium_pct) AS mean, min(premium_pct) AS low, max(premium_pct) AS high
            FROM perpetual_premium
            JOIN instruments USING (instrument)
            CROSS JOIN step
            WHERE premium_pct IS NOT NULL
            GROUP BY ALL
        )
        SELECT coin, {text_sql("start")} AS start, round(100 * mean, 2) AS mean_bp,
               round(100 * low, 2) AS low_bp, round(100 * high, 2) AS high_bp
        FROM steps
        ORDER BY coin, steps.start
    """),
    units={"mean_bp": "basis points", "low_bp": "basis points", "high_bp": "basis points"},
    chart=Chart(
        ChartKind.PANELS,
        x="start",
        y=("mean_bp", "low_bp", "high_bp"),
        series="coin",
        y_title="basis points",
        unit="bp",
    ),
    is_hourly=True,
)
