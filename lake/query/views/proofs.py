"""Views that compare fetched data with a second source, and name the differences."""

from lake.carry_tables import FUNDING, FUNDING_TOTALS
from lake.query.views.declaration import View, columns_of, optional
from lake.table import Column, Type
from lake.tables import INSTRUMENTS, SUPERSEDED

# The exchange sums shorter intervals than hours, so the last digits may differ.
TOTAL_TOLERANCE = 1e-6
# Both prices are sent with all their digits, so equal prices are equal numbers.
PRICE_TOLERANCE = 1e-9

_SHARE = "fraction of the notional"

# What became of a row that a proof lacks; a reason ends with one of them.
REJECTED = "rejected"
NO_ROW = "not listed by the exchange"
UNFETCHED = "not fetched yet"
_STATES = (
    f"{REJECTED}: a row came and broke a rule; see `rejected`. {NO_ROW}: by `coverage`, backfills "
    f"asked for the row more than once. {UNFETCHED}: neither; `basislake backfill` asks for the row"
)
# Rows of `rejected` that count: no later one of their key came.
_COUNTS = f"NOT list_contains(rules, '{SUPERSEDED}')"
_HAS_NO_ROW = "status IN ('missing', 'no_data')"

# Why a month of funding is not proved.
TOTALS_DIFFER = "the two sums differ"

FUNDING_PROOF = View(
    name="funding_proof",
    meaning="A perpetual's complete calendar month: the exchange's own total against its hours.",
    formula=(
        "difference = total - sum_interest_1h, over the hours that end in (first instant of the "
        "month, first instant of the next]. expected_hours counts the month's hours from the "
        "perpetual's first hour on: the first stored hour, or an earlier one that `coverage` "
        "expects. Months before that hour have no row. proved: there is a total, no hour is "
        "absent, and "
        f"|difference| <= {TOTAL_TOLERANCE:g} (0.0001 % of the notional). reason says why not: the "
        f"sums differ, or what is absent. {_STATES}. Each month with a total has a row, and each "
        "month that ended between the first row and the last. August 2020 cannot be proved, "
        "because the exchange lacks the hours 2020-08-27 06:00 and 07:00."
    ),
    source=(
        "Tables `funding` (get_funding_rate_history) and `funding_totals` "
        "(get_funding_rate_value), two methods of the exchange; `rejected` and `coverage`."
    ),
    columns=(
        *columns_of(FUNDING_TOTALS, "instrument", "month"),
        Column("hours", Type.INT, "rows of `funding` in the month", "hours"),
        Column("expected_hours", Type.INT, "hours that the month should have", "hours"),
        Column("sum_interest_1h", Type.FLOAT, "sum of interest_1h over those hours", _SHARE),
        optional("total", "as the exchange sums it", _SHARE),
        optional("difference", "total - sum_interest_1h", _SHARE),
        Column("proved", Type.BOOL, "whether both agree and no hour is absent"),
        Column("rejected_hours", Type.INT, "hours whose row was rejected", "hours"),
        Column("unlisted_hours", Type.INT, "hours of which the exchange has no row", "hours"),
        optional("reason", "why it is not proved", kind=Type.TEXT),
    ),
    sql=f"""
        WITH received AS (
            SELECT instrument, hour_end, interest_1h, FALSE AS is_rejected
            FROM funding
            UNION ALL
            SELECT instrument, ts, NULL, TRUE
            FROM rejected
            WHERE dataset = 'funding' AND {_COUNTS}
        ), held AS (
            SELECT instrument,
                   CAST(date_trunc('month', hour_end - INTERVAL 1 HOUR) AS DATE) AS month,
                   count(interest_1h) AS hours, count(*) FILTER (is_rejected) AS rejected_hours,
                   fsum(interest_1h) AS paid
            FROM received
            GROUP BY ALL
        ), firsts AS (
            SELECT instrument, min(start) AS due_from
            FROM coverage
            WHERE dataset = 'funding' AND status <> 'no_data'
            GROUP BY instrument
        ), spans AS (
            SELECT instrument, max(hour_end) AS ended,
                   least(min(hour_end) - INTERVAL 1 HOUR, min(due_from)) AS begun
            FROM received
            LEFT JOIN firsts USING (instrument)
            GROUP BY instrument
        ), received_totals AS (
            SELECT instrument, month, total
            FROM funding_totals
            UNION ALL
            SELECT instrument, CAST(ts AS DATE), NULL
            FROM rejected
            WHERE dataset = 'funding_totals' AND {_COUNTS}
        ), months AS (
            SELECT instrument, month FROM received_totals
            UNION
            SELECT instrument, CAST(unnest(generate_series(
                date_trunc('month', begun), ended - INTERVAL 1 MONTH, INTERVAL 1 MONTH)) AS DATE)
            FROM spans
        ), dues AS (
            SELECT instrument, month,
                   greatest(begun, CAST(month AS TIMESTAMPTZ)) AS due_from,
                   CAST(month + INTERVAL 1 MONTH AS TIMESTAMPTZ) AS due_until
            FROM months
            LEFT JOIN spans USING (instrument)
        ), unlisted AS (
            SELECT dues.instrument, month,
                   CAST(sum(date_diff('hour', greatest(start, due_from), least("end", due_until)))
                       AS BIGINT) AS unlisted_hours
            FROM dues
            JOIN coverage
                ON coverage.instrument = dues.instrument AND dataset = 'funding'
                AND {_HAS_NO_ROW} AND start < due_until AND "end" > due_from
            GROUP BY ALL
        ), pairs AS (
            SELECT dues.instrument, dues.month, coalesce(hours, 0) AS hours,
                   CAST(date_diff('hour', due_from, due_until) AS BIGINT) AS expected_hours,
                   coalesce(paid, 0) AS sum_interest_1h, total,
                   coalesce(rejected_hours, 0) AS rejected_hours,
                   coalesce(unlisted_hours, 0) AS unlisted_hours,
                   totals.instrument IS NOT NULL AND total IS NULL AS is_total_rejected
            FROM dues
            LEFT JOIN held USING (instrument, month)
            LEFT JOIN unlisted USING (instrument, month)
            LEFT JOIN received_totals AS totals
                ON totals.instrument = dues.instrument AND totals.month = dues.month
        ), judged AS (
            SELECT *, total - sum_interest_1h AS difference,
                   nullif(concat_ws('; ',
                       CASE WHEN rejected_hours > 0 THEN 'some hours were {REJECTED}' END,
                       CASE WHEN unlisted_hours > 0 THEN 'some hours are {NO_ROW}' END,
                       CASE WHEN hours + rejected_hours + unlisted_hours < expected_hours
                           THEN 'some hours are {UNFETCHED}' END,
                       CASE WHEN is_total_rejected THEN 'the total was {REJECTED}'
                           WHEN total IS NULL THEN 'the total is {UNFETCHED}' END), '') AS absent
            FROM pairs
        ), reasoned AS (
            SELECT *, coalesce(absent,
                       CASE WHEN abs(difference) > {TOTAL_TOLERANCE} THEN '{TOTALS_DIFFER}' END)
                       AS reason
            FROM judged
        )
        SELECT instrument, month, hours, expected_hours, sum_interest_1h, total, difference,
               reason IS NULL AS proved, rejected_hours, unlisted_hours, reason
        FROM reasoned
        WHERE expected_hours > 0
        ORDER BY instrument, month
    """,
)

INDEX_CHAIN = View(
    name="index_chain",
    meaning="An hour whose index at its start is not the index at the end of the hour before.",
    formula=(
        "Rows of `funding` whose prev_index_price is not price_before, the index_price of the row "
        "an hour earlier. An hour is not compared if the exchange sent no prev_index_price, or "
        "if the row before it is not in `funding`: rejected, not listed, or not fetched yet."
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

# Reasons why a delivery is not proved, other than an absent row.
UNKNOWN = "delivered, and not in instruments"
PRICES_DIFFER = "the two prices differ"


def _absence(what: str, is_rejected: str, dataset: str, name: str, at: str) -> str:
    """SQL of the reason why a row is absent that should cover a time: one of the states."""
    return f"""
        CASE WHEN {is_rejected} THEN 'the {what} was {REJECTED}'
             WHEN EXISTS (
                 FROM coverage
                 WHERE coverage.dataset = '{dataset}' AND coverage.instrument = {name}
                     AND {_HAS_NO_ROW} AND coverage.start < {at} AND coverage."end" >= {at})
             THEN 'the {what} is {NO_ROW}'
             ELSE 'the {what} is {UNFETCHED}' END"""


_DELIVERY_ABSENT = _absence(
    "delivery", "is_delivery_rejected", "settlements", "pairs.instrument", "expires_at"
)
# A day's price covers the day before 08:00.
_PRICE_ABSENT = _absence(
    "delivery price",
    "is_price_rejected",
    "deliveries",
    "price_index",
    "CAST(day AS TIMESTAMPTZ) + INTERVAL 8 HOUR",
)

DELIVERY_PROOF = View(
    name="delivery_proof",
    meaning="An expired future: its delivery price from two sources.",
    formula=(
        "settlement_price is the index_price of the future's delivery in `settlements`. "
        "delivery_price is the price of the future's index (price_index of `instruments`) in "
        "`deliveries` on the day of the expiry. difference = settlement_price - delivery_price. "
        "proved: both are "
        f"stored and |difference| <= {PRICE_TOLERANCE:g} of the price. reason says why not: the "
        f"prices differ, or what is absent. {_STATES}. A future is expired if its record says "
        "that it is not active, or if it was delivered. A delivered future that is not in "
        "`instruments` has no expires_at, and is not proved."
    ),
    source=(
        "Tables `instruments`, `settlements` and `deliveries`, three lists of the exchange; "
        "`rejected` and `coverage`."
    ),
    columns=(
        *columns_of(INSTRUMENTS, "instrument"),
        optional("expires_at", "expiry from the record", "UTC", kind=Type.TIME),
        optional("settlement_price", "by `settlements`", "quote per base"),
        optional("delivery_price", "by `deliveries`", "quote per base"),
        optional("difference", "settlement_price - delivery_price", "quote per base"),
        Column("proved", Type.BOOL, "whether both are stored and agree"),
        optional("reason", "why it is not proved", kind=Type.TEXT),
    ),
    sql=f"""
        WITH sound AS (
            SELECT instrument, index_price AS settlement_price, FALSE AS is_rejected
            FROM settlements
            WHERE type = 'delivery'
        ), delivered AS (
            FROM sound
            UNION ALL
            SELECT DISTINCT instrument, NULL, TRUE
            FROM rejected
            ANTI JOIN sound USING (instrument)
            WHERE dataset = 'settlements' AND "row" ->> 'type' = 'delivery' AND {_COUNTS}
        ), futures AS (
            SELECT instrument, expires_at, price_index, active, CAST(expires_at AS DATE) AS day
            FROM instruments
            WHERE kind = 'future'
        ), prices AS (
            SELECT index_name, CAST(delivered_at AS DATE) AS day, delivery_price
            FROM deliveries
            UNION ALL
            SELECT instrument, CAST(ts AS DATE), NULL
            FROM rejected
            WHERE dataset = 'deliveries' AND {_COUNTS}
        ), pairs AS (
            SELECT futures.* EXCLUDE (instrument, active), settlement_price, delivery_price,
                   coalesce(futures.instrument, delivered.instrument) AS instrument,
                   coalesce(is_rejected, FALSE) AS is_delivery_rejected,
                   index_name IS NOT NULL AND delivery_price IS NULL AS is_price_rejected
            FROM futures
            FULL JOIN delivered ON delivered.instrument = futures.instrument
            LEFT JOIN prices ON index_name = price_index AND prices.day = futures.day
            WHERE NOT active OR delivered.instrument IS NOT NULL
        ), judged AS (
            SELECT *, settlement_price - delivery_price AS difference,
                   CASE WHEN settlement_price IS NULL THEN {_DELIVERY_ABSENT} END AS no_delivery,
                   CASE WHEN delivery_price IS NULL THEN {_PRICE_ABSENT} END AS no_price
            FROM pairs
        ), reasoned AS (
            SELECT *,
                   CASE WHEN expires_at IS NULL THEN '{UNKNOWN}'
                        WHEN no_delivery IS NOT NULL OR no_price IS NOT NULL
                            THEN concat_ws('; ', no_delivery, no_price)
                        WHEN abs(difference) > {PRICE_TOLERANCE} * delivery_price
                            THEN '{PRICES_DIFFER}'
                   END AS reason
            FROM judged
        )
        SELECT instrument, expires_at, settlement_price, delivery_price, difference,
               reason IS NULL AS proved, reason
        FROM reasoned
        ORDER BY expires_at NULLS FIRST, instrument
    """,
)
