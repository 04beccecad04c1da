"""The candles of the simulated exchange over real HTTP are as Deribit's."""

import time
from collections.abc import Iterator

import polars as pl
import pytest
import requests
from polars.testing import assert_frame_equal

from basislake.simulator.market import CANDLE_SCHEMA, MINUTE_MS
from basislake.simulator.server import SimulatedExchange
from tests.asking import ACTIVE, CHART, EXPIRED, UNIVERSE, Ask, Chart, ask_of, chart_of

NOW_MINUTE_MS = UNIVERSE.now_ms // MINUTE_MS * MINUTE_MS


@pytest.fixture(name="exchange")
def fixture_exchange() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as exchange:
        yield exchange


@pytest.fixture(name="session")
def fixture_session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(name="ask")
def fixture_ask(exchange: SimulatedExchange, session: requests.Session) -> Ask:
    return ask_of(exchange, session)


@pytest.fixture(name="chart")
def fixture_chart(ask: Ask) -> Chart:
    return chart_of(ask)


def test_both_ends_are_in_the_answer(chart: Chart) -> None:
    start_ms = EXPIRED.first_trade_ms + 60 * MINUTE_MS

    found = chart("BTC-22MAR24", start_ms, start_ms + 200 * MINUTE_MS)

    assert found["status"] == "ok"
    assert len(found["ticks"]) == 201
    assert (found["ticks"][0], found["ticks"][-1]) == (start_ms, start_ms + 200 * MINUTE_MS)


def test_the_answer_is_the_truth(chart: Chart) -> None:
    start_ms, length_ms = EXPIRED.first_trade_ms, 5000 * MINUTE_MS

    found = chart("BTC-22MAR24", start_ms, start_ms + length_ms - MINUTE_MS)

    served = pl.DataFrame(
        {name: found[name] for name in CANDLE_SCHEMA}, CANDLE_SCHEMA, strict=False
    )
    truth = UNIVERSE.candles("BTC-22MAR24", start_ms, start_ms + length_ms)
    assert_frame_equal(served, truth, check_exact=True)


def test_whole_numbers_and_floats_are_mixed_in_one_array(
    chart: Chart,
) -> None:
    start_ms = EXPIRED.first_trade_ms

    found = chart("BTC-22MAR24", start_ms, start_ms + 600 * MINUTE_MS)

    assert {type(volume) for volume in found["volume"]} == {int, float}
    assert {type(cost) for cost in found["cost"]} == {int}
    assert {type(close) for close in found["close"]} == {float}


def test_an_unaligned_start_is_floored_to_its_candle(chart: Chart) -> None:
    start_ms = EXPIRED.first_trade_ms + 60 * MINUTE_MS

    found = chart("BTC-22MAR24", start_ms + 7_000, start_ms + 2 * MINUTE_MS + 59_999)

    assert [tick - start_ms for tick in found["ticks"]] == [0, MINUTE_MS, 2 * MINUTE_MS]


def test_an_overlong_request_keeps_the_newest_5001(chart: Chart) -> None:
    start_ms = EXPIRED.first_trade_ms
    end_ms = start_ms + 10_399 * MINUTE_MS

    found = chart("BTC-22MAR24", start_ms, end_ms)

    assert found["status"] == "ok"
    assert len(found["ticks"]) == 5001
    assert (found["ticks"][0], found["ticks"][-1]) == (end_ms - 5000 * MINUTE_MS, end_ms)


def test_before_the_first_trade_there_is_no_data(chart: Chart) -> None:
    found = chart("BTC-22MAR24", EXPIRED.listed_ms, EXPIRED.first_trade_ms - 1)

    assert found == {"status": "no_data"} | {name: [] for name in CANDLE_SCHEMA}


def test_a_window_over_the_first_trade_begins_with_it(chart: Chart) -> None:
    found = chart("BTC-22MAR24", EXPIRED.listed_ms, EXPIRED.first_trade_ms + 10 * MINUTE_MS)

    assert found["ticks"][0] == EXPIRED.first_trade_ms
    assert len(found["ticks"]) == 11


def test_the_last_candle_is_still_forming_and_nothing_lies_beyond(
    chart: Chart,
) -> None:
    before = NOW_MINUTE_MS - 5 * MINUTE_MS

    found = chart("ETH-28JUN24", before, NOW_MINUTE_MS + 600 * MINUTE_MS)

    final = UNIVERSE.candles("ETH-28JUN24", before, NOW_MINUTE_MS + MINUTE_MS)["close"].to_list()
    assert found["ticks"][-1] == NOW_MINUTE_MS
    assert found["close"][:-1] == final[:-1]
    assert found["close"][-1] != final[-1]


def test_the_future_has_no_data(chart: Chart) -> None:
    later_ms = UNIVERSE.now_ms + 10 * MINUTE_MS

    assert chart("ETH-28JUN24", later_ms, later_ms + MINUTE_MS)["status"] == "no_data"


def test_after_the_expiry_the_candles_are_flat_padding(
    chart: Chart,
) -> None:
    assert EXPIRED.expires_ms is not None
    found = chart("BTC-22MAR24", EXPIRED.expires_ms - MINUTE_MS, EXPIRED.expires_ms + MINUTE_MS)

    assert found["ticks"][1] == EXPIRED.expires_ms
    assert found["close"] == [found["close"][0]] * 3
    assert found["volume"][1:] == [0, 0]


@pytest.mark.parametrize("base", ["www_url", "history_url"])
def test_both_hosts_serve_candles(exchange: SimulatedExchange, ask: Ask, base: str) -> None:
    start_ms = ACTIVE.first_trade_ms
    window = {"start_timestamp": start_ms, "end_timestamp": start_ms}
    answer = ask(
        CHART, getattr(exchange, base), instrument_name="ETH-28JUN24", resolution="1", **window
    )

    assert answer.json()["result"]["ticks"] == [start_ms]


def test_five_thousand_candles_are_served_in_milliseconds(
    chart: Chart,
) -> None:
    start_ms = EXPIRED.first_trade_ms
    spent = []
    for _ in range(8):
        began = time.process_time()
        chart("BTC-22MAR24", start_ms, start_ms + 4999 * MINUTE_MS)
        spent.append(time.process_time() - began)

    # About 10 ms of a processor, the client's reading included.
    assert min(spent) < 0.06
