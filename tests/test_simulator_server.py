"""The simulated exchange over real HTTP: it answers as Deribit does, and fails on request."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import requests

from basislake.simulator.calls import Call, Question
from basislake.simulator.clock import Clock
from basislake.simulator.fault_forms import Fault, reply, rpc_error, server_error, too_many_requests
from basislake.simulator.faults import FaultScript
from basislake.simulator.server import SimulatedExchange
from tests.asking import ACTIVE, CHART, EXPIRED, UNIVERSE, Ask, Chart, ask_of, chart_of


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


def error_of(answer: requests.Response) -> tuple[int, int, object]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("data")


def test_the_clock_is_told_in_the_result_and_in_the_envelope(ask: Ask) -> None:
    body = ask("get_time").json()

    assert body["result"] == UNIVERSE.now_ms
    assert body["usOut"] == UNIVERSE.now_ms * 1000
    assert body["usDiff"] == body["usOut"] - body["usIn"]
    assert (body["jsonrpc"], body["testnet"]) == ("2.0", False)


def test_the_test_method_tells_a_version(ask: Ask) -> None:
    assert "version" in ask("test").json()["result"]


@pytest.mark.parametrize("name", ["BTC-29FEB24", "BTC-28JUN19", "btc-perpetual"])
def test_an_unknown_instrument_is_refused(ask: Ask, name: str) -> None:
    answer = ask(CHART, instrument_name=name, start_timestamp=0, end_timestamp=1, resolution="1")

    data = {"reason": "instrument not found", "param": "instrument_name"}
    assert error_of(answer) == (400, -32602, data)
    assert answer.json()["error"]["message"] == "Invalid params"


def test_a_contract_that_is_yet_to_be_listed_is_unknown(session: requests.Session) -> None:
    with SimulatedExchange(UNIVERSE, clock=Clock(EXPIRED.listed_ms - 1)) as exchange:
        window = {"start_timestamp": "0", "end_timestamp": "1", "resolution": "1"}
        url = f"{exchange.www_url}/api/v2/public/{CHART}"
        answer = session.get(url, params={"instrument_name": EXPIRED.name} | window, timeout=60)

    assert answer.status_code == 400


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
    ask: Ask, changed: dict[str, str], reason: str
) -> None:
    good = {"instrument_name": "BTC-22MAR24", "start_timestamp": "0", "end_timestamp": "1"}

    answer = ask(CHART, **(good | {"resolution": "1"} | changed))

    assert error_of(answer) == (400, -32602, {"reason": reason, "param": next(iter(changed))})


@pytest.mark.parametrize("name", ["currency", "kind", "expired"])
def test_a_bad_filter_of_instruments_is_named(ask: Ask, name: str) -> None:
    answer = ask("get_instruments", **{name: "maybe"})

    assert error_of(answer) == (400, -32602, {"reason": "wrong format", "param": name})


def test_an_unknown_method_is_refused(ask: Ask) -> None:
    assert error_of(ask("get_rich")) == (400, -32601, None)


def test_a_path_outside_the_api_is_not_found(
    exchange: SimulatedExchange, session: requests.Session
) -> None:
    assert session.get(f"{exchange.www_url}/favicon.ico", timeout=60).status_code == 404
    assert exchange.calls == []


def test_expired_futures_are_on_the_history_host(exchange: SimulatedExchange, ask: Ask) -> None:
    asked = {"currency": "BTC", "kind": "future", "expired": "true"}
    www = ask("get_instruments", **asked).json()["result"]
    history = ask("get_instruments", exchange.history_url, **asked).json()["result"]

    assert [one["instrument_name"] for one in www] == ["BTC-5APR24"]
    assert {"BTC-8MAR24", "BTC-22MAR24"} <= {one["instrument_name"] for one in history}
    assert {one["is_active"] for one in history} == {False}


def test_calls_are_recorded_with_what_they_asked(
    exchange: SimulatedExchange, ask: Ask, chart: Chart
) -> None:
    ask("get_time")
    chart("BTC-22MAR24", 60_000, 120_000)
    ask(CHART, start_timestamp="soon")

    assert exchange.calls == [
        Call("get_time", None, None, None),
        Call(CHART, "BTC-22MAR24", 60_000, 120_000),
        Call(CHART, None, None, None),
    ]
    assert (exchange.calls_of(CHART), exchange.calls_of("get_instruments")) == (2, 0)
    exchange.forget_calls()
    assert exchange.calls == []


def test_the_rate_limit_is_told_as_deribit_tells_it(exchange: SimulatedExchange, ask: Ask) -> None:
    exchange.faults.add("get_time", 2, too_many_requests(1.5))

    limited = ask("get_time")

    assert error_of(limited) == (429, 10028, None)
    assert limited.headers["Retry-After"] == "1.5"
    assert [ask("get_time").status_code for _ in range(2)] == [429, 200]


def test_a_rate_limit_need_not_say_when_to_come_back(exchange: SimulatedExchange, ask: Ask) -> None:
    exchange.faults.add("get_time", 1, too_many_requests())

    assert "Retry-After" not in ask("get_time").headers


def test_a_failing_proxy_answers_in_html(exchange: SimulatedExchange, ask: Ask) -> None:
    exchange.faults.add("get_time", 1, server_error())

    answer = ask("get_time")

    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


def test_an_error_can_ride_on_a_status_of_200(exchange: SimulatedExchange, ask: Ask) -> None:
    exchange.faults.add("get_time", 1, rpc_error(11051, "system_maintenance", status=200))

    assert error_of(ask("get_time")) == (200, 11051, None)


def test_any_result_can_be_put_into_a_good_envelope(exchange: SimulatedExchange, ask: Ask) -> None:
    exchange.faults.add(CHART, 1, reply({"status": "ok", "ticks": [1]}))

    body = ask(CHART).json()

    assert body["result"] == {"status": "ok", "ticks": [1]}
    assert body["usOut"] == UNIVERSE.now_ms * 1000


def test_a_fault_without_end_meets_one_instrument_only(
    exchange: SimulatedExchange, ask: Ask, chart: Chart
) -> None:
    exchange.faults.add(CHART, None, server_error(), instrument="BTC-22MAR24")

    assert [ask(CHART, instrument_name="BTC-22MAR24").status_code for _ in range(3)] == [502] * 3
    assert chart("ETH-28JUN24", ACTIVE.first_trade_ms, ACTIVE.first_trade_ms)["status"] == "ok"
    exchange.faults.clear()
    assert ask(CHART, instrument_name="BTC-22MAR24").status_code == 400


def test_a_fault_can_be_slow(exchange: SimulatedExchange, ask: Ask) -> None:
    exchange.faults.add("get_time", 1, Fault(200, b"{}", delay_s=0.2))

    assert ask("get_time").elapsed.total_seconds() >= 0.2


def test_faults_are_taken_in_order_and_each_as_often_as_asked() -> None:
    script = FaultScript()
    first, second = Fault(500, b""), Fault(503, b"")
    script.add("test", 1, first)
    script.add("test", 2, second)

    assert [script.meet(Question("test", "www", {}), 0).fault for _ in range(4)] == [
        first,
        second,
        second,
        None,
    ]


def test_candle_calls_can_be_slowed(session: requests.Session) -> None:
    with SimulatedExchange(UNIVERSE, delay_s=3_600) as exchange:
        url = f"{exchange.www_url}/api/v2/public"
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{url}/{CHART}", timeout=0.2)
        assert session.get(f"{url}/get_time", timeout=60).status_code == 200


def test_connections_are_kept_alive(exchange: SimulatedExchange) -> None:
    host, port = exchange.www_url.removeprefix("http://").split(":")
    request = b"GET /api/v2/public/get_time HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        for _ in range(3):
            connection.sendall(request)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_many_threads_may_ask_at_once(exchange: SimulatedExchange) -> None:
    def ask() -> None:
        with requests.Session() as session:
            for _ in range(10):
                session.get(f"{exchange.www_url}/api/v2/public/test", timeout=60)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert exchange.calls_of("test") == 80


def test_stopping_cuts_the_connections_and_frees_the_port(session: requests.Session) -> None:
    exchange = SimulatedExchange(UNIVERSE)
    exchange.start()
    url = f"{exchange.www_url}/api/v2/public/test"
    session.get(url, timeout=60)

    exchange.stop()
    exchange.stop()

    with pytest.raises(requests.ConnectionError):
        session.get(url, timeout=60)


def test_the_exchange_imports_nothing_of_the_program_under_test() -> None:
    code = (
        "import sys, basislake.simulator; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('ingest', 'lake', 'transforms', 'load')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_serving_forever_ends_when_interrupted() -> None:
    code = (
        "from datetime import UTC, datetime\n"
        "from basislake.simulator.server import SimulatedExchange, serve_forever\n"
        "from basislake.simulator.universe import weekly_universe\n"
        "times = datetime(2024, 3, 1, 8, tzinfo=UTC), datetime(2024, 3, 9, tzinfo=UTC)\n"
        "exchange = SimulatedExchange(weekly_universe(1, *times))\n"
        "serve_forever(exchange, lambda ready: print(ready.www_url, flush=True))\n"
        "print('stopped')\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            url = served.stdout.readline().strip()
            assert requests.get(f"{url}/api/v2/public/test", timeout=60).status_code == 200
            served.send_signal(signal.SIGINT)
            assert served.communicate(timeout=60)[0] == "stopped\n"
        finally:
            served.kill()
    assert served.returncode == 0
