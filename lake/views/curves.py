"""Views of the basis across expiries: the curve of one minute, and fixed distances on it."""

from lake.tables import BASIS, INSTRUMENTS, Column, Type
from lake.views.declaration import Parameter, View, columns_of

COIN = Column("coin", Type.TEXT, "coin that the futures are of")
# Distances of the constant-maturity basis; a week, and what quarterlies and their rolls span.
MATURITY_DAYS = (7, 30, 90, 180)

TERM_STRUCTURE = View(
    name="term_structure",
    meaning="The basis of every open future in the minute that holds one moment, by expiry.",
    formula=(
        "The rows of `basis` with ts <= moment < ts + 1 minute. A future that has no row in that "
        "very minute is not in it: nothing comes from another minute."
    ),
    source="Tables `basis` and `instruments`; `basislake curve --at` prints it.",
    columns=(
        COIN,
        *columns_of(INSTRUMENTS, "instrument", "expires_at"),
        *columns_of(
            BASIS,
            "days_to_expiry",
            "future_close",
            "perpetual_close",
            "basis",
            "basis_pct",
            "annualised_pct",
            "future_traded",
            "perpetual_traded",
            "market_structure",
            "suspect",
        ),
    ),
    sql="""
        SELECT base AS coin, instrument, expires_at, days_to_expiry, future_close,
               perpetual_close, basis, basis_pct, annualised_pct, future_traded,
               perpetual_traded, market_structure, suspect
        FROM basis
        JOIN instruments USING (instrument)
        WHERE ts = date_trunc('minute', CAST(moment AS TIMESTAMPTZ))
        ORDER BY coin, expires_at, instrument
    """,
    parameters=(Parameter("moment", "a time, UTC where it names no zone", "'2024-04-05 11:59'"),),
)

_MATURITY_COLUMNS = (
    COIN,
    *columns_of(BASIS, "ts"),
    Column("days", Type.INT, f"distance: {', '.join(map(str, MATURITY_DAYS))}", "days"),
    Column(
        "annualised_pct",
        Type.FLOAT,
        "interpolated basis; null where no future expires on one of the two sides",
        "percent a year",
        nullable=True,
    ),
    Column("nearer", Type.TEXT, "future that expires last within the distance", nullable=True),
    Column("farther", Type.TEXT, "future that expires first beyond it", nullable=True),
    Column(
        "all_traded",
        Type.BOOL,
        "whether the perpetual and both futures traded in the minute; null with annualised_pct",
        nullable=True,
    ),
)

CONSTANT_MATURITY_EVERY = View(
    name="constant_maturity_every",
    meaning="The annualised basis at fixed distances to expiry, once in every so many minutes.",
    formula=(
        "In the last minute of each step (counted from 1970, so 60 means the minutes hh:59, 1440 "
        "the minutes 23:59), of each coin and each distance d: with the future that expires last "
        "within d days (n days away, annualised a_n) and the one that expires first at d or "
        "beyond (f days, a_f), annualised_pct = a_n + (a_f - a_n) x (d - n) / (f - n), and a_n "
        "where a future is exactly d away. Null outside the expiries there are: nothing is "
        "extrapolated. Rows of `basis` that are suspect or have no annualised figure are not "
        "used, and a minute without any other has no row."
    ),
    source=(
        "Table `basis`. Linear interpolation in time to expiry between the two neighbouring "
        "contracts is how constant-maturity series are commonly made of listed contracts; it is "
        "the annualised percent (simple, 365 days a year) that is interpolated."
    ),
    columns=_MATURITY_COLUMNS,
    sql=f"""
        WITH quotes AS (
            SELECT base AS coin, ts, basis.instrument, days_to_expiry, annualised_pct,
                   future_traded AND perpetual_traded AS traded
            FROM basis
            JOIN instruments USING (instrument)
            WHERE (epoch_us(ts) // 60000000 + 1) % step_minutes = 0
                AND annualised_pct IS NOT NULL
                AND NOT suspect
        ), neighbours AS (
            SELECT coin, ts, days,
                   max({{'away': days_to_expiry, 'instrument': instrument,
                         'pct': annualised_pct, 'traded': traded}})
                       FILTER (WHERE days_to_expiry <= days) AS near,
                   min({{'away': days_to_expiry, 'instrument': instrument,
                         'pct': annualised_pct, 'traded': traded}})
                       FILTER (WHERE days_to_expiry >= days) AS far
            FROM quotes
            CROSS JOIN (SELECT unnest({list(MATURITY_DAYS)}::BIGINT[]) AS days)
            GROUP BY coin, ts, days
        )
        SELECT coin, ts, days,
               CASE WHEN near.away = far.away THEN near.pct
                    ELSE near.pct + (far.pct - near.pct) * (days - near.away)
                         / (far.away - near.away) END AS annualised_pct,
               near.instrument AS nearer,
               far.instrument AS farther,
               CASE WHEN near IS NOT NULL AND far IS NOT NULL
                    THEN near.traded AND far.traded END AS all_traded
        FROM neighbours
    """,
    parameters=(Parameter("step_minutes", "length of a step in minutes", "1440"),),
)

CONSTANT_MATURITY = View(
    name="constant_maturity",
    meaning="The annualised basis 7, 30, 90 and 180 days to expiry, hour by hour.",
    formula=(
        "`constant_maturity_every(60)`: as of the last minute of each full hour, hh:59. Call that "
        "with another step for more or less."
    ),
    source="As `constant_maturity_every`.",
    columns=_MATURITY_COLUMNS,
    sql="SELECT * FROM constant_maturity_every(60)",
)
