"""Figures of verified carry data: funding and delivery prices, each by two independent answers."""

from basislake.report.figures import Chart, ChartKind, Figure, Listing, query
from lake.query.views.proofs import (
    NO_ROW,
    PRICES_DIFFER,
    REJECTED,
    TOTALS_DIFFER,
    UNFETCHED,
    UNKNOWN,
)

_NAMED = 12
# States of proofs that lack a row; if several rows are absent, the first of these counts.
_WANTING = {
    f"a row was {REJECTED}": REJECTED,
    f"a row is {UNFETCHED}": UNFETCHED,
    f"a row is {NO_ROW}": NO_ROW,
}
_STATE = (
    "CASE WHEN proved THEN 'proved' "
    + " ".join(f"WHEN contains(reason, '{end}') THEN '{state}'" for state, end in _WANTING.items())
    + " ELSE reason END"
)
FUNDING_STATES = ("proved", TOTALS_DIFFER, *_WANTING)
DELIVERY_STATES = ("proved", PRICES_DIFFER, *_WANTING, UNKNOWN)


def _named(condition: str, name: str, order: str) -> str:
    """SQL of the first names and the number of further ones; null if a condition is false."""
    return (
        f"CASE WHEN {condition} THEN array_to_string(list({name} ORDER BY {order})[:{_NAMED}], "
        f"', ') || if(count(*) > {_NAMED}, ' and ' || count(*) - {_NAMED} || ' more', '') END"
    )


FUNDING_PROVED = Figure(
    name="funding-proof",
    title="Funding compared with the exchange's totals",
    caption="For each full calendar month: the sum of its hours, and the exchange's own total",
    meaning=(
        "The view `funding_proof`. Proved: no hour is missing, and the two sums differ by at most "
        "0.0001 % of the notional. The exchange itself lacks two hours of August 2020."
    ),
    sql=query(f"""
        WITH judged AS (
            SELECT instrument, strftime(month, '%Y-%m') AS month,
                   {_STATE} AS state
            FROM funding_proof
        )
        SELECT instrument AS perpetual, state, count(*) AS months,
               {_named("state <> 'proved'", "month", "month DESC")} AS names
        FROM judged
        GROUP BY instrument, state
        ORDER BY instrument, list_position({list(FUNDING_STATES)}, state)
    """),
    units={"months": "months"},
    chart=Chart(
        ChartKind.BARS,
        x="perpetual",
        y=("months",),
        series="state",
        names={state: state for state in FUNDING_STATES},
        colours=("present", "failed", "venue", "never_asked", "missing"),
        x_title="months",
        y_title="perpetual",
        unit="months",
    ),
    listing=Listing(
        {"perpetual": "perpetual", "state": "state", "months": "months", "names": "not proved"},
        empty="No month can be verified: the lake has no full month of funding, and no total.",
    ),
)

DELIVERY_PROVED = Figure(
    name="delivery-proof",
    title="Delivery prices from two sources",
    caption="For each expired future: the price of its delivery, and its index's delivery price",
    meaning=(
        "The view `delivery_proof`. Proved: the price of the future's own delivery and the "
        "delivery price of its index are stored, and are equal."
    ),
    sql=query(f"""
        WITH judged AS (
            SELECT coalesce(base, split_part(instrument, '-', 1)) AS coin, instrument,
                   delivery_proof.expires_at, {_STATE} AS state
            FROM delivery_proof
            LEFT JOIN instruments USING (instrument)
        )
        SELECT coin, state, count(*) AS futures,
               {_named("state <> 'proved'", "instrument", "expires_at DESC, instrument")} AS names
        FROM judged
        GROUP BY coin, state
        ORDER BY coin, list_position({list(DELIVERY_STATES)}, state)
    """),
    units={"futures": "futures"},
    chart=Chart(
        ChartKind.BARS,
        x="coin",
        y=("futures",),
        series="state",
        names={state: state for state in DELIVERY_STATES} | {UNKNOWN: "no record of the future"},
        colours=("present", "failed", "venue", "never_asked", "missing", "missing-pale"),
        x_title="futures",
        y_title="coin",
        unit="futures",
    ),
    listing=Listing(
        {"coin": "coin", "state": "state", "futures": "futures", "names": "not proved"},
        empty="No future has expired yet.",
    ),
)
