"""Views of open interest by day, and of the basis weighted by it."""

from lake.carry_tables import SETTLEMENTS
from lake.query.views.clock import DAY_US, LAST_MINUTE_US, MINUTE_US, start_of_day
from lake.query.views.curves import COIN
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.table import Column, Type

_DAY = Column("ts", Type.TIME, "08:00 of the day", "UTC")
_USD = "USD, of inverse contracts"


OPEN_INTEREST_DAILY = View(
    name="open_interest_daily",
    meaning="The open interest of an instrument at 08:00 of a day.",
    formula=(
        "position of the day's row of `settlements` of type `settlement`, the newest of several. "
        "ts is the 08:00 before settled_at, usually by milliseconds. A delivery has no row "
        "here, because it closes the position."
    ),
    source="Table `settlements`. Inverse contracts are counted in USD, others in the base coin.",
    columns=(
        *columns_of(SETTLEMENTS, "instrument"),
        _DAY,
        Column("open_interest", Type.FLOAT, "open position", _USD),
        *columns_of(SETTLEMENTS, "mark_price", "index_price", "settled_at"),
    ),
    sql=f"""
        SELECT instrument,
               make_timestamptz({start_of_day("epoch_us(settlements.settled_at)")}) AS ts,
               arg_max(position, settlements.settled_at) AS open_interest,
               arg_max(mark_price, settlements.settled_at) AS mark_price,
               arg_max(index_price, settlements.settled_at) AS index_price,
               max(settlements.settled_at) AS settled_at
        FROM settlements
        WHERE type = 'settlement'
        GROUP BY 1, 2
        ORDER BY 1, 2
    """,
)

WEIGHTED_BASIS_DAILY = View(
    name="weighted_basis_daily",
    meaning="The annualised basis of a coin at 08:00 of a day, as a mean of its futures.",
    formula=(
        "Uses the rows of `basis` in the minute 07:59, which ends at ts, of futures with "
        "days_to_expiry >= min_days and an annualised_pct; suspect rows are left out. equally_pct "
        "is their mean. by_open_interest_pct weighs each future by its open_interest at ts. It is "
        "null if a future has no stored open interest (without_open_interest counts these), or if "
        "all have 0. by_cost_pct weighs each future by its traded cost in the 24 hours before ts. "
        "It is null if nothing traded. Weights are shares of their sum."
    ),
    source=(
        "Tables `basis`, `candles` and `settlements`. Simple rates, ACT/365; reference: the "
        "perpetual's close of the same minute."
    ),
    columns=(
        COIN,
        _DAY,
        optional("by_open_interest_pct", "mean weighted by open interest", "percent a year"),
        optional("by_cost_pct", "mean weighted by traded cost", "percent a year"),
        optional("equally_pct", "mean with equal weights", "percent a year"),
        Column("futures", Type.INT, "futures in the mean", "futures"),
        Column(
            "without_open_interest", Type.INT, "futures without stored open interest", "futures"
        ),
        optional("open_interest", "sum of the weights", _USD),
        Column("cost", Type.FLOAT, "sum of the weights", "quote currency"),
    ),
    sql=f"""
        WITH quotes AS (
            SELECT base AS coin, basis.instrument, annualised_pct AS pct,
                   make_timestamptz(epoch_us(basis.ts) + {MINUTE_US}) AS day
            FROM basis
            JOIN instruments USING (instrument)
            WHERE epoch_us(basis.ts) % {DAY_US} = {LAST_MINUTE_US}
                AND days_to_expiry >= min_days
                AND annualised_pct IS NOT NULL
                AND NOT basis.suspect
        ), costs AS (
            SELECT instrument, fsum(cost) AS cost,
                   make_timestamptz({start_of_day("epoch_us(candles.ts)")} + {DAY_US}) AS day
            FROM candles
            GROUP BY ALL
        ), weights AS (
            SELECT quotes.*, interest.open_interest, coalesce(costs.cost, 0) AS cost
            FROM quotes
            LEFT JOIN open_interest_daily AS interest
                ON interest.instrument = quotes.instrument AND interest.ts = quotes.day
            LEFT JOIN costs ON costs.instrument = quotes.instrument AND costs.day = quotes.day
        ), sums AS (
            SELECT coin, day, count(*) AS futures, count(*) - count(open_interest) AS lacking,
                   fsum(pct * open_interest) AS by_interest, fsum(open_interest) AS interest,
                   fsum(pct * cost) AS by_cost, fsum(cost) AS cost, favg(pct) AS equally_pct
            FROM weights
            GROUP BY coin, day
        )
        SELECT coin, day AS ts,
               CASE WHEN lacking = 0 AND interest > 0 THEN by_interest / interest END
                   AS by_open_interest_pct,
               CASE WHEN cost > 0 THEN by_cost / cost END AS by_cost_pct,
               equally_pct, futures, lacking AS without_open_interest,
               CASE WHEN lacking = 0 THEN interest END AS open_interest, cost
        FROM sums
        ORDER BY coin, ts
    """,
    parameters=(Parameter("min_days", "shortest time to expiry that counts, in days", "7"),),
)
