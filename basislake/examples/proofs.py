"""Questions about what proves funding and deliveries."""

from basislake.examples.example import Example, example

PROOFS: tuple[Example, ...] = (
    example(
        "funding-proof",
        "Months of funding that are not proved",
        "A row per perpetual's month whose hours are not all stored, or do not add up to the "
        "exchange's own total. In a whole lake of all time two: the exchange lacks two hours of "
        "2020-08-27.",
        """
        SELECT instrument, month, hours, expected_hours, sum_interest_1h, total, difference, reason
        FROM funding_proof
        WHERE NOT proved
        ORDER BY instrument, month
        """,
        has_rows=False,
    ),
    example(
        "delivery-proof",
        "Expired futures whose delivery is not proved",
        "No row in a whole lake: each expired future was delivered, at the delivery price of its "
        "index on that day, and each delivered one is known.",
        """
        SELECT instrument, expires_at, settlement_price, delivery_price, difference, reason
        FROM delivery_proof
        WHERE NOT proved
        ORDER BY expires_at, instrument
        """,
        has_rows=False,
    ),
    example(
        "index-chain",
        "Hours whose index does not follow from the hour before",
        "No row: the exchange sends each hour's index twice, at its end and as the start of the "
        "next.",
        """
        SELECT instrument, hour_end, prev_index_price, price_before
        FROM index_chain
        ORDER BY instrument, hour_end
        """,
        has_rows=False,
    ),
)
