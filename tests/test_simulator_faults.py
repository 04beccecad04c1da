"""Faults over real sockets: broken transports, changed candles, and faults drawn by rate."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from basislake.simulator import changes
from basislake.simulator.calls import CHART_METHOD, Question
from basislake.simulator.fault_forms import (
    Changed,
    CutOff,
    Fault,
    Hang,
    Trickle,
    too_many_requests,
)
from basislake.simulator.faults import FaultScript
from basislake.simulator.market import MINUTE_MS
from basislake.simulator.named_faults import KINDS, read_rates
from basislake.simulator.server import SimulatedExchange
from tests import asking
from tests.asking import EXPIRED, UNIVERSE, ask_chart
from tests.profiles import examples

START_MS = EXPIRED.first_trade_ms + 100 * MINUTE_MS
GAP_MS = START_MS + 5 * MINUTE_MS
TARGET = (
    f"/api/v2/public/{CHART_METHOD}?instrument_name={EXPIRED.name}&resolution=1"
    f"&start_timestamp={START_MS}&end_timestamp={START_MS + 9 * MINUTE_MS}"
)


@pytest.fixture(name="exchange")
def fixture_exchange() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as exchange:
        yield exchange


def ask(
    exchange: SimulatedExchange, minutes: int = 10, start_ms: int = START_MS
) -> requests.Response:
    return ask_chart(exchange, EXPIRED.name, start_ms, start_ms + (minutes - 1) * MINUTE_MS)


def columns(exchange: SimulatedExchange) -> dict[str, Any]:
    result: dict[str, Any] = ask(exchange).json()["result"]
    return result


def received(exchange: SimulatedExchange, most_bytes: int = 1 << 30) -> bytes:
    """What the socket gives until the end, or at least so many bytes."""
    host, port = exchange.www_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"GET {TARGET} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        found = b""
        while len(found) < most_bytes and (more := connection.recv(65_536)):
            found += more
        return found


def test_a_body_can_be_shorter_than_announced(exchange: SimulatedExchange) -> None:
    exchange.faults.add(CHART_METHOD, 2, CutOff(0.25))

    head, _, body = received(exchange).partition(b"\r\n\r\n")

    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) == length // 4
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(exchange)


def test_a_body_can_trickle(exchange: SimulatedExchange) -> None:
    good = columns(exchange)
    exchange.faults.add(CHART_METHOD, 1, Trickle(interval_s=0.001, step_bytes=16))

    assert columns(exchange) == good


def test_a_hang_ends_with_the_connection_and_without_a_word(exchange: SimulatedExchange) -> None:
    exchange.faults.add(CHART_METHOD, 1, Hang(0.05))

    assert received(exchange) == b""


@pytest.mark.parametrize("fault", [Hang(3600), Trickle(3600), Fault(200, b"", delay_s=3600)])
def test_stopping_ends_what_waits(fault: Hang | Trickle | Fault) -> None:
    exchange = SimulatedExchange(UNIVERSE)
    exchange.faults.add(CHART_METHOD, 1, fault)
    exchange.start()
    ended = threading.Event()

    def wait() -> None:
        try:
            received(exchange)
        finally:
            ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not exchange.counters.by_fault:
        time.sleep(0.005)
    exchange.stop()

    # Far below what the faults take, and far above what a busy machine needs.
    assert ended.wait(300)
    thread.join()
    assert exchange.counters.connections == 0


def test_a_client_that_leaves_a_hang_frees_its_connection(exchange: SimulatedExchange) -> None:
    exchange.faults.add(CHART_METHOD, 1, Hang(600))
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{exchange.www_url}{TARGET}", timeout=0.2)

    while exchange.counters.connections:
        time.sleep(0.005)
    assert exchange.counters.most_connections == 1


def test_minutes_that_never_come_back_are_missing_in_what_else_goes_wrong(
    exchange: SimulatedExchange,
) -> None:
    good = columns(exchange)
    gaps = (GAP_MS, START_MS)
    for gap in gaps:
        missing = Changed(changes.drop_minutes(gap), "gap")
        exchange.faults.add(CHART_METHOD, None, missing, minute_ms=gap)
    exchange.faults.add(CHART_METHOD, 1, too_many_requests())
    exchange.faults.add(CHART_METHOD, 1, Changed(changes.shuffle()))
    exchange.faults.add(CHART_METHOD, 1, Trickle(0.0001, 64))

    assert ask(exchange).status_code == 429
    for _ in range(3):
        assert sorted(columns(exchange)["ticks"]) == [t for t in good["ticks"] if t not in gaps]
    met = {"throttled-429": 1, "changed": 1, "trickle": 1, "gap": 6}
    assert exchange.counters.by_fault == met


def test_a_change_is_made_of_the_method_that_it_was_ordered_for(
    exchange: SimulatedExchange,
) -> None:
    exchange.faults.add("get_time", 1, Changed(lambda now: now + 1))

    assert columns(exchange)["status"] == "ok"
    assert asking.ask(exchange, "get_time").json()["result"] == UNIVERSE.now_ms + 1


def question(instrument: str, start: int) -> Question:
    window = {"start_timestamp": str(start), "end_timestamp": str(start + 100 * MINUTE_MS)}
    return Question(CHART_METHOD, "www", {"instrument_name": instrument} | window)


def kinds_met(script: FaultScript, asked: list[Question]) -> list[tuple[Question, str | None]]:
    met = [(one, script.meet(one, UNIVERSE.now_ms).fault) for one in asked]
    return [(one, None if fault is None else fault.kind) for one, fault in met]


questions = st.builds(
    question, st.sampled_from(["a", "b"]), st.integers(0, 3).map(lambda n: n * MINUTE_MS)
)


@given(st.lists(questions, max_size=30), st.integers(0, 5), st.integers(0, 9))
def test_what_a_call_meets_depends_on_the_seed_and_the_call_not_on_the_order(
    asked: list[Question], seed: int, turn: int
) -> None:
    rates = {"reset": 0.3, "no-data": 0.3, "throttled-200": 0.2}
    shuffled = [*asked[turn:], *asked[:turn]][::-1]

    one = kinds_met(FaultScript.at_rates(rates, seed), asked)
    other = kinds_met(FaultScript.at_rates(dict(reversed(rates.items())), seed), shuffled)

    assert sorted(one, key=repr) == sorted(other, key=repr)


def test_faults_come_about_as_often_as_asked_and_a_retry_is_drawn_again() -> None:
    script = FaultScript.at_rates({"reset": 0.25, "null-cell": 0.25}, seed=1)

    met = kinds_met(script, [question("a", 0)] * 4000)

    for kind in ("reset", "null-cell"):
        assert 900 < sum(one == kind for _, one in met) < 1100


def test_a_change_by_rate_meets_candle_calls_only() -> None:
    script = FaultScript.at_rates({"no-data": 1.0})

    assert script.meet(Question("get_time", "www", {}), 0).fault is None
    assert script.meet(question("a", 0), 0).fault is not None


def test_lost_minutes_are_lost_at_every_ask_whatever_the_window(
    exchange: SimulatedExchange,
) -> None:
    whole = ask(exchange, 5000).json()["result"]["ticks"]
    exchange.faults.set_rates({"lost-minute": 1.0}, seed=3)

    found = ask(exchange, 5000).json()["result"]["ticks"]
    lost = sorted(set(whole) - set(found))

    assert 2 <= len(lost) <= 5
    assert len({tick // (1440 * MINUTE_MS) for tick in lost}) == len(lost)
    around = ask(exchange, 3, lost[0] - MINUTE_MS).json()["result"]
    assert around["ticks"] == [lost[0] - MINUTE_MS, lost[0] + MINUTE_MS]
    exchange.faults.clear()
    assert ask(exchange, 5000).json()["result"]["ticks"] == whole


def test_a_call_for_all_time_loses_minutes_without_counting_all_days(
    exchange: SimulatedExchange,
) -> None:
    exchange.faults.set_rates({"lost-minute": 1.0})
    found = ask_chart(exchange, "BTC-PERPETUAL", 0, 10**30)

    assert 4990 < len(found.json()["result"]["ticks"]) < 5001


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"hang", "lost-minute"}))
def test_every_kind_is_served_and_counted_and_gone_when_cleared(
    exchange: SimulatedExchange, kind: str
) -> None:
    good = columns(exchange)
    exchange.faults.set_rates({kind: 1.0}, seed=5)
    if kind == "trickle":
        assert b"200 OK" in received(exchange, 100)
    elif kind in ("reset", "truncated-body"):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            ask(exchange)
    else:
        answer = ask(exchange)
        expected = {"throttled-429": 429, "throttled-429-retry-after": 429, "throttled-400": 400}
        expected |= {"concurrent": 400, "bad-gateway": 502, "internal-error": 500}
        expected |= {"maintenance": 400, "closed-door": 400}
        assert answer.status_code == expected.get(kind, 200)
        assert ("Retry-After" in answer.headers) == kind.endswith("retry-after")
        if answer.status_code == 200:
            # As text, since 1 and 1.0 are equal otherwise.
            assert json.dumps(answer.json().get("result")) != json.dumps(good)
    assert exchange.counters.by_fault == {kind: 1}
    exchange.faults.clear()
    assert columns(exchange) == good


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"earthquake": 0.1}, "There is no fault 'earthquake'; there are throttled-429, "),
        ({"reset": 1.5}, r"reset is 1\.5, not in \[0, 1\]"),
        ({"reset": float("nan")}, "reset is nan"),
        ({"reset": 0.6, "hang": 0.6}, "sum of the probabilities is above 1"),
    ],
)
def test_rates_that_make_no_sense_are_refused(rates: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultScript.at_rates(rates)


def test_rates_are_read_of_text() -> None:
    assert read_rates(["reset=0.01, hang=1e-3", "no-data=0"]) == {
        "reset": 0.01,
        "hang": 0.001,
        "no-data": 0.0,
    }
    assert read_rates([]) == {}
    with pytest.raises(ValueError, match="'reset' is not of the form KIND=PROBABILITY"):
        read_rates(["reset"])


@examples(20)
@given(st.integers(0, 10_000), st.integers(1, 500), st.integers(0, 40_000_000))
def test_a_window_holds_the_minutes_it_is_answered_with(
    start: int, length: int, offset_ms: int
) -> None:
    start_ms = START_MS + start * 1000 + offset_ms
    asked = Question(
        CHART_METHOD,
        "www",
        {"start_timestamp": str(start_ms), "end_timestamp": str(start_ms + length * 1000)},
    ).call()
    first, last = start_ms // MINUTE_MS, (start_ms + length * 1000) // MINUTE_MS

    assert [asked.holds(m * MINUTE_MS) for m in (first - 1, first, last, last + 1)] == [
        False,
        True,
        True,
        False,
    ]
