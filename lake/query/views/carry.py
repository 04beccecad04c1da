"""The view of every open future's carry at one minute, and what that of each day has in common."""

from lake.query.views.clock import DAY_US, EXACT, HOURS_PER_YEAR, annualised, basis_pct
from lake.query.views.curves import COIN
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.table import Column, Type
from lake.tables import CANDLES, INSTRUMENTS

# Days over which trailing funding is summed.
TRAILING_DAYS = (7, 30)

_MINUTE = "date_trunc('minute', CAST(moment AS TIMESTAMPTZ))"
_END = f"({_MINUTE} + INTERVAL 1 MINUTE)"
_HOUR = f"date_trunc('hour', {_END})"


COLUMNS = (
    COIN,
    *columns_of(INSTRUMENTS, "instrument", "term"),
    Column("expires_at", Type.TIME, "expiry, exclusive", "UTC"),
    *columns_of(CANDLES, "ts"),
    Column("days_to_expiry", Type.FLOAT, "expires_at - ts", "days"),
    optional("future_close", "close of the future's minute", "quote per base"),
    optional("perpetual_close", "close of the perpetual's minute", "quote per base"),
    optional("perpetual_basis_pct", "basis against the perpetual", "percent"),
    optional("perpetual_apr_pct", "basis against the perpetual, annualised", "percent a year"),
    Column("index_hour_end", Type.TIME, "end of the last full hour", "UTC"),
    optional("index_price", "index at index_hour_end", "quote per base"),
    optional("index_basis_pct", "basis against the index", "percent"),
    optional("index_apr_pct", "basis against the index, annualised", "percent a year"),
    *(
        optional(
            f"funding_{n}d_pct", f"funding of the {n} days before, annualised", "percent a year"
        )
        for n in TRAILING_DAYS
    ),
    *(
        optional(
            f"less_funding_{n}d_pct", f"perpetual_apr_pct - funding_{n}d_pct", "percent a year"
        )
        for n in TRAILING_DAYS
    ),
    optional("open_interest", "position of the newest settlement", "USD, of inverse contracts"),
    optional("settled_at", "time of that settlement", "UTC", kind=Type.TIME),
    optional("future_traded", "whether the future traded in the minute", kind=Type.BOOL),
    optional("suspect", "whether a warning rule flagged either leg", kind=Type.BOOL),
    optional("reason", "what is missing if a column is null", kind=Type.TEXT),
)


def _paid(days: int) -> str:
    hours = 24 * days
    recent = f"FILTER (hour_end > {_HOUR} - INTERVAL {hours} HOUR)"
    return (
        f"count(*) {recent} AS hours_{days}d, CASE WHEN count(*) {recent} = {hours} "
        f"THEN CAST(sum(CAST(interest_1h AS {EXACT})) {recent} AS DOUBLE) * {HOURS_PER_YEAR} "
        f"/ {hours} * 100 END "
        f"AS funding_{days}d_pct"
    )


def _lacking(days: int) -> str:
    hours = 24 * days
    return (
        f"CASE WHEN perpetual IS NOT NULL AND funding_{days}d_pct IS NULL THEN "
        f"{hours} - coalesce(hours_{days}d, 0) || ' of {hours} hours of funding are missing' END"
    )


def figures_ctes(unsettled: str) -> str:
    """SQL of the relation `figures`, by way of `compared` and `rated`: the rows of `joined` with
    the basis, its annual rates, those less funding, and the reason of what is missing.

    Args:
        unsettled: the reason where there is no open interest.
    """
    less = ", ".join(
        f"perpetual_apr_pct - funding_{n}d_pct AS less_funding_{n}d_pct" for n in TRAILING_DAYS
    )
    return f"""compared AS (
            SELECT *,
                   {basis_pct("future_close", "perpetual_close")} AS perpetual_basis_pct,
                   {basis_pct("future_close", "index_price")} AS index_basis_pct
            FROM joined
        ), rated AS (
            SELECT *, {annualised("perpetual_basis_pct", "days_to_expiry")} AS perpetual_apr_pct,
                   {annualised("index_basis_pct", "days_to_expiry")} AS index_apr_pct
            FROM compared
        ), figures AS (
            SELECT *, {less},
                   nullif(concat_ws('; ',
                       CASE WHEN future_close IS NULL THEN 'the future has no candle' END,
                       CASE WHEN perpetual IS NULL THEN 'its coin has no perpetual'
                            WHEN perpetual_close IS NULL THEN 'the perpetual has no candle' END,
                       CASE WHEN index_price IS NULL THEN 'no index price of the hour' END,
                       CASE WHEN days_to_expiry * 24 <= 1
                            THEN 'no annual rate of 60 minutes or less' END,
                       {", ".join(map(_lacking, TRAILING_DAYS))},
                       CASE WHEN open_interest IS NULL THEN '{unsettled}' END
                   ), '') AS reason
            FROM rated
        )"""


CARRY_AT = View(
    name="carry_at",
    meaning="Every open future in the minute of one moment: basis, funding, open interest.",
    formula=(
        "perpetual_basis_pct = (future_close - perpetual_close) / perpetual_close x 100 and "
        "index_basis_pct = (future_close - index_price) / index_price x 100; each `..._apr_pct` is "
        "such a basis x 365 / days_to_expiry: simple, ACT/365, null if 60 minutes or less are "
        "left. The index is from index_hour_end, the newest full hour at the end of the minute. "
        "funding_7d_pct sums interest_1h over the 168 hours that end in (index_hour_end - 7 "
        f"days, index_hour_end], x {HOURS_PER_YEAR} / 168 x 100, and funding_30d_pct over 720 "
        "hours: simple, null if an hour is missing. less_funding_7d_pct = perpetual_apr_pct - "
        "funding_7d_pct: what a short future and a long perpetual earn a year, if funding stays "
        "the same. open_interest is from the newest settlement in the 24 hours before the end of "
        "the minute. Each row is a future that is open by its record; missing values are null, "
        "and reason names them."
    ),
    source=(
        "Tables `instruments`, `candles` (including suspect ones), `funding` and `settlements`; "
        "`basislake carry` prints it. It does not include fees, collateral or borrowing."
    ),
    columns=COLUMNS,
    sql=f"""
        WITH futures AS (
            SELECT futures.base AS coin, futures.instrument, futures.term, futures.expires_at,
                   futures.price_index, {_MINUTE} AS ts, {_HOUR} AS index_hour_end,
                   (epoch_us(futures.expires_at) - epoch_us({_MINUTE})) / {DAY_US}
                       AS days_to_expiry,
                   perpetuals.instrument AS perpetual
            FROM instruments AS futures
            LEFT JOIN instruments AS perpetuals
                ON perpetuals.kind = 'perpetual' AND perpetuals.base = futures.base
            WHERE futures.kind = 'future'
                AND futures.listed_at < {_END}
                AND futures.expires_at > {_MINUTE}
        ), closes AS MATERIALIZED (
            SELECT candles.instrument, close, traded, suspect
            FROM candles
            JOIN (SELECT instrument FROM futures UNION SELECT perpetual FROM futures) AS legs
                USING (instrument)
            WHERE candles.ts = {_MINUTE}
        ), paid AS (
            SELECT instrument, {", ".join(map(_paid, TRAILING_DAYS))}
            FROM funding
            WHERE hour_end > {_HOUR} - INTERVAL {24 * max(TRAILING_DAYS)} HOUR
                AND hour_end <= {_HOUR}
            GROUP BY instrument
        ), settled AS (
            SELECT instrument, arg_max(position, settled_at) AS open_interest,
                   max(settled_at) AS settled_at
            FROM settlements
            WHERE type = 'settlement'
                AND settled_at > {_END} - INTERVAL 24 HOUR
                AND settled_at <= {_END}
            GROUP BY instrument
        ), joined AS (
            SELECT futures.*, own.close AS future_close, other.close AS perpetual_close,
                   index_price, paid.* EXCLUDE (instrument), open_interest, settled_at,
                   own.traded AS future_traded, own.suspect OR other.suspect AS suspect
            FROM futures
            LEFT JOIN closes AS own ON own.instrument = futures.instrument
            LEFT JOIN closes AS other ON other.instrument = perpetual
            LEFT JOIN index_hourly ON index_name = price_index AND hour_end = index_hour_end
            LEFT JOIN paid ON paid.instrument = perpetual
            LEFT JOIN settled ON settled.instrument = futures.instrument
        ), {figures_ctes("no settlement in the 24 hours before")}
        SELECT {", ".join(column.name for column in COLUMNS)}
        FROM figures
        ORDER BY coin, expires_at, instrument
    """,
    parameters=(Parameter("moment", "a time, UTC where it names no zone", "'2024-04-05 11:59'"),),
)  # fmt: skip
