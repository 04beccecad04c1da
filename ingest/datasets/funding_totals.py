"""Funding totals: the exchange's own sum of a perpetual's calendar month, from
`get_funding_rate_value`; an independent witness of the hours.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from ingest.datasets.dataset import Dataset
from ingest.datasets.objects import frame_of, number
from ingest.datasets.steps import Months
from ingest.exchange import Exchange, Tally
from ingest.replies import Answer, Page
from ingest.windows import milliseconds
from lake.carry_tables import RAW_FUNDING_TOTALS
from lake.spans import Span

_METHOD = "get_funding_rate_value"
_MONTHS = Months()
# The last hour of a month is final a while after it.
_LAG = timedelta(minutes=1)


def wanted(chosen: pl.DataFrame, now: datetime) -> dict[str, Sequence[Span]]:
    """Return the whole months of the chosen perpetuals' lives; see `Dataset`."""
    perpetuals = chosen.filter(pl.col("kind") == "perpetual").select("instrument", "listed_at")
    until = _MONTHS.floor(now - _LAG)
    return {name: [Span(_MONTHS.floor(start), until)] for name, start in perpetuals.iter_rows()}


def ask(exchange: Exchange, instrument: str, window: Span, tally: Tally) -> Page:
    """Ask for the total of a month; see `Dataset`."""
    params = {
        "instrument_name": instrument,
        "start_timestamp": milliseconds(window.start),
        "end_timestamp": milliseconds(window.end),
    }
    return exchange.ask(_METHOD, params, lambda answer: read(answer, window), tally)


def read(answer: Answer, window: Span) -> Page:
    """Check a result of the method and turn it into a page of one row.

    Raises:
        TransientError: it is no number.
    """
    row = {"month": window.start.date(), "total": number(answer.result, "result")}
    return Page(frame_of(RAW_FUNDING_TOTALS, [row], "instrument"), 0, window, (window,))


FUNDING_TOTALS = Dataset(
    name="funding_totals",
    noun="months",
    table=RAW_FUNDING_TOTALS,
    subject="instrument",
    key=("month",),
    steps=_MONTHS,
    wanted=wanted,
    ask=ask,
    bytes_per_row=20.0,
)
