"""Views of the annualised basis at fixed distances to expiry."""

from lake.query.views.clock import MINUTE_US
from lake.query.views.curves import COIN
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.query.views.premium import INDEX_QUOTES_SQL
from lake.table import Column, Type
from lake.tables import BASIS

# A week, and the range of monthly and quarterly futures.
MATURITY_DAYS = (7, 30, 60, 90, 120, 180)
# With less time to expiry the annualised basis is mostly noise: the time is its divisor.
SHORTEST_LEG_DAYS = 1

_COLUMNS = (
    COIN,
    *columns_of(BASIS, "ts"),
    Column("days", Type.INT, f"distance: {', '.join(map(str, MATURITY_DAYS))}", "days"),
    optional(
        "annualised_pct",
        "simple annualised basis at the distance; null if a leg is missing",
        "percent a year",
    ),
    optional(
        "nearer",
        "future that expires last within the distance; for `nearest`, the chosen future",
        kind=Type.TEXT,
    ),
    optional(
        "farther",
        "future that expires first at the distance or beyond; for `nearest`, the chosen future",
        kind=Type.TEXT,
    ),
    optional(
        "all_traded",
        "whether both futures, and the perpetual if it is the reference, traded in the minute; "
        "null with annualised_pct",
        kind=Type.BOOL,
    ),
)

CONSTANT_MATURITY_BY = View(
    name="constant_maturity_by",
    meaning="The annualised basis at fixed distances to expiry, once every step_minutes.",
    formula=(
        "In the last minute of each step (counted from 1970: 60 means the minutes hh:59, 1440 "
        "the minutes 23:59), for each coin and each distance T in days. The legs are the future "
        "that expires last within T (T_n days away, annualised basis b_n) and the future that "
        "expires first at T or beyond (T_f, b_f). Method `forward` is linear in the total basis: "
        "b(T) = (b_n T_n + f (T - T_n)) / T, where f = (b_f T_f - b_n T_n) / (T_f - T_n) is the "
        "constant forward rate between the legs. Method `linear` is linear in the "
        "annualised basis: b(T) = b_n + (b_f - b_n) (T - T_n) / (T_f - T_n). Both are null if "
        "either leg is missing: nothing is extrapolated. Method `nearest` is "
        "the annualised basis of the one future whose expiry is nearest to T, the earlier of two "
        f"equally near. Legs have at least {SHORTEST_LEG_DAYS} day to expiry. Suspect rows are "
        "left out. A minute without such a future has no row."
    ),
    source=(
        "Simple rates, 365 days a year, no compounding. Reference `perpetual`: the perpetual's "
        "close of the same minute, from tables `basis` and `instruments`. Reference `index`: the "
        "index at the end of the minute, as in `index_basis`, from tables `candles`, `instruments` "
        "and `funding`. The index is known only at full hours, so other minutes than hh:59 have no "
        "row."
    ),
    columns=_COLUMNS,
    sql=f"""
        WITH distances AS (
            SELECT unnest({list(MATURITY_DAYS)}::BIGINT[]) AS days,
                   CASE WHEN method IN ('forward', 'linear', 'nearest') THEN method
                        ELSE error('The method is forward, linear or nearest, not '
                                   || coalesce(method, 'NULL') || '.') END AS chosen
        ), quotes AS (
            SELECT base AS coin, ts,
                   {{'away': days_to_expiry, 'instrument': basis.instrument,
                     'pct': annualised_pct, 'total': annualised_pct * days_to_expiry,
                     'traded': future_traded AND perpetual_traded}} AS quote
            FROM basis
            JOIN instruments USING (instrument)
            WHERE (epoch_us(ts) // {MINUTE_US} + 1) % step_minutes = 0
                AND days_to_expiry >= {SHORTEST_LEG_DAYS}
                AND NOT suspect
                AND CASE WHEN reference IN ('perpetual', 'index') THEN reference = 'perpetual'
                         ELSE error('The reference is perpetual or index, not '
                                    || coalesce(reference, 'NULL') || '.') END
            UNION ALL
            SELECT coin, make_timestamptz(end_us - {MINUTE_US}),
                   {{'away': days, 'instrument': instrument, 'pct': apr_pct,
                     'total': apr_pct * days, 'traded': traded}}
            FROM ({INDEX_QUOTES_SQL})
            WHERE (end_us // {MINUTE_US}) % step_minutes = 0
                AND days >= {SHORTEST_LEG_DAYS}
                AND NOT suspect
                AND apr_pct IS NOT NULL
                AND reference = 'index'
        ), neighbours AS (
            SELECT coin, ts, days, chosen,
                   max(quote) FILTER (WHERE quote.away <= days) AS near,
                   min(quote) FILTER (WHERE quote.away >= days) AS far
            FROM quotes
            CROSS JOIN distances
            GROUP BY coin, ts, days, chosen
        ), picks AS (
            SELECT *,
                   CASE WHEN chosen <> 'nearest' THEN NULL
                        WHEN far IS NULL OR days - near.away <= far.away - days THEN 'near'
                        ELSE 'far' END AS pick
            FROM neighbours
        ), legs AS (
            SELECT coin, ts, days, chosen,
                   CASE pick WHEN 'far' THEN far ELSE near END AS near,
                   CASE pick WHEN 'near' THEN near ELSE far END AS far
            FROM picks
        )
        SELECT coin, ts, days,
               CASE WHEN near.away = far.away THEN near.pct
                    WHEN chosen = 'linear'
                        THEN near.pct + (far.pct - near.pct) * (days - near.away)
                             / (far.away - near.away)
                    ELSE (near.total + (far.total - near.total) * (days - near.away)
                          / (far.away - near.away)) / days END AS annualised_pct,
               near.instrument AS nearer,
               far.instrument AS farther,
               CASE WHEN near IS NOT NULL AND far IS NOT NULL
                    THEN near.traded AND far.traded END AS all_traded
        FROM legs
    """,
    parameters=(
        Parameter("step_minutes", "length of a step in minutes", "1440"),
        Parameter("method", "forward, linear or nearest", "'forward'"),
        Parameter(
            "reference", "what the basis is measured against: perpetual or index", "'perpetual'"
        ),
    ),
)

CONSTANT_MATURITY = View(
    name="constant_maturity",
    meaning="The annualised basis at fixed distances to expiry, hour by hour.",
    formula=(
        "`constant_maturity_by(60, 'forward', 'perpetual')`: as of the last minute of each full "
        "hour, hh:59. For days call `constant_maturity_by` with 1440, or with another method."
    ),
    source="As `constant_maturity_by`.",
    columns=_COLUMNS,
    sql="FROM constant_maturity_by(60, 'forward', 'perpetual')",
)
