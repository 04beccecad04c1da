"""The assumptions about the exchange: each of them, holding and failing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from basislake.simulator.calls import CHART_METHOD
from basislake.simulator.departures import DEPARTURES, depart
from basislake.simulator.fault_forms import Fault, too_many_requests
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import recent_universe
from ingest.assumptions import shortening
from ingest.assumptions.asking import ask_all, ask_first
from ingest.assumptions.catalogue import CHECKS, judge
from ingest.assumptions.check import Judgement, Verdict
from ingest.assumptions.evidence import HOUR_MS, Candidate, Evidence, Seen
from ingest.deribit.client import Exchange
from tests.market import NOW, RECORDINGS, needs_recordings, swift

# Which check a departure fails, and whether data could be lost or wrong.
FAILS = {
    "no-perpetuals": ("active-lists", True),
    "no-expired": ("expired-lists", True),
    "new-field": ("fields", False),
    "short-arrays": ("candle-arrays", True),
    "fewer-candles": ("newest-candles", True),
    "without-end": ("both-ends", True),
    "only-traded": ("untraded-minutes", True),
    "filled-before": ("first-trade", False),
    "traded-on": ("after-expiry", True),
    "late-candles": ("forming-candle", True),
    "no-old-candles": ("expired-candles", True),
    "unknown-empty": ("unknown-name", False),
    "funding-without-end": ("funding-ends", True),
    "fewer-hours": ("funding-rows", True),
    "half-hours": ("funding-hours", True),
    "other-totals": ("funding-total", True),
    "other-prices": ("delivery-price", True),
    "no-old-settlements": ("old-settlements", False),
    "other-refusal": ("rate-refusal", False),
}
MOST_CALLS = 20


@pytest.fixture(name="server", scope="module")
def fixture_server() -> Iterator[SimulatedExchange]:
    """An exchange whose perpetuals are older than 800 hours, and than a calendar month."""
    with SimulatedExchange(recent_universe(3, NOW, weeks=6)) as server:
        yield server


@pytest.fixture(name="exchange")
def fixture_exchange(server: SimulatedExchange) -> Iterator[Exchange]:
    with swift(server, retries=6) as exchange:
        yield exchange
    server.faults.clear()
    server.forget_calls()


def differing(outcomes: list[Judgement]) -> dict[str, bool]:
    """The checks that differ, each with whether data are at risk."""
    return {each.name: each.is_data_at_risk for each in outcomes if each.verdict is Verdict.DIFFERS}


def test_the_simulated_exchange_is_as_it_should_be(
    server: SimulatedExchange, exchange: Exchange
) -> None:
    found = ask_all(exchange)
    outcomes = {each.name: each for each in judge(found)}
    untold = {name for name, each in outcomes.items() if each.verdict is not Verdict.OK}
    assert untold == {"rate-refusal"}
    assert outcomes["rate-refusal"].verdict is Verdict.CANNOT_TELL
    assert server.counters.calls <= MOST_CALLS
    text = json.dumps(found.as_json())
    assert len(text) < 60_000
    assert judge(Evidence.of_json(json.loads(text))) == list(outcomes.values())


@pytest.mark.parametrize("name", FAILS)
def test_a_departure_is_found_by_its_own_check_alone(
    server: SimulatedExchange, exchange: Exchange, name: str
) -> None:
    depart(server.faults, server.universe, name)
    check, is_at_risk = FAILS[name]
    assert differing(judge(ask_all(exchange))) == {check: is_at_risk}


def test_every_departure_and_every_check_is_tried() -> None:
    assert set(FAILS) == set(DEPARTURES)
    # No departure takes a host away.
    assert {check for check, _ in FAILS.values()} == {each.name for each in CHECKS} - {"hosts"}


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (too_many_requests(0.1), "HTTP 429, code 10028, Retry-After 0.1 s"),
        (too_many_requests(status=400), "HTTP 400, code 10028, no Retry-After"),
    ],
)
def test_a_refusal_by_the_rate_limit_is_looked_at_where_one_happens(
    server: SimulatedExchange, exchange: Exchange, fault: Fault, seen: str
) -> None:
    server.faults.add(CHART_METHOD, 1, fault)
    perpetual = Candidate("BTC-PERPETUAL", 0, None, "btc_usd")
    found = ask_first(exchange, [perpetual], server.now_ms)
    outcome = judge(found)[-1]
    assert (outcome.verdict, outcome.seen) == ("ok", seen)
    assert found.calls["most"].result["count"] == 5_001


def test_a_host_that_is_away_differs_and_the_rest_cannot_be_judged(
    server: SimulatedExchange,
) -> None:
    exchange = Exchange("http://127.0.0.1:9", "http://127.0.0.1:9", sleep=lambda _: None)
    outcomes = judge(ask_all(exchange))
    exchange.close()
    assert differing(outcomes) == {"hosts": True}
    assert "127.0.0.1:9 cannot be reached" in outcomes[0].seen
    half = Exchange(server.www_url, "http://127.0.0.1:9", sleep=lambda _: None)
    outcomes = judge(ask_all(half))
    half.close()
    assert differing(outcomes) == {"hosts": True}
    assert outcomes[1].verdict is Verdict.OK


@needs_recordings
def test_recorded_replies_are_as_relied_on() -> None:
    def recorded(name: str) -> Any:  # noqa: ANN401  (whatever the exchange sent)
        return json.loads((RECORDINGS / f"{name}.json").read_text())

    lists = shortening.listed(recorded("carry/get_instruments_BTC_future_2026-09-20"))
    hours = shortening.hours(recorded("carry/get_funding_rate_history_BTC-PERPETUAL_2026-09-20"))
    chart = recorded("get_tradingview_chart_data_BTC-PERPETUAL_2025-12-23")["result"]
    span = {"start_timestamp": hours["first"] - HOUR_MS, "end_timestamp": hours["last"]}
    results = {
        "active-BTC": lists,
        "active-ETH": {"instruments": {}, "refused": [], "fields": {}},
        "hours": hours,
        "quiet": shortening.candles(chart),
        "deliveries": recorded("carry/get_delivery_prices_btc_usd_2026-09-20"),
        "delivered": recorded("carry/get_last_settlements_by_currency_BTC_2026-09-20"),
    }
    minutes = {"start_timestamp": chart["ticks"][0], "end_timestamp": chart["ticks"][-1]}
    calls = {
        name: Seen("www", "", minutes if name == "quiet" else span, 200, result=result)
        for name, result in results.items()
    }
    recent = Candidate("BTC-20SEP26", 0, 1, "btc_usd")
    found = judge(Evidence("deribit", calls=calls, subjects={"recent": recent}))
    seen = {
        each.name: each.verdict.value for each in found if each.verdict is not Verdict.CANNOT_TELL
    }
    assert seen.pop("active-lists") == "differs"  # only BTC's was recorded
    met = (
        "hosts",
        "fields",
        "both-ends",
        "funding-ends",
        "funding-hours",
        "delivery-price",
    )
    assert seen == dict.fromkeys(met, "ok")


def test_settlements_that_no_list_holds_are_at_risk(
    server: SimulatedExchange, exchange: Exchange
) -> None:
    depart(server.faults, server.universe, "no-old-settlements")
    found = ask_all(exchange)
    of_coin = found.calls["old-of-coin"]
    assert of_coin.result["settlements"]
    empty = replace(of_coin, result={"settlements": []})
    none = replace(found, calls={**found.calls, "old-of-coin": empty})
    assert differing(judge(none)) == {"old-settlements": True}
