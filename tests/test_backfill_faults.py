"""What a misbehaving exchange does to a backfill: right data, or a named failure and the rest."""

from datetime import timedelta

import polars as pl
import pytest

from basislake.simulator import changes, fault_forms
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import Changed, Hang, Reset
from basislake.simulator.faults import FaultScript
from basislake.simulator.named_faults import KINDS
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from ingest.plan.selection import select, with_data
from lake import Lake
from tests.market import coverage, fetch, rows, small_market, truth, truths
from tests.processes import PATIENCE_S
from tests.tiers import slow_but

NAME = "BTC-PERPETUAL"
ONLY = with_data(select(names=(NAME,)), ["candles"])
HARMLESS = [name for name, kind in KINDS.items() if kind.effect in ("retry", "truth")]
SLOW = ("hang", "trickle")
# In the second window of the perpetual.
HURT_MS = milliseconds(truth(small_market(weeks=1), NAME)["ts"][6000])


@pytest.mark.parametrize("kind", slow_but(("duplicate-tick",), HARMLESS))
def test_a_fault_in_every_third_call_changes_no_row(
    universe: Universe, at: Lake, kind: str
) -> None:
    rates = {kind: 0.1 if kind in SLOW else 0.3}
    with SimulatedExchange(universe, faults=FaultScript.at_rates(rates, seed=5)) as server:
        result = fetch(server, at, timeout_s=2.0 if kind in SLOW else PATIENCE_S)
        assert server.counters.by_fault[kind] > 0
    assert not result.failed
    assert result.complete == len(universe.contracts)
    assert rows(at, "raw_candles").equals(truths(universe))
    assert not coverage(at, status="missing")
    assert not coverage(at, status="failed")


@pytest.mark.slow
def test_all_faults_at_once_change_no_row(universe: Universe, at: Lake) -> None:
    rates = {kind: 0.02 for kind in HARMLESS if kind not in SLOW}
    with SimulatedExchange(universe, faults=FaultScript.at_rates(rates, seed=6)) as server:
        result = fetch(server, at)
        assert sum(server.counters.by_fault.values()) > 5
    assert not result.failed
    assert rows(at, "raw_candles").equals(truths(universe))


@pytest.mark.parametrize(
    "fault",
    [
        fault_forms.server_error(),
        pytest.param(Reset(), marks=pytest.mark.slow),
        pytest.param(Hang(), marks=pytest.mark.slow),
        pytest.param(Changed(changes.contradict_candle(0.5)), marks=pytest.mark.slow),
        pytest.param(Changed(changes.shorten_column()), marks=pytest.mark.slow),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_minute_that_never_gets_an_answer_costs_its_window_only(
    universe: Universe, server: SimulatedExchange, at: Lake, fault: fault_forms.AnyFault
) -> None:
    server.faults.add(CHART, None, fault, instrument=NAME, minute_ms=HURT_MS)
    result = fetch(server, at, timeout_s=3.0 if fault.kind == "hang" else PATIENCE_S, retries=2)
    assert [failure.instrument for failure in result.failed] == [NAME]
    ((name, start, end),) = coverage(at, status="failed")
    assert name == NAME
    assert start.timestamp() * 1000 <= HURT_MS < end.timestamp() * 1000
    assert end - start <= timedelta(minutes=5000)
    saved = truths(universe).filter(
        (pl.col("instrument") != NAME) | (pl.col("ts") < start) | (pl.col("ts") >= end)
    )
    assert rows(at, "raw_candles").equals(saved)
    server.faults.clear()
    server.forget_calls()
    assert not fetch(server, at).failed
    assert server.calls_of(CHART) == 1
    assert rows(at, "raw_candles").equals(truths(universe))


@pytest.mark.parametrize("lack", [changes.drop_minutes(HURT_MS), changes.no_data])
def test_a_minute_that_a_second_ask_returns_is_there(
    universe: Universe, server: SimulatedExchange, at: Lake, lack: fault_forms.Change
) -> None:
    server.faults.add(CHART, 1, Changed(lack), instrument=NAME, minute_ms=HURT_MS)
    result = fetch(server, at, ONLY)
    assert not result.missing
    assert sum(call.holds(HURT_MS) for call in server.calls) == 2
    assert rows(at, "raw_candles").equals(truth(universe, NAME))


def test_a_minute_without_a_candle_is_asked_again_by_the_next_backfill_and_then_by_repair_only(
    universe: Universe, server: SimulatedExchange, at: Lake
) -> None:
    server.faults.add(CHART, None, Changed(changes.drop_minutes(HURT_MS)), minute_ms=HURT_MS)
    first = fetch(server, at, ONLY)
    assert (first.missing, first.failed, first.complete) == ({NAME: 1}, [], 1)
    ((_, start, end),) = coverage(at, status="missing")
    assert (start.timestamp() * 1000, end - start) == (HURT_MS, timedelta(minutes=1))
    asked = []
    for _ in range(3):
        server.forget_calls()
        fetch(server, at, ONLY)
        asked.append(server.calls_of(CHART))
    assert asked == [1, 0, 0]
    server.faults.clear()
    fetch(server, at, ONLY, repair=True)
    assert not coverage(at, status="missing")
    assert rows(at, "raw_candles").equals(truth(universe, NAME))


def test_a_null_is_kept_as_it_came(universe: Universe, server: SimulatedExchange, at: Lake) -> None:
    server.faults.add(CHART, None, Changed(changes.null_cell(0.25)), minute_ms=HURT_MS)
    assert not fetch(server, at, ONLY).failed
    stored, expected = rows(at, "raw_candles"), truth(universe, NAME)
    assert stored["close"].null_count() == 1
    assert stored.filter(pl.col("close").is_not_null()).height == expected.height - 1
    assert stored.drop("close").equals(expected.drop("close"))


@pytest.mark.slow
def test_an_instrument_that_gets_no_answer_is_given_up_and_named(at: Lake) -> None:
    longer = small_market(4)
    with SimulatedExchange(longer) as server:
        server.faults.add(CHART, None, Reset(), instrument=NAME)
        result = fetch(server, at, retries=0, threads=1)
        assert sum(call.instrument == NAME for call in server.calls) < 15
    assert [failure.instrument for failure in result.failed] == [NAME]
    assert rows(at, "raw_candles").equals(truths(longer).filter(pl.col("instrument") != NAME))


@pytest.mark.slow
def test_an_exchange_that_goes_away_ends_the_run_and_the_next_one_finishes(at: Lake) -> None:
    longer = small_market(4)
    with SimulatedExchange(longer) as server:
        half = len(truths(longer)) // 5000 // 2
        for instrument in longer.contracts:
            server.faults.add(CHART, None, Reset(), instrument=instrument)
        result = fetch(server, at, retries=0)
        assert server.calls_of(CHART) < half
        assert "the exchange stopped answering" in result.failed[-1].reason
        assert len(result.failed) == len(longer.contracts)
        server.faults.clear()
        assert not fetch(server, at).failed
    assert rows(at, "raw_candles").equals(truths(longer))
