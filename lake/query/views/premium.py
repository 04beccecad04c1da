"""Views of prices against the index: a perpetual's premium and a future's basis, by hour."""

from lake.carry_tables import FUNDING
from lake.query.views.clock import DAY_US, DAYS_PER_YEAR, HOUR_US, MINUTE_US, annualised, basis_pct
from lake.query.views.declaration import View, columns_of, optional
from lake.table import Column, Type
from lake.tables import BASIS

_HOUR_END = Column(
    "hour_end", Type.TIME, "end of the hour: one minute after `ts` of its last", "UTC"
)
_INDEX = Column("index_price", Type.FLOAT, "index at the end of the hour", "quote per base")
_MAY_LACK = optional(
    "index_price",
    "index at the end of the hour; null if no row of `funding` has it",
    "quote per base",
)

INDEX_HOURLY = View(
    name="index_hourly",
    meaning="The price of an index at the end of an hour.",
    formula=(
        "index_price of the row of `funding` that ends at hour_end, of the perpetual that settles "
        "to the index (the first by name, should there be several). An hour without a row of "
        "`funding` has no row here."
    ),
    source="Tables `funding` and `instruments`. The exchange offers no older index by itself.",
    columns=(
        Column("index_name", Type.TEXT, "the exchange's name of the index, e.g. btc_usd"),
        *columns_of(FUNDING, "hour_end", "index_price"),
    ),
    sql="""
        SELECT price_index AS index_name, hour_end, arg_min(index_price, instrument) AS index_price
        FROM funding
        JOIN instruments USING (instrument)
        GROUP BY price_index, hour_end
    """,
)

PERPETUAL_PREMIUM = View(
    name="perpetual_premium",
    meaning="What a perpetual costs above its index at the end of an hour.",
    formula=(
        "premium_pct = (close - index_price) / index_price x 100, not annualised. close is that of "
        "the minute labelled hour_end - 1 minute, which ends with the hour. Each row is a row of "
        "`funding`; if `candles` lacks that minute, close and premium_pct are null."
    ),
    source="Tables `funding` (index) and `candles` (including suspect ones). Reference: the index.",
    columns=(
        *columns_of(FUNDING, "instrument", "hour_end"),
        optional("close", "perpetual's close; null without a candle", "quote per base"),
        _INDEX,
        optional("premium_pct", "premium; null without a candle", "percent"),
    ),
    sql=f"""
        WITH closes AS (
            SELECT instrument, make_timestamptz(epoch_us(ts) + {MINUTE_US}) AS hour_end, close
            FROM candles
            WHERE epoch_us(ts) % {HOUR_US} = {HOUR_US - MINUTE_US}
                AND instrument IN (SELECT instrument FROM funding)
        )
        SELECT instrument, hour_end, close, index_price,
               {basis_pct("close", "index_price")} AS premium_pct
        FROM funding
        LEFT JOIN closes USING (instrument, hour_end)
        ORDER BY instrument, hour_end
    """,
)

# A future's close at the end of each hour against the index at that time.
INDEX_QUOTES_SQL = f"""
    WITH closes AS (
        SELECT candles.instrument, base AS coin, price_index, epoch_us(expires_at) AS expires_us,
               epoch_us(ts) + {MINUTE_US} AS end_us, close, traded, suspect
        FROM candles
        JOIN instruments USING (instrument)
        WHERE kind = 'future' AND epoch_us(ts) % {HOUR_US} = {HOUR_US - MINUTE_US}
    ), against AS (
        SELECT closes.*, make_timestamptz(end_us) AS hour_end, index_price,
               (expires_us - end_us) / {DAY_US} AS days,
               (close - index_price) / index_price AS part
        FROM closes
        LEFT JOIN index_hourly
            ON index_name = price_index AND hour_end = make_timestamptz(end_us)
    )
    SELECT *, {annualised("part * 100", "days")} AS apr_pct
    FROM against
"""

INDEX_BASIS = View(
    name="index_basis",
    meaning="The basis of a future against the index at the end of an hour.",
    formula=(
        "basis = future_close - index_price; basis_pct = basis / index_price x 100, b = basis / "
        "index_price; d = days_to_expiry = expires_at - hour_end in days of 86,400 s. apr_pct = "
        "basis_pct x 365 / d (simple); apy_pct = ((1 + b)^(365 / d) - 1) x 100 (compounded once "
        "in d days); log_pct = ln(1 + b) x 365 / d x 100 (continuously compounded). These three "
        "are ACT/365, and null if 60 minutes or less are left; apy_pct is also null if it is not a "
        "finite number. future_close is the close of the minute labelled hour_end - 1 minute. Each "
        "row is such a candle of a future. If `funding` has no row of that hour, the index and all "
        "figures derived from the index are null."
    ),
    source=(
        "Tables `candles` (including suspect ones), `instruments` and `funding`. Reference: the "
        "index that the future settles to, by its record."
    ),
    columns=(
        *columns_of(BASIS, "instrument"),
        _HOUR_END,
        *columns_of(BASIS, "future_close"),
        _MAY_LACK,
        optional("basis", "future_close - index_price", "quote per base"),
        optional("basis_pct", "basis / index_price x 100", "percent"),
        Column("days_to_expiry", Type.FLOAT, "expires_at - hour_end", "days"),
        *(
            optional(f"{name}_pct", meaning, "percent a year")
            for name, meaning in (
                ("apr", "simple annual rate"),
                ("apy", "annual rate, compounded"),
                ("log", "annual rate, continuously compounded"),
            )
        ),
    ),
    sql=f"""
        SELECT instrument, hour_end, close AS future_close, index_price,
               close - index_price AS basis, part * 100 AS basis_pct, days AS days_to_expiry,
               apr_pct,
               CASE WHEN apr_pct IS NOT NULL
                        AND ln(1 + part) * {DAYS_PER_YEAR} / days < 700
                    THEN (pow(1 + part, {DAYS_PER_YEAR} / days) - 1) * 100 END AS apy_pct,
               CASE WHEN apr_pct IS NOT NULL
                    THEN ln(close / index_price) * {DAYS_PER_YEAR} / days * 100 END AS log_pct
        FROM ({INDEX_QUOTES_SQL})
        ORDER BY instrument, hour_end
    """,
)
