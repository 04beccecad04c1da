"""The exchange's limit, clock, counters and control over HTTP."""

import socket
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.clock import Clock
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import rpc_error
from basislake.simulator.limit import GENERAL, SPECIAL, CreditLimit, Pool
from basislake.simulator.market import MINUTE_MS
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe
from tests.asking import NOW, START, ask, ask_chart, chart
from tests.asking import UNIVERSE as TODAY
from tests.clocks import Time

UNIVERSE = weekly_universe(7, START, NOW, until=NOW + timedelta(weeks=8))


def control(exchange: SimulatedExchange, verb: str, path: str) -> requests.Response:
    return requests.request(verb, f"{exchange.www_url}/control/{path}", timeout=60)


@given(
    st.floats(0.5, 50),
    st.floats(1, 20),
    st.lists(st.floats(0, 5), min_size=1, max_size=80),
)
def test_a_limit_never_grants_more_than_the_pool_and_its_refill(
    calls_per_s: float, burst: float, pauses_s: list[float]
) -> None:
    clock = Time(0.0)
    limit = CreditLimit.per_second(calls_per_s, burst=burst, clock=clock)
    granted = 0
    for pause_s in pauses_s:
        clock.now_s += pause_s
        while limit.grants("get_time"):
            granted += 1
        assert granted <= burst + clock.now_s * calls_per_s + 1e-6
        # And it withholds less than one call.
    assert granted >= 1


def test_an_idle_pool_is_full_and_not_fuller() -> None:
    clock = Time(0.0)
    limit = CreditLimit.per_second(2, clock=clock)
    for _ in range(2):
        assert [limit.grants("test") for _ in range(11)] == [True] * 10 + [False]
        clock.now_s += 1000


def test_the_published_pools_grant_a_hundred_calls_at_once_and_fifty_lists() -> None:
    limit = CreditLimit(clock=Time(0.0))

    assert sum(limit.grants(CHART) for _ in range(500)) == 100
    assert sum(limit.grants("get_instruments") for _ in range(500)) == 50
    assert not limit.grants("get_time")
    assert GENERAL.refill / GENERAL.cost == 20
    assert SPECIAL["get_instruments"].refill / SPECIAL["get_instruments"].cost == 1


@pytest.mark.parametrize("status", [429, 400, 200])
def test_a_call_beyond_the_limit_is_answered_with_10028(status: int) -> None:
    clock = Time(0.0)
    limit = CreditLimit(Pool(cost=1, size=2, refill=1), status=status, clock=clock)
    with SimulatedExchange(UNIVERSE, limit=limit) as exchange:
        answers = [ask(exchange, "test") for _ in range(3)]
        clock.now_s += 1
        answers.append(ask(exchange, "test"))
        counters = exchange.counters

    assert [answer.status_code for answer in answers] == [200, 200, status, 200]
    assert answers[2].json()["error"]["code"] == 10028
    assert "result" in answers[3].json()
    assert (counters.limited, counters.answered, counters.calls) == (1, 3, 4)


def test_connections_beyond_the_most_are_refused() -> None:
    with SimulatedExchange(UNIVERSE, most_connections=2) as exchange, ExitStack() as stack:
        host, port = exchange.www_url.removeprefix("http://").split(":")
        for _ in range(2):
            idle = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            idle.sendall(b"GET /api/v2/public/test HTTP/1.1\r\n\r\n")
            assert b"200 OK" in idle.recv(65_536)
        refused = ask(exchange, "test")
        counters = exchange.counters

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, 10028)
    assert refused.headers["Connection"] == "close"
    assert (counters.most_connections, counters.turned_away, counters.calls) == (2, 1, 2)


def test_thirty_two_connections_are_served_at_once() -> None:
    with SimulatedExchange(UNIVERSE, delay_s=0.2) as exchange:
        together = threading.Barrier(32)
        statuses: list[int] = []

        def call() -> None:
            together.wait()
            with requests.Session() as session:
                answer = session.get(f"{exchange.www_url}/api/v2/public/test", timeout=60)
                together.wait()
                statuses.append(answer.status_code)

        threads = [threading.Thread(target=call) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert statuses == [200] * 32
        assert exchange.counters.most_connections == 32


def test_a_clock_stands_is_set_advanced_and_runs() -> None:
    seconds = Time(0.0)
    clock = Clock(1000, monotonic=seconds)
    seconds.now_s += 5
    assert clock() == 1000
    clock.advance(2.5)
    assert clock() == 3500
    clock.run(60)
    seconds.now_s += 2
    assert clock() == 123_500
    clock.set(7000)
    seconds.now_s += 0.001
    assert clock() == 7060
    clock.run(0)
    seconds.now_s += 100
    assert (clock(), clock.speed) == (7060, 0)


def listed(exchange: SimulatedExchange, expired: str) -> set[str]:
    of = {"currency": "BTC", "kind": "future", "expired": expired}
    records = ask(exchange, "get_instruments", exchange.history_url, **of).json()["result"]
    assert {one["is_active"] for one in records} == {expired == "false"}
    return {one["instrument_name"] for one in records}


def test_moving_the_clock_on_brings_listings_expiries_and_candles() -> None:
    clock = Clock(UNIVERSE.now_ms)
    with SimulatedExchange(UNIVERSE, clock=clock) as exchange:
        before = listed(exchange, "false")
        clock.advance(8 * 86_400)
        after = listed(exchange, "false")
        gone = listed(exchange, "true")
        start_ms = UNIVERSE.now_ms + 86_400_000
        found = chart(exchange, "BTC-PERPETUAL", start_ms, start_ms + 9 * MINUTE_MS)

    assert ("BTC-12APR24" in before, "BTC-26APR24" in before) == (True, False)
    assert ("BTC-12APR24" in after, "BTC-26APR24" in after) == (False, True)
    assert "BTC-12APR24" in gone
    assert len(found["ticks"]) == 10


def test_contracts_of_the_future_change_nothing_today() -> None:
    assert TODAY.contracts.items() <= UNIVERSE.contracts.items()
    assert len(TODAY.contracts) < len(UNIVERSE.contracts)
    assert TODAY.decoys == UNIVERSE.decoys
    with SimulatedExchange(TODAY) as one, SimulatedExchange(UNIVERSE) as other:
        for expired in ("false", "true"):
            assert listed(one, expired) == listed(other, expired)


def test_counters_tell_what_was_asked_and_what_came_of_it() -> None:
    start_ms = UNIVERSE.contracts["BTC-22MAR24"].first_trade_ms
    end_ms = start_ms + 9 * MINUTE_MS
    with SimulatedExchange(UNIVERSE) as exchange:
        exchange.faults.add(CHART, 1, rpc_error(11051, "system_maintenance"))
        for _ in range(3):
            ask_chart(exchange, "BTC-22MAR24", start_ms, end_ms)
        ask_chart(exchange, "BTC-1JAN00", start_ms, end_ms)
        ask(exchange, "get_time")
        text = exchange.counters
        read = control(exchange, "GET", "counters").json()
        exchange.forget_calls()
        fresh = exchange.counters

    assert (text.calls, text.answered, text.refused, text.limited) == (5, 3, 1, 0)
    assert text.by_method == {CHART: 4, "get_time": 1}
    assert text.by_fault == {"error-11051": 1}
    assert (text.repeats, text.repeats_of_answered, text.candles) == (2, 1, 20)
    assert (read["candles"], read["by_method"][CHART]) == (20, 4)
    assert (fresh.calls, fresh.by_method, fresh.candles) == (0, {}, 0)


def test_the_clock_is_set_over_http() -> None:
    with SimulatedExchange(UNIVERSE) as exchange:
        assert control(exchange, "POST", "clock?advance_s=60").json()["now_ms"] == (
            UNIVERSE.now_ms + 60_000
        )
        for now in ("2024-04-06T00:00:00Z", "2024-04-06T02:00:00+02:00", "1712361600000"):
            text = control(exchange, "POST", f"clock?now={now}").json()
            assert text["now_ms"] == milliseconds(datetime(2024, 4, 6, tzinfo=UTC))
        assert ask(exchange, "get_time").json()["result"] == 1_712_361_600_000
        assert control(exchange, "POST", "clock?speed=1000").json()["speed"] == 1000
        assert control(exchange, "GET", "clock").json()["now"].startswith("2024-04-06T0")


def test_the_faults_are_set_over_http() -> None:
    with SimulatedExchange(UNIVERSE) as exchange:
        text = control(exchange, "POST", "faults?bad-gateway=1&seed=9").json()
        assert text == {"rates": {"bad-gateway": 1.0}, "seed": 9}
        assert ask(exchange, "test").status_code == 502
        assert control(exchange, "POST", "faults").json()["rates"] == {}
        assert ask(exchange, "test").status_code == 200


def test_the_counters_are_forgotten_over_http() -> None:
    with SimulatedExchange(UNIVERSE) as exchange:
        ask(exchange, "test")
        assert control(exchange, "POST", "counters").json()["calls"] == 0


@pytest.mark.parametrize(
    ("verb", "path", "status", "message"),
    [
        ("POST", "clock?now=soon", 400, "soon"),
        ("POST", "clock?now=2024-01-01", 400, "has no time zone"),
        ("POST", "clock?advance_s=nan", 400, "nan"),
        ("POST", "clock?advance_s=inf", 400, "inf"),
        ("POST", "clock?speed=-1", 400, "speed"),
        ("POST", "clock?now=99999999999999999999", 400, "not between 1970"),
        ("POST", "clock?later=1", 400, "no parameter 'later'"),
        ("POST", "counters?x=1", 400, "no parameter 'x'"),
        ("POST", "faults?earthquake=1", 400, "no fault 'earthquake'"),
        ("POST", "faults?reset=often", 400, "often"),
        ("DELETE", "faults", 405, "DELETE"),
        ("GET", "weather", 404, "no 'weather'; there are counters, clock, faults"),
    ],
)
def test_what_control_does_not_understand_is_said_and_nothing_is_set(
    verb: str, path: str, status: int, message: str
) -> None:
    with SimulatedExchange(UNIVERSE) as exchange:
        answer = control(exchange, verb, path)
        assert exchange.now_ms == UNIVERSE.now_ms
        assert exchange.faults.rates.probabilities == {}

    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_control_is_no_call() -> None:
    with SimulatedExchange(UNIVERSE, limit=CreditLimit(Pool(1, 0, 0))) as exchange:
        assert control(exchange, "GET", "counters").json()["calls"] == 0
        assert ask(exchange, "test").status_code == 429
