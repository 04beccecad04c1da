"""Funding: what a perpetual's long position paid in each hour, from `get_funding_rate_history`.

A row is labelled by the end of its hour, so its step begins an hour before. The call's start is
exclusive and its end inclusive; of more than 744 rows it returns the newest.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.datasets.dataset import Dataset, closed, lives, without_late
from ingest.datasets.objects import frame_of, malformed, number_of, objects, once, time_of
from ingest.deribit.replies import Answer, Page
from ingest.plan.windows import milliseconds
from lake.carry_tables import RAW_FUNDING
from lake.time.intervals import Span
from lake.time.steps import HOUR, HOURS

if TYPE_CHECKING:
    from ingest.deribit.call_counts import CallCounts
    from ingest.deribit.client import Exchange

_METHOD = "get_funding_rate_history"
_NUMBERS = ("index_price", "prev_index_price", "interest_1h", "interest_8h")
# Time after an hour until its row counts as final, by the exchange's clock.
LAG = timedelta(minutes=1)
_step = pl.col("hour_end").dt.offset_by("-1h")


def wanted(chosen: pl.DataFrame, now: datetime) -> Mapping[str, Sequence[Span]]:
    """Return the hours in the lives of the chosen perpetuals; see `Dataset`."""
    perpetuals = chosen.filter(kind="perpetual")["instrument"].to_list()
    found = lives(chosen, HOURS, now, LAG)
    return {name: found[name] for name in perpetuals}


def params(instrument: str, window: Span) -> dict[str, str | int]:
    """Return the parameters of a call for a perpetual's funding in a time span."""
    return {
        "instrument_name": instrument,
        "start_timestamp": milliseconds(window.start),
        "end_timestamp": milliseconds(window.end),
    }


def ask(exchange: "Exchange", instrument: str, window: Span, tally: "CallCounts") -> Page:
    """Fetch the hours of a window; see `Dataset`."""
    return exchange.ask(
        _METHOD, params(instrument, window), lambda answer: read(answer, window), tally
    )


def read(answer: Answer, window: Span) -> Page:
    """Check a result of the method and turn it into a page.

    Args:
        answer: to the call for this window.
        window: whole hours.

    Raises:
        TransientError: it is not an answer to this window; none of it is used.
    """
    given = objects(answer.result, "the hours of funding")
    asked = closed(window, answer.at and HOURS.floor(answer.at - LAG))
    if len(given) > 2 * HOURS.longest:
        raise malformed(f"{len(given)} rows came for {(window.end - window.start) // HOUR} hours")
    rows = [_row(row, window) for row in given]
    frame, duplicates = once(frame_of(RAW_FUNDING, rows, "instrument"), ["hour_end"], "hour")
    # Whether the exchange leaves out the start itself is not documented.
    is_asked = (pl.col("hour_end") > asked.start) & (pl.col("hour_end") <= asked.end)
    frame = frame.filter(is_asked)
    covered = HOURS.spans(frame.select(_step).to_series())
    return Page(frame, duplicates, without_late(asked, covered, HOURS, answer.at), tuple(covered))


def _row(row: Mapping[str, Any], window: Span) -> dict[str, object]:
    hour_end = time_of(row)
    if HOURS.floor(hour_end) != hour_end:
        raise malformed(f"a row of {hour_end:%Y-%m-%dT%H:%M:%SZ} is not at a full hour")
    if not window.start <= hour_end <= window.end:
        raise malformed(f"a row of {hour_end:%Y-%m-%dT%H:%MZ} is outside the window")
    return {"hour_end": hour_end, **{name: number_of(row, name) for name in _NUMBERS}}


FUNDING = Dataset(
    name="funding",
    choice="funding",
    noun="hour",
    table=RAW_FUNDING,
    key=("hour_end",),
    steps=HOURS,
    step=_step,
    wanted=wanted,
    ask=ask,
    rows_per_call=HOURS.longest,
    bytes_per_row=21.5,
    whose=("perpetual", "perpetuals"),
)
