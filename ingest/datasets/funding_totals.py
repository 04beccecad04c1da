"""Funding totals: the exchange's own sum of a perpetual's calendar month, from
`get_funding_rate_value`; an independent check of the hours.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from ingest.datasets import funding
from ingest.datasets.dataset import LATE, Dataset
from ingest.datasets.objects import frame_of, number_of
from ingest.deribit.replies import Answer, Page
from lake.carry_tables import RAW_FUNDING_TOTALS
from lake.errors import LateError
from lake.time.intervals import Span, merge
from lake.time.steps import MONTHS

if TYPE_CHECKING:
    from ingest.deribit.call_counts import CallCounts
    from ingest.deribit.client import Exchange

_METHOD = "get_funding_rate_value"


def wanted(chosen: pl.DataFrame, now: datetime) -> Mapping[str, Sequence[Span]]:
    """Return the complete months in the lives of the chosen perpetuals; see `Dataset`.

    For a perpetual that is only a companion of futures, the whole months in the futures' lives.
    """
    companions = set(chosen.filter("is_companion")["instrument"])
    found = {}
    for name, hours in funding.wanted(chosen, now - LATE).items():
        whole = name in companions
        start_of = MONTHS.ceil if whole else MONTHS.floor
        found[name] = [Span(start_of(s.start), MONTHS.floor(s.end)) for s in merge(hours)]
    return found


def ask(exchange: "Exchange", instrument: str, window: Span, tally: "CallCounts") -> Page:
    """Fetch the total of a month; see `Dataset`."""
    params = funding.params(instrument, window)
    return exchange.ask(_METHOD, params, lambda answer: read(answer, window), tally)


def read(answer: Answer, window: Span) -> Page:
    """Check a result of the method and turn it into a page of one row.

    Raises:
        TransientError: it is not a number.
        LateError: by the exchange's clock the month has only just ended.
    """
    if answer.at is not None and answer.at < window.end + LATE:
        raise LateError("The month has only just ended.")
    row = {"month": window.start.date(), "total": number_of({"result": answer.result}, "result")}
    return Page(frame_of(RAW_FUNDING_TOTALS, [row], "instrument"), 0, window, (window,))


FUNDING_TOTALS = Dataset(
    name="funding_totals",
    choice="funding",
    noun="month",
    table=RAW_FUNDING_TOTALS,
    key=("month",),
    steps=MONTHS,
    step=pl.col("month").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
    wanted=wanted,
    ask=ask,
    rows_per_call=1,
    bytes_per_row=28.2,
    whose=("perpetual", "perpetuals"),
)
