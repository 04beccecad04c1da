"""The simulated exchange over real HTTP: it answers as Deribit does, and fails on request."""

from collections.abc import Iterator

import pytest
import requests

from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.calls import Call, Question
from basislake.simulator.clock import Clock
from basislake.simulator.fault_forms import Fault, server_error
from basislake.simulator.faults import FaultScript
from basislake.simulator.market import CANDLE_SCHEMA, MINUTE_MS
from basislake.simulator.server import SimulatedExchange
from tests.asking import EXPIRED, UNIVERSE, ask, ask_chart, chart

NOW_MINUTE_MS = UNIVERSE.now_ms // MINUTE_MS * MINUTE_MS


@pytest.fixture(name="exchange")
def fixture_exchange() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as exchange:
        yield exchange


def error_of(answer: requests.Response) -> tuple[int, int, object]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("data")


def test_the_clock_is_told_in_the_result_and_in_the_envelope(exchange: SimulatedExchange) -> None:
    body = ask(exchange, "get_time").json()

    assert body["result"] == UNIVERSE.now_ms
    assert body["usOut"] == UNIVERSE.now_ms * 1000
    assert body["usDiff"] == body["usOut"] - body["usIn"]
    assert (body["jsonrpc"], body["testnet"]) == ("2.0", False)


def test_the_test_method_tells_a_version(exchange: SimulatedExchange) -> None:
    assert "version" in ask(exchange, "test").json()["result"]


@pytest.mark.parametrize("name", ["BTC-29FEB24", "BTC-28JUN19", "btc-perpetual"])
def test_an_unknown_instrument_is_refused(exchange: SimulatedExchange, name: str) -> None:
    answer = ask_chart(exchange, name, 0, 1)

    data = {"reason": "instrument not found", "param": "instrument_name"}
    assert error_of(answer) == (400, -32602, data)
    assert answer.json()["error"]["message"] == "Invalid params"


def test_a_contract_that_is_yet_to_be_listed_is_unknown() -> None:
    with SimulatedExchange(UNIVERSE, clock=Clock(EXPIRED.listed_ms - 1)) as exchange:
        assert ask_chart(exchange, EXPIRED.name, 0, 1).status_code == 400


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"instrument_name": ""}, "value is required"),
        ({"start_timestamp": ""}, "value is required"),
        ({"end_timestamp": "soon"}, "wrong format"),
        ({"start_timestamp": "-5"}, "wrong format"),
        ({"resolution": ""}, "value is required"),
        ({"resolution": "240"}, "unsupported resolution"),
    ],
)
def test_a_missing_or_bad_parameter_is_named(
    exchange: SimulatedExchange, changed: dict[str, str], reason: str
) -> None:
    good = {"instrument_name": "BTC-22MAR24", "start_timestamp": "0", "end_timestamp": "1"}

    answer = ask(exchange, CHART, **(good | {"resolution": "1"} | changed))

    assert error_of(answer) == (400, -32602, {"reason": reason, "param": next(iter(changed))})


@pytest.mark.parametrize("name", ["currency", "kind", "expired"])
def test_a_bad_filter_of_instruments_is_named(exchange: SimulatedExchange, name: str) -> None:
    answer = ask(exchange, "get_instruments", **{name: "maybe"})

    assert error_of(answer) == (400, -32602, {"reason": "wrong format", "param": name})


def test_an_unknown_method_is_refused(exchange: SimulatedExchange) -> None:
    assert error_of(ask(exchange, "get_rich")) == (400, -32601, None)


def test_a_path_outside_the_api_is_not_found(exchange: SimulatedExchange) -> None:
    assert requests.get(f"{exchange.www_url}/favicon.ico", timeout=60).status_code == 404
    assert exchange.calls == []


def test_calls_are_recorded_with_what_they_asked(exchange: SimulatedExchange) -> None:
    ask(exchange, "get_time")
    chart(exchange, "BTC-22MAR24", 60_000, 120_000)
    ask(exchange, CHART, start_timestamp="soon")

    assert exchange.calls == [
        Call("get_time", None, None, None),
        Call(CHART, "BTC-22MAR24", 60_000, 120_000),
        Call(CHART, None, None, None),
    ]
    assert (exchange.calls_of(CHART), exchange.calls_of("get_instruments")) == (2, 0)
    exchange.forget_calls()
    assert exchange.calls == []


def test_a_failing_proxy_answers_in_html(exchange: SimulatedExchange) -> None:
    exchange.faults.add("get_time", 1, server_error())

    answer = ask(exchange, "get_time")

    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


def test_a_fault_can_be_slow(exchange: SimulatedExchange) -> None:
    exchange.faults.add("get_time", 1, Fault(200, b"{}", delay_s=0.2))

    assert ask(exchange, "get_time").elapsed.total_seconds() >= 0.2


def test_faults_are_taken_in_order_and_each_as_often_as_asked() -> None:
    script = FaultScript()
    first, second = Fault(500, b""), Fault(503, b"")
    script.add("test", 1, first)
    script.add("test", 2, second)

    met = [script.meet(Question("test", "www", {}), 0).fault for _ in range(4)]
    assert met == [first, second, second, None]


def test_candle_calls_can_be_slowed() -> None:
    with SimulatedExchange(UNIVERSE, delay_s=3_600) as exchange:
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{exchange.www_url}/api/v2/public/{CHART}", timeout=0.2)
        assert ask(exchange, "get_time").status_code == 200


def test_an_exchange_that_was_stopped_answers_no_more(exchange: SimulatedExchange) -> None:
    exchange.stop()
    exchange.stop()

    with pytest.raises(requests.ConnectionError):
        ask(exchange, "test")


def test_whole_numbers_and_floats_are_mixed_in_one_array(exchange: SimulatedExchange) -> None:
    start_ms = EXPIRED.first_trade_ms

    found = chart(exchange, EXPIRED.name, start_ms, start_ms + 600 * MINUTE_MS)

    assert {type(volume) for volume in found["volume"]} == {int, float}
    assert {type(cost) for cost in found["cost"]} == {int}
    assert {type(close) for close in found["close"]} == {float}


def test_an_unaligned_start_is_floored_to_its_candle(exchange: SimulatedExchange) -> None:
    start_ms = EXPIRED.first_trade_ms + 60 * MINUTE_MS

    found = chart(exchange, EXPIRED.name, start_ms + 7_000, start_ms + 2 * MINUTE_MS + 59_999)

    assert [tick - start_ms for tick in found["ticks"]] == [0, MINUTE_MS, 2 * MINUTE_MS]


def test_before_the_first_trade_there_is_no_data(exchange: SimulatedExchange) -> None:
    found = chart(exchange, EXPIRED.name, EXPIRED.listed_ms, EXPIRED.first_trade_ms - 1)

    assert found == {"status": "no_data"} | {name: [] for name in CANDLE_SCHEMA}


def test_the_last_candle_is_still_forming_and_nothing_lies_beyond(
    exchange: SimulatedExchange,
) -> None:
    before = NOW_MINUTE_MS - 5 * MINUTE_MS

    found = chart(exchange, "ETH-28JUN24", before, NOW_MINUTE_MS + 600 * MINUTE_MS)

    final = UNIVERSE.candles("ETH-28JUN24", before, NOW_MINUTE_MS + MINUTE_MS)["close"].to_list()
    assert found["ticks"][-1] == NOW_MINUTE_MS
    assert found["close"][:-1] == final[:-1]
    assert found["close"][-1] != final[-1]


def test_the_host_of_expired_futures_serves_candles_too(exchange: SimulatedExchange) -> None:
    start_ms = EXPIRED.first_trade_ms
    window = {"start_timestamp": start_ms, "end_timestamp": start_ms, "resolution": 1}
    answer = ask(exchange, CHART, exchange.history_url, instrument_name=EXPIRED.name, **window)

    assert answer.json()["result"]["ticks"] == [start_ms]
