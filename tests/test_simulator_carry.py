"""The simulated exchange's funding, delivery prices and settlements over real HTTP, against a truth
that is computed without the server.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from basislake.simulator.carry import FUNDING_HOLE_MS, HOUR_MS, MarketCarry, Row
from basislake.simulator.contracts import milliseconds
from basislake.simulator.full_market import full_universe
from basislake.simulator.server import SimulatedExchange
from tests import asking

NOW = datetime(2020, 10, 1, 12, 0, 30, tzinfo=UTC)
UNIVERSE = full_universe(3, NOW)
TRUTH = MarketCarry(UNIVERSE)
NAME, FUTURE = "BTC-PERPETUAL", "BTC-26JUN20"
HISTORY, TOTAL = "get_funding_rate_history", "get_funding_rate_value"
DELIVERIES = "get_delivery_prices"
OF_INSTRUMENT = "get_last_settlements_by_instrument"
OF_COIN = "get_last_settlements_by_currency"

Ask = Callable[..., Any]


@pytest.fixture(name="exchange", scope="module")
def fixture_exchange() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as exchange:
        yield exchange


@pytest.fixture(name="ask")
def fixture_ask(exchange: SimulatedExchange) -> Iterator[Ask]:
    def answer(method: str, base: str = "", **params: object) -> Any:  # noqa: ANN401
        reply = asking.ask(exchange, method, base, **params).json()
        return reply["result"] if "result" in reply else reply["error"]

    yield answer
    exchange.faults.clear()


def ms(*date: int) -> int:
    return milliseconds(datetime(*date, tzinfo=UTC))  # type: ignore[misc, arg-type]


def funding(ask: Ask, after: int, until: int) -> list[Row]:
    rows = ask(HISTORY, instrument_name=NAME, start_timestamp=after, end_timestamp=until)
    assert isinstance(rows, list)
    return rows


def pages(ask: Ask, method: str, **params: object) -> list[Row]:
    """All settlements, page by page."""
    rows: list[Row] = []
    more: dict[str, object] = {}
    while True:
        page = ask(method, **params, **more)
        rows += page["settlements"]
        if "continuation" not in page:
            return rows
        more = {"continuation": page["continuation"]}


def test_funding_begins_in_april_2019_and_has_a_hole_in_august_2020(ask: Ask) -> None:
    first = funding(ask, 0, ms(2019, 5, 1))[0]
    assert first["timestamp"] == ms(2019, 4, 30, 10)
    assert "prev_index_price" not in first
    found = {row["timestamp"] for row in funding(ask, ms(2020, 8, 27), ms(2020, 8, 28))}
    expected = set(range(ms(2020, 8, 27, 1), ms(2020, 8, 28) + 1, HOUR_MS))
    assert expected - found == FUNDING_HOLE_MS


def test_the_hour_that_is_not_over_does_not_come(ask: Ask) -> None:
    assert funding(ask, ms(2020, 10, 1), ms(2020, 10, 3))[-1]["timestamp"] == ms(2020, 10, 1, 12)


@pytest.mark.parametrize("month", [(2019, 4), (2020, 2), (2020, 8)])
def test_the_total_of_a_month_is_the_sum_of_its_hours(ask: Ask, month: tuple[int, int]) -> None:
    start = datetime(*month, 1, tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    after, until = milliseconds(start), milliseconds(end)
    total = ask(TOTAL, instrument_name=NAME, start_timestamp=after, end_timestamp=until)
    middle = after + 360 * HOUR_MS
    hours = [*funding(ask, after, middle), *funding(ask, middle, until)]
    assert total == math.fsum(float(str(row["interest_1h"])) for row in hours)


def test_only_perpetuals_have_funding(ask: Ask) -> None:
    refused = ask(HISTORY, instrument_name=FUTURE, start_timestamp=0, end_timestamp=1)
    assert refused["code"] == -32602


def test_delivery_prices_come_newest_first_in_pages(ask: Ask) -> None:
    first = ask(DELIVERIES, index_name="btc_usd", count=300)
    second = ask(DELIVERIES, index_name="btc_usd", count=300, offset=300)
    rows = [*first["data"], *second["data"]]
    assert rows[0]["date"] == "2020-10-01"
    assert len(rows) == first["records_total"]
    days = [datetime.strptime(row["date"], "%Y-%m-%d").replace(tzinfo=UTC) for row in rows]
    assert {before - day for before, day in itertools.pairwise(days)} == {timedelta(days=1)}
    assert ask(DELIVERIES, index_name="doge_usd")["code"] == -32602
    assert ask(DELIVERIES, index_name="btc_usd", count=1001)["code"] == -32602


def test_a_future_is_settled_each_day_and_delivered_at_the_price_of_its_last(ask: Ask) -> None:
    rows = pages(ask, OF_INSTRUMENT, instrument_name=FUTURE, count=100)
    assert rows == TRUTH.settlements(FUTURE, UNIVERSE.now_ms)
    assert [row["type"] for row in rows[:2]] == ["delivery", "settlement"]
    contract = UNIVERSE.contracts[FUTURE]
    assert contract.expires_ms
    days = {int(str(row["timestamp"])) // (24 * HOUR_MS) for row in rows}
    listed, expired = (time // (24 * HOUR_MS) for time in (contract.listed_ms, contract.expires_ms))
    assert days == set(range(listed + 1, expired + 1)) | (
        {listed} if contract.listed_ms % (24 * HOUR_MS) < 8 * HOUR_MS else set()
    )
    assert all(int(str(row["timestamp"])) - 8 * HOUR_MS > 0 for row in rows)
    prices = ask(DELIVERIES, index_name="btc_usd", count=1000)["data"]
    price = {row["date"]: row["delivery_price"] for row in prices}["2020-06-26"]
    assert rows[0]["index_price"] == rows[0]["mark_price"] == price


def test_the_settlements_of_a_coin_hold_those_of_each_instrument_and_options(ask: Ask) -> None:
    found = pages(ask, OF_COIN, currency="BTC", count=1000)
    assert {row["type"] for row in found} == {"settlement", "delivery", "exercise"}
    assert [row for row in found if row["instrument_name"] == FUTURE] == TRUTH.settlements(
        FUTURE, UNIVERSE.now_ms
    )
    times = [int(str(row["timestamp"])) for row in found]
    assert times == sorted(times, reverse=True)
    delivered = pages(ask, OF_COIN, currency="BTC", type="delivery", count=3)
    assert delivered == [row for row in found if row["type"] == "delivery"]


def test_settlements_are_searched_from_a_time_back(ask: Ask) -> None:
    latest = ms(2020, 6, 1)
    rows = pages(ask, OF_INSTRUMENT, instrument_name=NAME, search_start_timestamp=latest, count=500)
    assert rows == TRUTH.settlements(NAME, latest)


def test_the_host_of_expired_instruments_has_no_settlements(
    ask: Ask, exchange: SimulatedExchange
) -> None:
    refused = ask(OF_INSTRUMENT, base=exchange.history_url, instrument_name=NAME)
    assert refused["message"] == "method_not_served"
