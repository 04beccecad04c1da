"""Funding, its totals, delivery prices and settlements, fetched from the simulated exchange."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from basislake.simulator.carry import HOUR_MS, MarketCarry, Row
from basislake.simulator.carry_answers import continuation_after
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import Changed
from basislake.simulator.full_market import full_universe
from basislake.simulator.server import SimulatedExchange
from ingest.datasets import deliveries, funding_totals, settlements
from ingest.datasets.deliveries import DELIVERIES
from ingest.datasets.funding import FUNDING
from ingest.datasets.funding import read as read_funding
from ingest.datasets.funding_totals import FUNDING_TOTALS
from ingest.datasets.settlements import SETTLEMENTS
from ingest.deribit.call_counts import CallCounts
from ingest.deribit.replies import Answer, Page
from lake.errors import LateError, TransientError
from lake.time.intervals import Span
from tests.market import swift

NOW = datetime(2020, 10, 1, 12, 0, 30, tzinfo=UTC)
UNIVERSE = full_universe(3, NOW)
TRUTH = MarketCarry(UNIVERSE)
NAME, FUTURE, INDEX = "BTC-PERPETUAL", "BTC-26JUN20", "btc_usd"
FUNDING_METHOD = "get_funding_rate_history"
OF_INSTRUMENT = "get_last_settlements_by_instrument"


def day(*date: int) -> datetime:
    return datetime(*date, tzinfo=UTC)  # type: ignore[misc, arg-type]


HOUR = timedelta(hours=1)
MONTH = Span(day(2020, 8, 10), day(2020, 9, 1))
DAYS = Span(day(2020, 3, 1, 8), day(2020, 6, 26, 8))


@pytest.fixture(name="exchange", scope="module")
def fixture_exchange() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as exchange:
        yield exchange


@pytest.fixture(name="ask")
def fixture_ask(exchange: SimulatedExchange) -> Iterator[Callable[..., Page]]:
    with swift(exchange, retries=0) as client:
        yield lambda dataset, name, window: dataset.ask(client, name, window, CallCounts())
    exchange.faults.clear()


def time(ms: object) -> datetime:
    return datetime.fromtimestamp(int(str(ms)) / 1000, UTC)


def hours(rows: Sequence[Row]) -> list[dict[str, Any]]:
    names = ("index_price", "prev_index_price", "interest_1h", "interest_8h")
    return [{"hour_end": time(r["timestamp"]), **{n: r.get(n) for n in names}} for r in rows]


def test_windows_of_720_hours_hold_all_hours_once(ask: Callable[..., Page]) -> None:
    span = Span(day(2020, 5, 1), day(2020, 7, 25))
    windows = FUNDING.steps.windows([span])
    assert [(w.end - w.start) // HOUR for w in windows] == [720, 720, 600]
    frames = pl.concat([ask(FUNDING, NAME, window).frame for window in windows])
    truth = TRUTH.funding(NAME, milliseconds(span.start), milliseconds(span.end))
    assert frames.to_dicts() == hours(truth)


def test_the_hour_that_is_not_over_is_still_to_be_asked(ask: Callable[..., Page]) -> None:
    page = ask(FUNDING, NAME, Span(day(2020, 10, 1), day(2020, 10, 2)))
    # The hour that ended at 12:00 is half a minute old.
    assert page.asked == Span(day(2020, 10, 1), day(2020, 10, 1, 11))
    assert page.frame["hour_end"].max() == day(2020, 10, 1, 11)


LATE = Answer([], day(2020, 10, 1, 12) + timedelta(minutes=2))


def late_hours(*ends: datetime) -> Answer:
    """An answer two minutes after 12:00 with the hours that end then."""
    cells = {"index_price": 1.0, "prev_index_price": 1.0, "interest_1h": 0.0, "interest_8h": 0.0}
    return replace(LATE, result=[{"timestamp": milliseconds(end), **cells} for end in ends])


def test_a_row_that_may_only_be_late_is_not_taken_for_missing() -> None:
    noon = day(2020, 10, 1, 12)
    window = Span(noon - 3 * HOUR, noon)
    complete = read_funding(late_hours(noon - 2 * HOUR, noon - HOUR, noon), window)
    assert complete.asked == window
    page = read_funding(late_hours(noon - 2 * HOUR, noon - HOUR), window)
    assert page.asked == Span(noon - 3 * HOUR, noon - HOUR)
    # An hour that ended before 11:02 is not late any more, but missing.
    page = read_funding(late_hours(noon - 2 * HOUR), window)
    assert (page.asked.end, page.present[-1].end) == (noon - HOUR, noon - 2 * HOUR)
    with pytest.raises(LateError, match="not been published yet"):
        read_funding(LATE, Span(noon - HOUR, noon))


def twice(rows: list[Row]) -> list[Row]:
    return [*rows, rows[3]]


def contradicted(rows: list[Row]) -> list[Row]:
    return [*rows, {**rows[3], "interest_1h": 1.0}]


def test_a_row_that_comes_twice_counts_once(
    ask: Callable[..., Page], exchange: SimulatedExchange
) -> None:
    good = ask(FUNDING, NAME, MONTH)
    exchange.faults.add(FUNDING_METHOD, 1, Changed(twice))
    page = ask(FUNDING, NAME, MONTH)
    assert page.frame.equals(good.frame)
    assert page.duplicates == 1


def test_a_cell_without_a_value_is_read_as_such(
    ask: Callable[..., Page], exchange: SimulatedExchange
) -> None:
    exchange.faults.add(
        FUNDING_METHOD, 1, Changed(lambda rows: [{**rows[0], "interest_1h": None}, *rows[1:]])
    )
    page = ask(FUNDING, NAME, MONTH)
    assert page.frame["interest_1h"].null_count() == 1
    assert page.frame["interest_1h"][0] is None


def moved(by_ms: int) -> Callable[[list[Row]], list[Row]]:
    def change(rows: list[Row]) -> list[Row]:
        return [{**rows[0], "timestamp": int(str(rows[0]["timestamp"])) + by_ms}, *rows[1:]]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (contradicted, "twice with different values"),
        (moved(1), "not at a full hour"),
        (moved(-24 * HOUR_MS), "outside the window"),
        (lambda rows: rows * 3, "rows came"),
        (lambda rows: {"data": rows}, "not a list of objects"),
        (lambda rows: [*rows, 7], "not a list of objects"),
        (lambda rows: [{**rows[0], "timestamp": "soon"}], "not a time"),
        (lambda rows: [{**rows[0], "interest_1h": "0.1"}], "not a number"),
        (lambda rows: [{**rows[0], "interest_1h": True}], "not a number"),
    ],
)
def test_an_answer_of_another_structure_is_refused(
    ask: Callable[..., Page],
    exchange: SimulatedExchange,
    change: Callable[[Any], Any],
    reason: str,
) -> None:
    exchange.faults.add(FUNDING_METHOD, 1, Changed(change))
    with pytest.raises(TransientError, match=reason):
        ask(FUNDING, NAME, MONTH)


@pytest.mark.parametrize("after", [timedelta(0), timedelta(minutes=59)])
def test_a_total_is_not_believed_before_its_month_is_settled(after: timedelta) -> None:
    window = FUNDING_TOTALS.steps.windows([Span(day(2020, 8, 1), day(2020, 9, 1))])[0]
    with pytest.raises(LateError, match="only just ended"):
        funding_totals.read(Answer(0.001, window.end + after), window)
    whole = funding_totals.read(Answer(0.001, window.end + timedelta(hours=1)), window)
    assert whole.frame["total"].to_list() == [0.001]


def prices(window: Span) -> dict[datetime, object]:
    return {
        datetime.fromisoformat(f"{row['date']}T08:00Z"): row["delivery_price"]
        for row in (TRUTH.delivery(INDEX, n) for n in TRUTH.days(INDEX, milliseconds(window.end)))
        if datetime.fromisoformat(f"{row['date']}T08:00Z") > window.start
    }


@pytest.mark.parametrize("start", [day(2020, 9, 28, 8), day(2019, 9, 28, 8)])
def test_delivery_prices_come_in_pages_back_to_the_first_day(
    ask: Callable[..., Page], start: datetime
) -> None:
    window = Span(start, day(2020, 10, 1, 8))
    page = ask(DELIVERIES, INDEX, window)
    assert dict(page.frame.iter_rows()) == prices(window)
    assert page.present == [window]


def settlement_row(kind: str, at: datetime) -> dict[str, Any]:
    cells = {"position": 1.0, "mark_price": 1.0, "index_price": 1.0}
    return {"instrument_name": FUTURE, "type": kind, "settled_at": at, **cells}


# Hours after 08:00 of its last day at which a future was delivered, the days of the window, and
# what comes of it at 13:00: the end of what was answered, in days, and the rows.
@pytest.mark.parametrize(
    ("hours", "window_days", "end_days", "rows"),
    [
        # It ends the day in which it falls, which is not over; until it is there that day is late.
        (4.0, 2, 2, 2),
        (None, 2, 1, 1),
        # At 08:00, some milliseconds later or much: a row of the window's last day.
        (0.00001, 1, 1, 2),
        (2.0, 1, 1, 2),
    ],
)
def test_a_delivery_ends_the_day_in_which_it_falls(
    hours: float | None, window_days: int, end_days: int, rows: int
) -> None:
    start = day(2020, 9, 24, 8)
    morning = start + timedelta(days=1)
    window = Span(start, start + window_days * timedelta(days=1))
    came = [settlement_row("settlement", morning + timedelta(milliseconds=33))]
    if hours is not None:
        came.append(settlement_row("delivery", morning + hours * HOUR))
    page = settlements.read(came, window, morning + 5 * HOUR)
    asked = Span(start, start + end_days * timedelta(days=1))
    assert (page.asked, list(page.present), page.frame.height) == (asked, [asked], rows)
    if hours is None:
        with pytest.raises(LateError, match="not been published yet"):
            settlements.read(came, Span(morning, window.end), morning + 5 * HOUR)


def test_a_days_price_is_waited_for_until_an_hour_after_the_last_expiry_of_the_day() -> None:
    morning, tenth = day(2020, 9, 25, 8), timedelta(minutes=6)
    chosen = pl.DataFrame(
        {
            "kind": ["future"] * 3,
            "price_index": ["btc_usd", "btc_usd", "eth_usd"],
            "listed_at": [day(2020, 9, 1)] * 3,
            "expires_at": [morning, morning + 4 * HOUR, morning],
        }
    )

    def ends(now: datetime) -> list[datetime]:
        return [spans[-1].end for spans in deliveries.wanted(chosen, now).values()]

    before = morning - 24 * HOUR
    assert ends(morning + tenth) == [before, morning]
    assert ends(morning + 5 * HOUR - tenth) == [before, morning]
    assert ends(morning + 5 * HOUR) == [morning, morning]
    assert ends(morning + 25 * HOUR) == [morning + 24 * HOUR] * 2


def test_a_continuation_that_leads_back_ends_the_call(
    ask: Callable[..., Page], exchange: SimulatedExchange
) -> None:
    back: list[str] = []

    def looping(page: dict[str, Any]) -> dict[str, Any]:
        back.append(continuation_after(page["settlements"][0]))
        return {"settlements": page["settlements"][:5], "continuation": back[0]}

    exchange.faults.add(OF_INSTRUMENT, None, Changed(looping))
    with pytest.raises(TransientError, match="leads back"):
        ask(SETTLEMENTS, FUTURE, DAYS)
