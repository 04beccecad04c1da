"""Ready queries that verify funding and deliveries."""

from basislake.sql.examples.example import Example, may_be_empty

PROOFS: tuple[Example, ...] = (
    may_be_empty(
        "funding-proof",
        "Months of funding that cannot be verified",
        "A row per month of a perpetual whose hours are not all stored, or whose sum differs from "
        "the exchange's own total. A complete lake of all time has two such rows: the exchange "
        "lacks two hours of 2020-08-27.",
        """
        SELECT instrument, month, hours, expected_hours, sum_interest_1h, total, difference, reason
        FROM funding_proof
        WHERE NOT proved
        ORDER BY instrument, month
        """,
    ),
    may_be_empty(
        "delivery-proof",
        "Expired futures whose delivery cannot be verified",
        "No row in a complete lake: each expired future was delivered at the delivery price of its "
        "index on that day, and `instruments` has each delivered one.",
        """
        SELECT instrument, expires_at, settlement_price, delivery_price, difference, reason
        FROM delivery_proof
        WHERE NOT proved
        ORDER BY expires_at, instrument
        """,
    ),
    may_be_empty(
        "index-chain",
        "Hours whose index does not follow from the hour before",
        "No row: the exchange sends each index twice, at the end of its hour and at the start of "
        "the next.",
        """
        SELECT instrument, hour_end, prev_index_price, price_before
        FROM index_chain
        ORDER BY instrument, hour_end
        """,
    ),
)
