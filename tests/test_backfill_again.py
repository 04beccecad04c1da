"""Candles that a user fetches again: which replace stored ones, and what follows."""

import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from polars.testing import assert_frame_equal

from basislake.explain.basis import explain
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import Changed, server_error
from basislake.simulator.server import SimulatedExchange
from ingest.plan.planner import Planner
from ingest.plan.selection import Selection, select, with_data
from lake import Lake
from lake.batches import newest_batch
from lake.coverage import IS_CANDLES
from lake.history.as_of import PastLake
from lake.tables import COVERAGE, RAW_CANDLES, SUPERSEDED
from lake.time.intervals import MINUTE
from tests.ailing import altered
from tests.market import (
    NOW,
    basislake,
    command,
    counting,
    fetch,
    ideal_calls,
    rows,
    truths,
)
from tests.processes import ended, running, wait_until
from tests.spiked import PERPETUAL, PRICES
from tests.staged import UNIVERSE, built, content, is_same

# Of the staged lake: a future that expired, and a minute of its life.
FUTURE = "BTC-29MAR24"
AT = NOW.replace(second=0) - timedelta(days=8)


@pytest.fixture
def server() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as exchange:
        yield exchange


def send(server: SimulatedExchange, factor: float | None, minutes: int = 1) -> None:
    """From now on some minutes of the future come so."""
    ms = [milliseconds(AT + i * MINUTE) for i in range(minutes)]
    factors = {"close": None} if factor is None else dict.fromkeys(PRICES, factor)
    server.faults.add(CHART, None, Changed(altered(factors, *ms)), instrument=FUTURE)


def around(name: str = FUTURE) -> Selection:
    """A few hours of an instrument."""
    few = select(names=[name], since=AT - timedelta(hours=2), until=AT + timedelta(hours=3))
    return with_data(few, ["candles"])


def close_at(lake: Lake, batch: int | None = None) -> float | None:
    found = PastLake(lake, batch) if batch is not None else lake
    row = counting(found).filter(instrument=FUTURE, ts=AT)
    assert row.height == 1
    close: float | None = row["close"][0]
    return close


def true_close() -> float:
    close: float = truths(UNIVERSE).filter(instrument=FUTURE, ts=AT)["close"][0]
    return close


def raw_rows(lake: Lake) -> int:
    return lake.snapshot(RAW_CANDLES).rows


def test_a_candle_that_changed_is_fetched_again_and_the_old_one_stays_as_of_its_batch(
    lake: Lake, server: SimulatedExchange
) -> None:
    send(server, 1.01, minutes=90)
    before, height = newest_batch(lake), raw_rows(lake)
    # By default stored candles are not fetched.
    assert fetch(server, lake, around()).calls == 0
    assert fetch(server, lake, around(), repair=True).calls == 0
    assert close_at(lake) == true_close()
    result = fetch(server, lake, around(), again=True)
    assert (result.failed, result.calls, result.candles_written) == ([], 1, 0)
    assert (result.replaced, result.differing) == (90, 0)
    assert close_at(lake) == true_close() * 1.01
    assert close_at(lake, before) == true_close()
    changed = newest_batch(lake)
    assert (raw_rows(lake), raw_rows(PastLake(lake, before))) == (height + 90, height)
    server.faults.clear()
    assert fetch(server, lake, around(), again=True).replaced == 90
    assert_frame_equal(counting(lake), truths(UNIVERSE), check_exact=True)
    assert close_at(lake, changed) == true_close() * 1.01
    # No row is ever lost: those that count no more are in quarantine once they are built.
    assert raw_rows(lake) == height + 180
    result_of = built(lake)
    assert (result_of.candles, result_of.quarantined) == (height, 180)
    assert rows(lake, "quarantine")["rules"].to_list() == [[SUPERSEDED]] * 180
    assert_frame_equal(rows(lake, "candles").select(counting(lake).columns), counting(lake))


@pytest.mark.slow
def test_what_comes_again_as_it_is_stored_changes_nothing(
    lake: Lake, server: SimulatedExchange
) -> None:
    before = content(lake)
    result = fetch(server, lake, again=True)
    assert result.calls == result.plan["calls"] == ideal_calls(UNIVERSE)
    assert (result.replaced, result.differing, result.candles_written) == (0, 0, 0)
    assert (result.complete, result.failed) == (len(UNIVERSE.contracts), [])
    assert is_same(content(lake), before)
    assert built(lake).rebuilt == 0
    assert is_same(content(lake), before)


def test_a_sound_candle_is_never_replaced_by_a_broken_one(
    lake: Lake, server: SimulatedExchange
) -> None:
    before = rows(lake, "raw_candles")
    for factor in (None, -1.0, 0.0):
        send(server, factor)
        result = fetch(server, lake, around(), again=True)
        assert (result.replaced, result.differing, result.failed) == (0, 1, [])
        server.faults.clear()
    assert rows(lake, "raw_candles").equals(before)


@pytest.mark.slow
def test_a_broken_candle_is_repaired_once_it_comes_sound(
    lake: Lake, server: SimulatedExchange
) -> None:
    send(server, None)
    lake = Lake(f"{lake.uri}-2")
    fetch(server, lake)
    built(lake)
    broken, height = newest_batch(lake), raw_rows(lake)
    assert quarantined(lake) == [(FUTURE, AT, ["null_value"])]
    # It comes broken still: it is counted, and the rest of its window is as it is stored.
    still = fetch(server, lake, around(), repair=True)
    assert (still.calls, still.replaced, still.differing) == (1, 0, 0)
    assert planned(lake) == 1
    assert raw_rows(lake) == height
    server.faults.clear()
    assert fetch(server, lake, repair=True).replaced == 1
    # Until a build has taken it up it is asked for, and is as it is stored.
    assert fetch(server, lake, repair=True).replaced == 0
    built(lake)
    assert quarantined(lake) == [(FUTURE, AT, [SUPERSEDED])]
    assert planned(lake) == 0
    assert_frame_equal(counting(lake), truths(UNIVERSE), check_exact=True)
    assert close_at(lake, broken) is None


def quarantined(lake: Lake) -> list[tuple[object, ...]]:
    return rows(lake, "quarantine").select("instrument", "ts", "rules").rows()


def planned(lake: Lake) -> int:
    """How many windows --repair asks for in some hours around."""
    return sum(len(plan.windows) for plan in Planner(lake, around(), NOW, repair=True).plans())


def test_an_instrument_that_is_not_answered_again_is_failed_and_stays_as_it_is(
    lake: Lake, server: SimulatedExchange
) -> None:
    before = rows(lake, "raw_candles")
    server.faults.add(CHART, None, server_error(), instrument=FUTURE)
    result = fetch(server, lake, around(), again=True, retries=0)
    assert [failure.instrument for failure in result.failed] == [FUTURE]
    assert "no answer for 300 minutes" in result.failed[0].reason
    assert rows(lake, "raw_candles").equals(before)
    # They are stored all the same, so the next backfill has nothing to do.
    assert fetch(server, lake, around()).calls == 0


def test_a_perpetual_that_comes_for_its_futures_sake_is_not_asked_again(
    lake: Lake,
) -> None:
    plans = {plan.subject.name: plan for plan in Planner(lake, around(), NOW, again=True).plans()}
    assert [len(plans[name].windows) for name in (PERPETUAL, FUTURE)] == [0, 1]
    assert plans[FUTURE].windows == plans[FUTURE].again == (around().span,)
    plans = {p.subject.name: p for p in Planner(lake, around(PERPETUAL), NOW, again=True).plans()}
    assert {name: len(plan.windows) for name, plan in plans.items()} == {PERPETUAL: 1}


def test_the_command_counts_and_tells_what_it_asks_for_again(
    lake: Lake, server: SimulatedExchange
) -> None:
    send(server, 1.01)
    chosen = ("--lake", lake.uri, "--instruments", FUTURE, "--again")
    plan = basislake(server, "plan", *chosen, "--json").json
    life = lake.read(COVERAGE).filter(IS_CANDLES, instrument=FUTURE)["minutes"].sum()
    assert (plan["calls"], plan["candles"]) == (1, life)
    done = basislake(server, "backfill", *chosen, "--json")
    assert (done.code, done.json["replaced"], done.json["calls"]) == (0, 1, 1)
    assert "Replaced: 1 stored candle, by" in done.err
    send(server, None)
    done = basislake(server, "backfill", *chosen, "--json")
    assert (done.code, done.json["differing"]) == (0, 1)
    assert "The stored values are kept" in done.err


@pytest.mark.slow
def test_where_each_row_came_from_is_told_of_those_that_were_replaced_and_of_the_others(
    lake: Lake, server: SimulatedExchange
) -> None:
    before = newest_batch(lake)
    other = AT + timedelta(hours=1)
    old = explain(lake.state(), FUTURE, other).sides[0].fetched
    send(server, 1.01)
    assert fetch(server, lake, around(), again=True).replaced == 1
    new = explain(lake.state(), FUTURE, AT).sides[0].fetched
    assert new is not None
    assert (new.batch, new.window) == (newest_batch(lake), around().span)
    assert old is not None
    assert explain(lake.state(), FUTURE, other).sides[0].fetched == old
    assert old.batch <= before
    # As of the batch before it is the older row that counts, and how that came.
    then = explain(PastLake(lake, before), FUTURE, AT).sides[0]
    assert then.fetched == old
    assert then.raw is not None
    assert then.raw["close"] == true_close()


@pytest.mark.slow
def test_a_kill_leaves_old_rows_or_new_ones_and_the_next_run_finishes(
    lake: Lake, server: SimulatedExchange
) -> None:
    before = counting(lake)
    up = Changed(lambda good: good | {n: [cell * 1.01 for cell in good[n]] for n in PRICES})
    server.faults.add(CHART, None, up)
    with SimulatedExchange(UNIVERSE, faults=server.faults, delay_s=0.3) as slow:
        line = command(slow, "backfill", "--again", "--lake", lake.uri, "--threads", "1")
        height = raw_rows(lake)
        with running(line) as process:
            wait_until(process, lambda: raw_rows(lake) > height)
            process.send_signal(signal.SIGKILL)
            ended(process)
    killed = counting(lake)
    assert killed.select("instrument", "ts").equals(before.select("instrument", "ts"))
    ratios = (killed["close"] / before["close"]).round(9).unique().to_list()
    assert sorted(ratios) == [1.0, 1.01]
    assert fetch(server, lake, again=True).failed == []
    now = counting(lake)
    assert (now["close"] / before["close"]).round(9).unique().to_list() == [1.01]
