"""Settlements: an instrument's open interest, mark price and index at 08:00 of each day, and its
delivery, from `get_last_settlements_by_instrument`.

The list is newest first, in pages joined by a continuation. If the exchange does not serve an
instrument any more, its rows are filtered from the list of its coin.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.datasets.dataset import Dataset, closed, lives, without_late
from ingest.datasets.objects import frame_of, malformed, number_of, objects, once, text_of, time_of
from ingest.deribit.replies import Answer, Page
from ingest.plan.windows import milliseconds
from lake.carry_tables import RAW_SETTLEMENTS
from lake.errors import LateError, RejectedError
from lake.time.intervals import Span
from lake.time.steps import DAY, DAYS

if TYPE_CHECKING:
    from ingest.deribit.call_counts import CallCounts
    from ingest.deribit.client import Exchange

_OF_INSTRUMENT = "get_last_settlements_by_instrument"
_OF_COIN = "get_last_settlements_by_currency"
_MOST_ROWS = 1_000
# Other rows that may be among those of a window: bankruptcies, and the day after it.
_SLACK = 10
_TYPES = ("settlement", "delivery")
_NUMBERS = ("position", "mark_price", "index_price")
# A day's row appears some milliseconds after 08:00; time until it should be available.
LAG = timedelta(minutes=5)
_is_delivery = pl.col("type") == "delivery"
_settled = pl.col("settled_at").dt.offset_by("-8h").dt.truncate("1d").dt.offset_by("8h")
# The end of a row's day: the 08:00 that it follows; of a delivery at another hour the next one.
_end = (
    pl.when(_is_delivery & (pl.col("settled_at") > _settled + LAG))
    .then(_settled.dt.offset_by("24h"))
    .otherwise(_settled)
)


def wanted(chosen: pl.DataFrame, now: datetime) -> Mapping[str, Sequence[Span]]:
    """Return the days in the lives of the chosen instruments, ending at 08:00; see `Dataset`.

    A delivery is a future's last settlement, so its day is over with it, at any hour. A perpetual
    that is only a companion of futures needs no settlements.
    """
    own = chosen.filter(~pl.col("is_companion"))
    found = lives(own, DAYS, now, LAG)
    expired = own.filter(pl.col("expires_at") <= now - LAG)
    for name, expires_at in expired.select("instrument", "expires_at").iter_rows():
        found[name] = [Span(span.start, DAYS.ceil(expires_at)) for span in found[name]]
    return found


def ask(exchange: "Exchange", instrument: str, window: Span, tally: "CallCounts") -> Page:
    """Fetch the days of a window, page by page; see `Dataset`."""
    pages = _Pages(exchange, window, tally)
    try:
        rows = pages.all(_OF_INSTRUMENT, {"instrument_name": instrument})
    except RejectedError:
        rows = []
    if not rows:
        coin = instrument.partition("-")[0]
        rows = [
            row for kind in _TYPES for row in pages.all(_OF_COIN, {"currency": coin, "type": kind})
        ]
    return read([row for row in rows if row["instrument_name"] == instrument], window, pages.at)


@dataclass(slots=True)
class _Pages:
    """Pages of settlements, newest first, back to the start of a window.

    Attributes:
        exchange: to call.
        window: of days.
        tally: counts the calls.
        at: the exchange's clock in its first answer.
    """

    exchange: "Exchange"
    window: Span
    tally: "CallCounts"
    at: datetime | None = None

    def all(self, method: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of all pages.

        Raises:
            TransientError: a page cannot be read, or repeats an earlier one, in all attempts.
            RejectedError: the exchange refuses the call.
        """
        # The latest time needed: rows of the window's last day appear after its end.
        latest = milliseconds(self.window.end + DAY) - 1
        # In the list of a coin each day has the rows of all its instruments.
        own = (self.window.end - self.window.start) // DAY + _SLACK
        count = min(_MOST_ROWS, own) if method == _OF_INSTRUMENT else _MOST_ROWS
        params = {**params, "count": count, "search_start_timestamp": latest}
        rows: list[dict[str, Any]] = []
        seen: set[str] = set()
        while True:
            answer = self.exchange.ask(
                method, params, lambda answer: _checked(answer, seen), self.tally
            )
            self.at = self.at or answer.at
            page = [row for row in map(_row, answer.result["settlements"]) if row]
            rows += page
            continuation = answer.result.get("continuation")
            is_back = any(row["settled_at"] < self.window.start + DAY for row in page)
            if not answer.result["settlements"] or not continuation or is_back:
                return rows
            seen.add(continuation)
            params = {**params, "continuation": continuation}


def read(rows: Sequence[Mapping[str, Any]], window: Span, at: datetime | None) -> Page:
    """Turn one instrument's rows of all pages into a page of the window's days.

    Args:
        rows: of `raw_settlements`, as mappings.
        window: whole days, from 08:00 to 08:00.
        at: the exchange's clock.

    Raises:
        TransientError: one row has two values, or the window is in the future.
        LateError: its first day is not over, and no delivery has ended it.
    """
    frame = frame_of(RAW_SETTLEMENTS, rows, "instrument")
    # A delivery after the window's last day is its last row, late.
    is_late = _is_delivery & (_settled == window.end)
    frame = frame.with_columns(end=pl.when(is_late).then(_settled).otherwise(_end))
    delivered = frame.filter(_is_delivery)["end"].to_list()
    until = at and max([DAYS.floor(at - LAG), *delivered])
    if at and until and at > window.start >= until:
        raise LateError("The newest row has not been published yet.")
    asked = closed(window, until)
    frame = frame.filter((pl.col("end") > asked.start) & (pl.col("end") <= asked.end))
    distinct, duplicates = once(frame, ["settled_at", "type"], "settlement")
    covered = DAYS.spans(distinct["end"].unique().sort().dt.offset_by("-24h"))
    asked = without_late(asked, covered, DAYS, at)
    return Page(distinct.drop("end"), duplicates, asked, tuple(covered))


def _checked(answer: Answer, seen: Collection[str]) -> Answer:
    """Refuse an answer that is not a page, or whose continuation was already used."""
    if not isinstance(answer.result, dict):
        raise malformed("it is not a page of settlements")
    for row in objects(answer.result.get("settlements"), "the settlements"):
        _row(row)
    if answer.result.get("continuation") in seen:
        raise malformed("a continuation of the settlements leads back to an earlier page")
    return answer


def _row(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A row of the table, with its instrument; None for rows of options or bankruptcies."""
    kind = text_of(row, "type")
    if kind not in _TYPES:
        return None
    return {
        "instrument_name": text_of(row, "instrument_name"),
        "settled_at": time_of(row),
        "type": kind,
        **{name: number_of(row, name) for name in _NUMBERS},
    }


SETTLEMENTS = Dataset(
    name="settlements",
    choice="settlements",
    noun="day",
    table=RAW_SETTLEMENTS,
    key=("settled_at", "type"),
    steps=DAYS,
    step=_end.dt.offset_by("-24h"),
    wanted=wanted,
    ask=ask,
    rows_per_call=DAYS.longest,
    bytes_per_row=14.4,
)
