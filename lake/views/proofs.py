"""Views that compare fetched data with a second source, and name the differences."""

from lake.carry_tables import FUNDING, FUNDING_TOTALS
from lake.table import Column, Type
from lake.tables import INSTRUMENTS
from lake.views.declaration import View, columns_of

# The exchange sums shorter intervals than hours, so the last digits may differ.
TOTAL_TOLERANCE = 1e-6
# Both prices are sent with all their digits, so equal prices are equal numbers.
PRICE_TOLERANCE = 1e-9

_SHARE = "fraction of the notional"

FUNDING_PROOF = View(
    name="funding_proof",
    meaning="A perpetual's complete calendar month: the exchange's own total against its hours.",
    formula=(
        "difference = total - sum_interest_1h, over the hours that end in (first instant of the "
        "month, first instant of the next]. expected_hours are those of the month since the "
        "perpetual's first hour: the first that is stored, or an earlier one that `coverage` "
        "expects; earlier months have no row. proved: there is a total, no hour is missing, "
        f"and |difference| <= {TOTAL_TOLERANCE:g} (0.0001 % of the notional). Months are those "
        "with a total, and those that ended between the first row and the last. The exchange "
        "lacks the hours 2020-08-27 06:00 and 07:00, so their month is not proved."
    ),
    source=(
        "Tables `funding` (get_funding_rate_history) and `funding_totals` "
        "(get_funding_rate_value), two methods of the exchange, and `coverage`."
    ),
    columns=(
        *columns_of(FUNDING_TOTALS, "instrument", "month"),
        Column("hours", Type.INT, "rows of `funding` in the month", "hours"),
        Column("expected_hours", Type.INT, "hours that the month should have", "hours"),
        Column("sum_interest_1h", Type.FLOAT, "sum of interest_1h over those hours", _SHARE),
        Column("total", Type.FLOAT, "as the exchange sums it", _SHARE, nullable=True),
        Column("difference", Type.FLOAT, "total - sum_interest_1h", _SHARE, nullable=True),
        Column("proved", Type.BOOL, "whether both agree and no hour is missing"),
    ),
    sql=f"""
        WITH held AS (
            SELECT instrument,
                   CAST(date_trunc('month', hour_end - INTERVAL 1 HOUR) AS DATE) AS month,
                   count(*) AS hours, fsum(interest_1h) AS paid
            FROM funding
            GROUP BY ALL
        ), firsts AS (
            SELECT instrument, min(start) AS due_from
            FROM coverage
            WHERE dataset = 'funding' AND status <> 'no_data'
            GROUP BY instrument
        ), spans AS (
            SELECT instrument, max(hour_end) AS ended,
                   least(min(hour_end) - INTERVAL 1 HOUR, min(due_from)) AS begun
            FROM funding
            LEFT JOIN firsts USING (instrument)
            GROUP BY instrument
        ), months AS (
            SELECT instrument, month FROM funding_totals
            UNION
            SELECT instrument, CAST(unnest(generate_series(
                date_trunc('month', begun), ended - INTERVAL 1 MONTH, INTERVAL 1 MONTH)) AS DATE)
            FROM spans
        ), pairs AS (
            SELECT months.instrument, months.month, coalesce(hours, 0) AS hours,
                   CAST(greatest(0, date_diff('hour',
                       greatest(begun, CAST(months.month AS TIMESTAMPTZ)),
                       CAST(months.month + INTERVAL 1 MONTH AS TIMESTAMPTZ))) AS BIGINT)
                       AS expected_hours,
                   coalesce(paid, 0) AS sum_interest_1h, total
            FROM months
            LEFT JOIN held USING (instrument, month)
            LEFT JOIN funding_totals USING (instrument, month)
            LEFT JOIN spans USING (instrument)
        )
        SELECT *, total - sum_interest_1h AS difference,
               coalesce(hours = expected_hours
                   AND abs(total - sum_interest_1h) <= {TOTAL_TOLERANCE}, FALSE) AS proved
        FROM pairs
        WHERE expected_hours > 0
        ORDER BY instrument, month
    """,
)

INDEX_CHAIN = View(
    name="index_chain",
    meaning="An hour whose index at its start is not the index at the end of the hour before.",
    formula=(
        "Rows of `funding` whose prev_index_price is not price_before, the index_price of the row "
        "an hour earlier. An hour without a row before it is not compared."
    ),
    source="Table `funding`: the exchange sends each index price twice.",
    columns=(
        *columns_of(FUNDING, "instrument", "hour_end", "prev_index_price"),
        Column("price_before", Type.FLOAT, "index_price of the hour before", "quote per base"),
    ),
    sql="""
        SELECT later.instrument, later.hour_end, later.prev_index_price,
               earlier.index_price AS price_before
        FROM funding AS later
        JOIN funding AS earlier
            ON earlier.instrument = later.instrument
            AND earlier.hour_end = later.hour_end - INTERVAL 1 HOUR
        WHERE later.prev_index_price <> earlier.index_price
        ORDER BY later.instrument, later.hour_end
    """,
)

# Reasons why a delivery is not proved.
UNKNOWN = "delivered, and not in instruments"
NEITHER = "neither a delivery nor a delivery price is stored"
NO_DELIVERY = "no delivery is stored"
NO_PRICE = "no delivery price of that day is stored"
PRICES_DIFFER = "the two prices differ"

DELIVERY_PROOF = View(
    name="delivery_proof",
    meaning="An expired future: its delivery price from two sources.",
    formula=(
        "settlement_price is the index_price of the future's delivery in `settlements`; "
        "delivery_price is that of its index (price_index of `instruments`) in `deliveries` on the "
        "day of its expiry; difference = settlement_price - delivery_price. proved: both are "
        f"stored and |difference| <= {PRICE_TOLERANCE:g} of the price; reason says why not. A "
        "future is expired if its record says that it is not active, or if it was delivered. A "
        "delivered future that is not in `instruments` has no expires_at, and is not proved."
    ),
    source="Tables `instruments`, `settlements` and `deliveries`, three lists of the exchange.",
    columns=(
        *columns_of(INSTRUMENTS, "instrument"),
        Column("expires_at", Type.TIME, "expiry from the record", "UTC", nullable=True),
        Column("settlement_price", Type.FLOAT, "by `settlements`", "quote per base", nullable=True),
        Column("delivery_price", Type.FLOAT, "by `deliveries`", "quote per base", nullable=True),
        Column(
            "difference",
            Type.FLOAT,
            "settlement_price - delivery_price",
            "quote per base",
            nullable=True,
        ),
        Column("proved", Type.BOOL, "whether both are stored and agree"),
        Column("reason", Type.TEXT, "why it is not proved", nullable=True),
    ),
    sql=f"""
        WITH delivered AS (
            SELECT instrument, index_price AS settlement_price
            FROM settlements
            WHERE type = 'delivery'
        ), futures AS (
            SELECT instrument, expires_at, price_index, active
            FROM instruments
            WHERE kind = 'future'
        ), pairs AS (
            SELECT instrument, expires_at, settlement_price, delivery_price
            FROM futures
            FULL JOIN delivered USING (instrument)
            LEFT JOIN deliveries
                ON index_name = price_index
                AND CAST(delivered_at AS DATE) = CAST(expires_at AS DATE)
            WHERE NOT active OR settlement_price IS NOT NULL
        ), judged AS (
            SELECT *, settlement_price - delivery_price AS difference,
                   CASE WHEN expires_at IS NULL THEN '{UNKNOWN}'
                        WHEN settlement_price IS NULL AND delivery_price IS NULL
                            THEN '{NEITHER}'
                        WHEN settlement_price IS NULL THEN '{NO_DELIVERY}'
                        WHEN delivery_price IS NULL THEN '{NO_PRICE}'
                        WHEN abs(settlement_price - delivery_price)
                            > {PRICE_TOLERANCE} * delivery_price
                            THEN '{PRICES_DIFFER}'
                   END AS reason
            FROM pairs
        )
        SELECT instrument, expires_at, settlement_price, delivery_price, difference,
               reason IS NULL AS proved, reason
        FROM judged
        ORDER BY expires_at NULLS FIRST, instrument
    """,
)
