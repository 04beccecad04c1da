"""Figures of the market now: prices, the curve of each coin, calendar spreads, volume."""

from basislake.report.figures import Chart, ChartKind, Figure, Listing, query
from basislake.report.time_steps import DAY_MINUTES, start_sql, step_sql, text_sql
from lake.query.views.fronts import FRONT_QUARTERLY_ROLL_DAYS

PRICE_STEPS, VOLUME_STEPS = 1_500, 450

QUOTES = Figure(
    name="quotes",
    title="Market",
    meaning=(
        "A card per coin, as of the newest minute of its perpetual. A change compares the close "
        "with that of the same minute 1, 7 or 30 days before. Low, high and volumes are of the "
        "last 1,440 minutes; low and high leave out suspect candles (flagged by the rule `spike`). "
        "The basis is that of the front quarterly: the quarterly future that expires first, of "
        f"those with more than {FRONT_QUARTERLY_ROLL_DAYS} days left, in the newest minute of the "
        "coin's futures."
    ),
    sql=query(f"""
        -- Not materialized: of the last 30 days all columns are read, of all time only two.
        WITH minutes AS NOT MATERIALIZED (
            SELECT base AS coin, instrument, ts, high, low, close, cost, suspect
            FROM candles
            JOIN instruments USING (instrument)
            WHERE kind = 'perpetual'
        ), newest AS MATERIALIZED (
            SELECT coin, instrument, max(ts) AS ts, arg_max(close, ts) AS price
            FROM minutes
            GROUP BY coin, instrument
        ), days AS (
            SELECT newest.coin,
                   any_value(close) FILTER (minutes.ts = newest.ts - INTERVAL 1 DAY) AS day_before,
                   any_value(close) FILTER (minutes.ts = newest.ts - INTERVAL 7 DAY)
                       AS week_before,
                   any_value(close) FILTER (minutes.ts = newest.ts - INTERVAL 30 DAY)
                       AS month_before,
                   min(low) FILTER (NOT suspect AND minutes.ts > newest.ts - INTERVAL 1 DAY)
                       AS low_1d,
                   max(high) FILTER (NOT suspect AND minutes.ts > newest.ts - INTERVAL 1 DAY)
                       AS high_1d,
                   sum(cost) FILTER (minutes.ts > newest.ts - INTERVAL 1 DAY)
                       AS perpetual_cost_1d
            FROM newest
            JOIN minutes ON minutes.coin = newest.coin
                AND minutes.ts >= newest.ts - INTERVAL 30 DAY
            WHERE minutes.ts >= (SELECT min(ts) - INTERVAL 30 DAY FROM newest)
            GROUP BY newest.coin
        ), futures AS (
            SELECT base AS coin, sum(cost) AS futures_cost_1d
            FROM candles
            JOIN instruments USING (instrument)
            JOIN newest ON newest.coin = base AND candles.ts > newest.ts - INTERVAL 1 DAY
                AND candles.ts <= newest.ts
            WHERE kind = 'future'
                -- The same again, for all coins: DuckDB skips files by it.
                AND candles.ts > (SELECT min(ts) - INTERVAL 1 DAY FROM newest)
            GROUP BY base
        ), fronts AS (
            SELECT coin, count(*) AS open_futures,
                   min_by({{'instrument': instrument, 'days': days_to_expiry,
                           'annualised_pct': annualised_pct}}, days_to_expiry)
                       FILTER (term = 'quarterly'
                               AND days_to_expiry > {FRONT_QUARTERLY_ROLL_DAYS}) AS front
            FROM term_structure_latest
            GROUP BY coin
        )
        SELECT coin, instrument AS perpetual, {text_sql("newest.ts")} AS minute, price,
               round(100 * (price / day_before - 1), 2) AS change_1d_pct,
               round(100 * (price / week_before - 1), 2) AS change_7d_pct,
               round(100 * (price / month_before - 1), 2) AS change_30d_pct,
               low_1d, high_1d, round(perpetual_cost_1d) AS perpetual_cost_1d,
               round(futures_cost_1d) AS futures_cost_1d,
               coalesce(open_futures, 0) AS open_futures,
               front.instrument AS front_quarterly,
               round(front.days, 2) AS front_days,
               round(front.annualised_pct, 2) AS front_annualised_pct
        FROM newest
        LEFT JOIN days USING (coin)
        LEFT JOIN futures USING (coin)
        LEFT JOIN fronts USING (coin)
        ORDER BY coin
    """),
    units={
        "price": "quote per base",
        "change_1d_pct": "percent",
        "change_7d_pct": "percent",
        "change_30d_pct": "percent",
        "perpetual_cost_1d": "USD",
        "futures_cost_1d": "USD",
        "front_days": "days",
        "front_annualised_pct": "percent a year",
    },
)

PRICE = Figure(
    name="price",
    title="Perpetual price",
    caption="Last close of each step, and its lowest to highest price",
    meaning=(
        f"The perpetual of each coin, in at most {PRICE_STEPS:,} steps of equal length, an hour or "
        "more. The line is the last close of a step, the band its lowest and highest price, so no "
        "extreme is lost. Suspect candles (flagged by the rule `spike`) are left out. A step "
        "without a candle breaks the line."
    ),
    sql=query(f"""
        WITH {step_sql(PRICE_STEPS)}, steps AS (
            SELECT base AS coin, {start_sql()} AS start, arg_max(close, ts) AS close,
                   min(low) AS low, max(high) AS high
            FROM candles
            JOIN instruments USING (instrument)
            CROSS JOIN step
            WHERE kind = 'perpetual' AND NOT suspect
            GROUP BY ALL
        )
        SELECT coin, {text_sql("start")} AS start, close, low, high
        FROM steps
        ORDER BY coin, steps.start
    """),
    units={"close": "quote per base", "low": "quote per base", "high": "quote per base"},
    chart=Chart(
        ChartKind.PANELS,
        x="start",
        y=("close", "low", "high"),
        series="coin",
        y_title="USD",
        unit="USD",
    ),
)

CURVE = Figure(
    name="curve",
    title="Curve",
    caption="Annualised basis of every open future, in the newest minute of each coin",
    meaning=(
        "Future close minus perpetual close of the same minute, in percent of the perpetual close, "
        "x 365 / days to expiry. Hollow: the future did not trade in the last hour, and the "
        "exchange repeats an old price. Not drawn: suspect prices, and futures in their last 60 "
        "minutes, which have no annualised basis. The table Open futures lists them, too."
    ),
    sql=query(f"""
        SELECT coin, {text_sql("ts")} AS minute, instrument, term,
               round(days_to_expiry, 3) AS days, future_close, basis,
               round(basis_pct, 3) AS basis_pct, round(annualised_pct, 2) AS annualised_pct,
               future_traded_minutes_ago AS traded_minutes_ago, suspect
        FROM term_structure_latest
        ORDER BY coin, days_to_expiry, instrument
    """),
    units={
        "days": "days",
        "future_close": "quote per base",
        "basis": "quote per base",
        "basis_pct": "percent",
        "annualised_pct": "percent a year",
        "traded_minutes_ago": "minutes",
    },
    chart=Chart(
        ChartKind.CURVE,
        x="days",
        y=("annualised_pct",),
        series="coin",
        y_title="annualised basis, % a year",
    ),
)

# The rows of the curve as a table, with more columns than the chart shows.
OPEN_FUTURES = Figure(
    name="open-futures",
    title="Open futures",
    caption="In the newest minute of each coin, nearest expiry first; a name links to its chart",
    meaning=(
        "The futures of the chart Curve. Last trade: minutes between the newest minute and the "
        "last one in which the future traded; since then the exchange repeats its price. Volume: "
        "of the last 1,440 minutes."
    ),
    sql=query(f"""
        WITH amounts AS (
            SELECT instrument, sum(cost) AS cost_1d
            FROM term_structure_latest AS curve
            JOIN candles USING (instrument)
            WHERE candles.ts > curve.ts - INTERVAL {DAY_MINUTES} MINUTE
                AND candles.ts <= curve.ts
            GROUP BY instrument
        )
        SELECT instrument, term, strftime(expires_at, '%Y-%m-%d') AS expires,
               round(days_to_expiry, 2) AS days, future_close, round(basis, 2) AS basis,
               round(basis_pct, 3) AS basis_pct, round(annualised_pct, 2) AS annualised_pct,
               market_structure, future_traded_minutes_ago AS traded_minutes_ago,
               round(cost_1d) AS cost_1d
        FROM term_structure_latest
        LEFT JOIN amounts USING (instrument)
        ORDER BY coin, expires_at, instrument
    """),
    units={**CURVE.units, "cost_1d": "USD"},
    listing=Listing(
        {
            "instrument": "future",
            "term": "term",
            "expires": "expires",
            "days": "days left",
            "future_close": "price, USD",
            "basis": "basis, USD",
            "basis_pct": "basis, %",
            "annualised_pct": "basis, % a year",
            "traded_minutes_ago": "last trade, min ago",
            "cost_1d": "24 h volume, USD",
        },
        empty="No future is open in the newest minute.",
        links={"instrument": "contracts"},
        is_searched=True,
    ),
    is_wide=True,
)

SPREADS = Figure(
    name="spreads",
    title="Calendar spreads",
    caption="Forward rate between neighbouring expiries, in the newest minute of each coin",
    meaning=(
        "A bar reaches from one expiry to the next. Its height is the simple annual rate between "
        "the two: (later / earlier price - 1) x 365 / (days between). The spread is the price of "
        "the later future minus that of the earlier one. Hollow: one of the two did not trade in "
        "the last hour. Suspect prices are left out."
    ),
    sql=query(f"""
        WITH neighbours AS (
            SELECT coin, ts, instrument AS farther, days_to_expiry AS until_days,
                   future_close AS farther_close,
                   lag(instrument) OVER earlier AS nearer,
                   lag(days_to_expiry) OVER earlier AS from_days,
                   lag(future_close) OVER earlier AS nearer_close,
                   greatest(future_traded_minutes_ago,
                            lag(future_traded_minutes_ago) OVER earlier) AS traded_minutes_ago
            FROM term_structure_latest
            WHERE NOT suspect
            WINDOW earlier AS (PARTITION BY coin ORDER BY days_to_expiry, instrument)
        )
        SELECT coin, {text_sql("ts")} AS minute, nearer, farther, round(from_days, 3) AS from_days,
               round(until_days, 3) AS until_days, farther_close - nearer_close AS spread,
               round(100 * (farther_close / nearer_close - 1) * 365 / (until_days - from_days), 2)
                   AS forward_pct,
               traded_minutes_ago
        FROM neighbours
        WHERE until_days > from_days
        ORDER BY coin, from_days, nearer
    """),
    units={
        "from_days": "days",
        "until_days": "days",
        "spread": "quote per base",
        "forward_pct": "percent a year",
        "traded_minutes_ago": "minutes",
    },
    chart=Chart(
        ChartKind.FORWARDS,
        x="from_days",
        y=("forward_pct",),
        series="coin",
        y_title="forward rate, % a year",
    ),
)

VOLUME = Figure(
    name="volume",
    title="Volume",
    caption="Traded amount of the perpetuals, or of all futures, in USD",
    meaning=(
        f"The sum of `cost` of the candles, in at most {VOLUME_STEPS} steps of equal length, a day "
        "or more. The newest step is not complete."
    ),
    sql=query(f"""
        WITH {step_sql(VOLUME_STEPS, DAY_MINUTES)}, sums AS (
            SELECT instrument, {start_sql()} AS start, sum(cost) AS cost
            FROM candles
            CROSS JOIN step
            GROUP BY ALL
        )
        SELECT if(kind = 'perpetual', 'perpetuals', 'futures') AS kind, base AS coin,
               {text_sql("start")} AS start, round(sum(cost)) AS cost
        FROM sums
        JOIN instruments USING (instrument)
        GROUP BY ALL
        ORDER BY 1, 2, 3
    """),
    units={"cost": "USD"},
    chart=Chart(
        ChartKind.COLUMNS,
        x="start",
        y=("cost",),
        series="coin",
        choose="kind",
        y_title="USD a {step}",
        unit="USD",
    ),
)
