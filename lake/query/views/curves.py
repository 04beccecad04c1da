"""Views of the basis across expiries in one minute: the term structure."""

from lake.query.views.clock import annualised, basis_pct
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.table import Column, Type
from lake.tables import BASIS, INSTRUMENTS

COIN = Column("coin", Type.TEXT, "coin of the futures")
# Search range for the last trade: for an older one DuckDB would read all candles.
LOOK_BACK_DAYS = 30


def _minutes_ago(leg: str) -> Column:
    return optional(
        f"{leg}_traded_minutes_ago",
        f"minutes since the {leg} last traded, 0 in a minute with a trade; null without a "
        f"trade in {LOOK_BACK_DAYS} days",
        "minutes",
        kind=Type.INT,
    )


_COLUMNS = (
    COIN,
    *columns_of(INSTRUMENTS, "instrument", "term", "expires_at"),
    *columns_of(
        BASIS,
        "ts",
        "days_to_expiry",
        "future_close",
        "perpetual_close",
        "basis",
        "basis_pct",
        "annualised_pct",
        "future_traded",
        "perpetual_traded",
    ),
    _minutes_ago("future"),
    _minutes_ago("perpetual"),
    *columns_of(BASIS, "market_structure", "suspect"),
    optional(
        "index_price", "index at the last full hour by the end of the minute", "quote per base"
    ),
    optional("index_basis_pct", "(future_close - index_price) / index_price x 100", "percent"),
    optional(
        "index_apr_pct",
        "index_basis_pct x 365 / days_to_expiry; null like annualised_pct",
        "percent a year",
    ),
)


def _curve_sql(minutes: str) -> str:
    """The curve of each coin in one minute.

    Args:
        minutes: SQL of rows (coin, ts), a row per coin at most.
    """
    names = ", ".join(column.name for column in _COLUMNS)
    return f"""
        WITH minutes AS MATERIALIZED ({minutes}), curve AS MATERIALIZED (
            SELECT coin, basis.*, futures.term, futures.expires_at, futures.price_index,
                   perpetuals.instrument AS perpetual
            FROM minutes
            JOIN instruments AS futures ON futures.base = coin
            JOIN basis ON basis.instrument = futures.instrument AND basis.ts = minutes.ts
            LEFT JOIN instruments AS perpetuals
                ON perpetuals.base = coin AND perpetuals.kind = 'perpetual'
        ), legs AS (
            SELECT instrument, ts FROM curve UNION SELECT perpetual, ts FROM curve
        ), trades AS (
            SELECT legs.instrument, max(candles.ts) AS ts
            FROM legs
            JOIN candles ON candles.instrument = legs.instrument
                AND candles.ts BETWEEN legs.ts - INTERVAL {LOOK_BACK_DAYS} DAY AND legs.ts
            WHERE candles.traded
                -- The same bound for all legs: DuckDB skips files by it.
                AND candles.ts >= (SELECT min(ts) - INTERVAL {LOOK_BACK_DAYS} DAY FROM minutes)
                AND candles.ts <= (SELECT max(ts) FROM minutes)
            GROUP BY legs.instrument
        ), shown AS (
            SELECT curve.*,
                   date_diff('minute', of_future.ts, curve.ts) AS future_traded_minutes_ago,
                   date_diff('minute', of_perpetual.ts, curve.ts) AS perpetual_traded_minutes_ago,
                   index_price, {basis_pct("future_close", "index_price")} AS index_basis_pct
            FROM curve
            LEFT JOIN index_hourly
                ON index_name = price_index
                AND hour_end = date_trunc('hour', curve.ts + INTERVAL 1 MINUTE)
            LEFT JOIN trades AS of_future ON of_future.instrument = curve.instrument
            LEFT JOIN trades AS of_perpetual ON of_perpetual.instrument = perpetual
        )
        SELECT {names}
        FROM (
            SELECT *, {annualised("index_basis_pct", "days_to_expiry")} AS index_apr_pct
            FROM shown
        )
        ORDER BY coin, expires_at, instrument
    """


TERM_STRUCTURE = View(
    name="term_structure",
    meaning="The basis of every open future in the minute of one moment, by expiry.",
    formula=(
        "The rows of `basis` with ts <= moment < ts + 1 minute. A future without a row in that "
        "minute is left out: no close comes from another minute. When nothing trades, the "
        "exchange repeats the last close; the columns `..._minutes_ago` say how old it is, by "
        "the newest traded candle of `candles`. The index is from the end of the last full hour, "
        "up to 59 minutes before the end of the minute. The index is null if "
        "`funding` lacks that hour. annualised_pct and index_apr_pct are simple rates, ACT/365."
    ),
    source=(
        "Tables `basis`, `candles`, `instruments` and `funding`; `basislake curve --at` prints it."
    ),
    columns=_COLUMNS,
    sql=_curve_sql("""
        SELECT DISTINCT base AS coin, date_trunc('minute', CAST(moment AS TIMESTAMPTZ)) AS ts
        FROM instruments
    """),
    parameters=(Parameter("moment", "a time, UTC where it names no zone", "'2024-04-05 11:59'"),),
)

TERM_STRUCTURE_LATEST = View(
    name="term_structure_latest",
    meaning="The basis of every open future in the newest minute of its coin, by expiry.",
    formula=(
        "`term_structure` of each coin in its newest minute: the last one in which any future of "
        "the coin has a row of `basis`. That minute may differ between coins; see `ts`."
    ),
    source="As `term_structure`; `basislake curve` prints it.",
    columns=_COLUMNS,
    sql=_curve_sql("""
        SELECT base AS coin, max(ts) AS ts
        FROM (SELECT instrument, max(ts) AS ts FROM basis GROUP BY instrument)
        JOIN instruments USING (instrument)
        GROUP BY base
    """),
)
