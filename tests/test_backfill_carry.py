"""Funding, its totals, delivery prices and settlements, backfilled: whatever the exchange does, the
raw tables hold the truth.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from basislake.follow.messages import round_line
from basislake.pipeline.fetch import totals_of
from basislake.simulator.carry_answers import continuation_after
from basislake.simulator.fault_forms import AnyFault, Changed, Reset, rpc_error
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe
from ingest.backfill.results import Result
from lake import Lake
from lake import open as open_lake
from lake.carry_tables import RAW_CARRY, RAW_FUNDING, RAW_SETTLEMENTS
from lake.counted_words import counted
from lake.table import BATCH
from tests.carry import CARRY, carry_truth, stored_carry
from tests.market import basislake, fetch

# With the two hours that the exchange lacks, and the end of a month.
OPENED = datetime(2020, 8, 20, 8, tzinfo=UTC)
NOW = datetime(2020, 9, 2, 12, 0, 30, tzinfo=UTC)
UNIVERSE = weekly_universe(5, OPENED, NOW, currencies=("BTC",))
TRUTH = carry_truth(UNIVERSE)
PERPETUAL, HOLE = "BTC-PERPETUAL", {"BTC-PERPETUAL": 2}
FUNDING, TOTAL = "get_funding_rate_history", "get_funding_rate_value"
DELIVERIES = "get_delivery_prices"
OF_INSTRUMENT = "get_last_settlements_by_instrument"
OF_COIN = "get_last_settlements_by_currency"
METHODS = (FUNDING, TOTAL, DELIVERIES, OF_INSTRUMENT, OF_COIN)

Change = Callable[[Any], Any]


@pytest.fixture(name="server")
def fixture_server() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE) as running:
        yield running


def assert_true(at: Lake) -> None:
    stored = stored_carry(at)
    for name, expected in TRUTH.items():
        assert_frame_equal(stored[name], expected, check_exact=True)


def failed(result: Result) -> list[str]:
    return [f"{subject}: {reason}" for subject, reason in result.all_failed.items()]


def calls(server: SimulatedExchange) -> int:
    return sum(server.calls_of(method) for method in METHODS)


def test_all_data_come_to_the_last_digit_and_a_finished_backfill_makes_no_call(
    server: SimulatedExchange, at: Lake
) -> None:
    result = fetch(server, at, CARRY)
    assert_true(at)
    assert failed(result) == []
    assert result.calls == result.candles_written == 0
    counts = {name.removeprefix("raw_"): frame.height for name, frame in TRUTH.items()}
    assert round_line(result, None) == (
        f"{counts['funding']} rows of funding, {counted(counts['funding_totals'], 'row')} of "
        f"funding totals, {counts['deliveries']} rows of deliveries, {counts['settlements']} rows "
        f"of settlements by {result.all_calls} calls"
    )
    # The hole is asked for twice by a run, and once more by the next one.
    funding = result.datasets["funding"]
    assert (funding.calls, funding.missing, funding.complete) == (2, HOLE, 1)
    assert {name: counts.rows_written for name, counts in result.datasets.items()} == {
        name.removeprefix("raw_"): frame.height for name, frame in TRUTH.items()
    }
    found = at.scan("coverage").filter(status="missing").collect()
    assert found.select("instrument", "dataset", "start", "end").rows() == [
        (PERPETUAL, "funding", datetime(2020, 8, 27, 5, tzinfo=UTC),
         datetime(2020, 8, 27, 7, tzinfo=UTC)),
    ]  # fmt: skip
    assert at.scan("coverage").filter(status="failed").collect().is_empty()
    assert fetch(server, at, CARRY).all_calls == 1
    server.forget_calls()
    again = fetch(server, at, CARRY)
    assert (again.all_calls, calls(server)) == (0, 0)
    assert totals_of(again).startswith(
        "Backfill: 1 of 1 perpetual complete, 0 rows of funding; 1 of 1 perpetual complete, "
        "0 rows of funding totals; 1 of 1 index complete, 0 rows of deliveries; "
        f"{len(UNIVERSE.contracts)} of {len(UNIVERSE.contracts)} instruments complete, 0 rows of "
        "settlements written by 0 calls (0 retries) in 0:00:0"
    )
    assert round_line(again, None) == "nothing new by 0 calls"
    assert again.datasets["settlements"].complete == len(UNIVERSE.contracts)


def shifted(page: dict[str, Any]) -> dict[str, Any]:
    """As if a day had been added since the page before."""
    before = {"date": "2020-09-03", "delivery_price": 1.0}
    return {**page, "data": [before, *page["data"]][: len(page["data"])]}


def few_settlements(page: dict[str, Any]) -> dict[str, Any]:
    rows = page["settlements"][:3]
    more = {"continuation": continuation_after(rows[-1])} if len(page["settlements"]) > 3 else {}
    return {"settlements": rows, **more} if more else page


def leading_back(page: dict[str, Any]) -> dict[str, Any]:
    """A continuation that leads to the same page for ever."""
    return {"settlements": page["settlements"][:2], "continuation": "MTU5ODk0NzIwMDAwMC9CVEM="}


FAULTS: dict[str, list[tuple[str, int | None, AnyFault]]] = {
    "what helps once": [
        (FUNDING, 1, Changed(lambda rows: rows[-50:])),
        (TOTAL, 1, Changed(lambda _: "0.1")),
        *((method, 1, Reset()) for method in METHODS),
        *((method, 1, rpc_error(13888, "timed_out", 503)) for method in METHODS),
        (OF_INSTRUMENT, 3, Changed(leading_back)),
        (FUNDING, 1, Changed(lambda rows: [*rows, {**rows[3], "interest_1h": 1.0}])),
    ],
    "short pages and repeats": [
        (FUNDING, None, Changed(lambda rows: [*rows, *rows[-2:]])),
        (DELIVERIES, None, Changed(lambda page: {**page, "data": page["data"][:5]})),
        (DELIVERIES, 1, Changed(lambda page: page)),
        (DELIVERIES, 1, Changed(shifted)),
        (OF_INSTRUMENT, None, Changed(few_settlements)),
    ],
    "instruments that are refused": [(OF_INSTRUMENT, None, rpc_error(-32602, "Invalid params"))],
    "instruments without rows, and short pages of a coin": [
        (OF_INSTRUMENT, None, Changed(lambda _: {"settlements": []})),
        (OF_COIN, None, Changed(few_settlements)),
    ],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_faults_of_the_exchange_leave_the_truth(
    server: SimulatedExchange, at: Lake, faults: list[tuple[str, int | None, AnyFault]]
) -> None:
    for method, times, fault in faults:
        server.faults.add(method, times, fault)
    result = fetch(server, at, CARRY)
    assert failed(result) == []
    assert_true(at)
    assert result.datasets["funding"].missing == HOLE


def test_what_is_never_answered_fails_and_is_fetched_by_the_next_run(
    server: SimulatedExchange, at: Lake
) -> None:
    server.faults.add(FUNDING, None, rpc_error(-32602, "Invalid params"))
    server.faults.add(DELIVERIES, None, Reset())
    result = fetch(server, at, CARRY, retries=1)
    assert [str(subject) for subject in result.all_failed] == [
        f"{PERPETUAL} funding",
        "btc_usd deliveries",
    ]
    assert "no answer for 315 hours: The exchange refuses the call" in failed(result)[0]
    server.faults.clear()
    server.forget_calls()
    assert failed(fetch(server, at, CARRY)) == []
    assert_true(at)
    assert server.calls_of(OF_INSTRUMENT) == server.calls_of(TOTAL) == 0


def test_a_day_that_the_list_lacks_is_missing_by_name(server: SimulatedExchange, at: Lake) -> None:
    def without(page: dict[str, Any]) -> dict[str, Any]:
        return {**page, "data": [row for row in page["data"] if row["date"] != "2020-08-30"]}

    server.faults.add(DELIVERIES, None, Changed(without))
    result = fetch(server, at, CARRY)
    assert result.datasets["deliveries"].missing == {"btc_usd": 1}
    assert failed(result) == []
    found = at.scan("coverage").filter(dataset="deliveries", status="missing").collect()
    assert found["end"].to_list() == [datetime(2020, 8, 30, 8, tzinfo=UTC)]


@pytest.mark.parametrize("lost", [("asks", "coverage"), ("coverage",)])
def test_a_kill_between_the_commits_of_a_batch_loses_nothing_and_stores_nothing_twice(
    server: SimulatedExchange, at: Lake, lost: tuple[str, ...]
) -> None:
    fetch(server, at, CARRY)
    # What a kill before these commits leaves of a first batch.
    for name in lost:
        shutil.rmtree(Path(at.uri) / name)
    left = open_lake(at.uri)
    result = fetch(server, left, CARRY)
    assert failed(result) == []
    assert sum(counts.rows_written for counts in result.datasets.values()) == 0
    assert_true(left)


def first_price(price: float | None) -> Changed:
    return Changed(lambda rows: [{**rows[0], "index_price": price}, *rows[1:]])


def test_a_row_is_replaced_only_where_it_is_asked_again_on_purpose_and_is_sound(
    server: SimulatedExchange, at: Lake
) -> None:
    fetch(server, at, CARRY)
    first = TRUTH["raw_funding"]["hour_end"][0]
    server.faults.add(FUNDING, None, first_price(None))
    spoilt = fetch(server, at, CARRY, again=True).datasets["funding"]
    assert (spoilt.replaced, spoilt.rows_written) == (0, 0)
    assert spoilt.differing > 0
    server.faults.clear()
    server.faults.add(FUNDING, 1, first_price(7.0))
    assert fetch(server, at, CARRY, again=True).datasets["funding"].replaced == 1
    prices = at.scan("raw_funding").filter(hour_end=first).sort(BATCH).collect()["index_price"]
    assert prices.to_list() == [TRUTH["raw_funding"]["index_price"][0], 7.0]
    # As of the batch before, it is as it was.
    last = at.read(RAW_FUNDING)[BATCH].max()
    assert_frame_equal(
        at.scan("raw_funding").filter(pl.col(BATCH) < last).drop(BATCH).collect(),
        TRUTH["raw_funding"],
    )


def test_every_row_has_a_batch_that_what_was_asked_has_too(
    server: SimulatedExchange, at: Lake
) -> None:
    fetch(server, at, CARRY)
    asked = at.scan("asks").select(BATCH, "dataset", "instrument").unique().collect()
    for table in RAW_CARRY:
        dataset = pl.lit(table.name.removeprefix("raw_")).alias("dataset")
        rows = at.read(table).select(BATCH, dataset, pl.col(table.key[0]).alias("instrument"))
        assert rows.join(asked, on=asked.columns, how="anti").is_empty()


def test_a_selection_fetches_the_rows_labelled_in_it_and_for_a_future_its_perpetual(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    of = ("--instruments", "BTC-28AUG20", "--since", "2020-08-25", "--until", "2020-08-29")
    done = basislake(server, "backfill", "--lake", tmp_path, *of, "--json")
    assert done.code == 0, done.err
    assert (done.json["instruments"], done.json["calls"]) == (2, 2)
    at = open_lake(str(tmp_path))
    stored = stored_carry(at)
    since, until = datetime(2020, 8, 25, tzinfo=UTC), datetime(2020, 8, 28, 8, tzinfo=UTC)
    labels = {"raw_funding": "hour_end", "raw_settlements": "settled_at"}
    for name, label in labels.items():
        expected = TRUTH[name].filter(
            pl.col("instrument").is_in(["BTC-28AUG20" if name == "raw_settlements" else PERPETUAL]),
            pl.col(label).is_between(since, until + timedelta(minutes=1), closed="right"),
        )
        assert_frame_equal(stored[name], expected)
    assert stored["raw_settlements"]["type"].to_list()[-1] == "delivery"
    assert at.snapshot(RAW_SETTLEMENTS).rows == 4
    counts = done.json["datasets"]
    assert counts["settlements"]["rows_written"] == 4
    # A whole month is in no future's life here.
    assert counts["funding_totals"] | {"calls": 0, "rows": 0} == counts["funding_totals"]


def test_only_the_data_that_are_named_are_fetched_and_the_scope_remembers_them(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    to = ("--lake", tmp_path)
    wrong = basislake(server, "backfill", *to, "--data", "candles,fundings")
    assert wrong.code == 2
    assert "no data 'fundings'; use candles, funding, deliveries, settlements" in wrong.err
    assert basislake(None, "scope", *to, "--data", "funding", "--data", "deliveries").code == 0
    shown = basislake(None, "scope", *to, "--json").json["scope"]
    assert shown["data"] == ["funding", "deliveries"]
    done = basislake(server, "backfill", *to, "--json").json
    assert (done["instruments"], done["calls"]) == (0, 0)
    assert list(done["datasets"]) == ["funding", "funding_totals", "deliveries"]
    assert server.calls_of(OF_INSTRUMENT) == 0
    plan = basislake(server, "plan", *to, "--data", "settlements", "--json").json
    assert (plan["calls"], plan["datasets"]["settlements"]["calls"]) == (
        0,
        len(UNIVERSE.contracts),
    )
    # A plan's calls are those that a backfill makes.
    server.forget_calls()
    assert basislake(server, "backfill", *to, "--data", "settlements").code == 0
    assert server.calls_of(OF_INSTRUMENT) == plan["all_calls"]
    status = basislake(None, "status", *to, "--json").json["datasets"]
    assert status["deliveries"]["complete"] == 1
    assert status["deliveries"]["steps"]["present"] == TRUTH["raw_deliveries"].height
    assert "settlements" not in status
