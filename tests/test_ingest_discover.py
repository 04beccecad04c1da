"""Discovery with incomplete lists."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake import PROGRAM
from basislake.simulator.clock import Clock
from basislake.simulator.fault_forms import reply
from basislake.simulator.records import record
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe
from ingest.discover import Discovery, discover
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.history.as_of import PastLake
from lake.table import BATCH
from lake.tables import INSTRUMENTS, RECORDS
from tests.market import NOW, basislake, swift

LIST = "get_instruments"
# Some of its weeklies are listed and some expire in the days to come.
GROWING = weekly_universe(
    11, NOW - timedelta(days=9), NOW, currencies=("BTC",), until=NOW + timedelta(days=30)
)
# The lists in the order in which they are asked for.
ORDER = ("active BTC", "active ETH", "expired BTC", "expired ETH")


def discovered(server: SimulatedExchange, lake: Lake) -> Discovery:
    with swift(server, retries=0) as exchange:
        return discover(exchange, lake, PROGRAM)


def listed(server: SimulatedExchange, coin: str, *, expired: bool) -> list[dict[str, Any]]:
    """The records of a list, as the exchange sends them."""
    universe = server.universe
    return [
        record(contract, universe.now_ms)
        for contract in universe.contracts.values()
        if contract.base == coin and contract.is_expired(universe.now_ms) == expired
    ]


def without_perpetual(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in records if "PERPETUAL" not in each["instrument_name"]]


def of_another_type(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As they would be if the exchange wrote one of their fields in another way."""
    return [each | {"instrument_type": "inverse", "future_type": "inverse"} for each in records]


def nothing(_: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return []


@pytest.mark.parametrize(
    ("which", "change", "lacking"),
    [
        ("active BTC", nothing, "does not hold BTC-PERPETUAL, so it is incomplete."),
        ("active ETH", nothing, "does not hold ETH-PERPETUAL, so it is incomplete."),
        ("active ETH", without_perpetual, "does not hold ETH-PERPETUAL, so it is incomplete."),
        ("active BTC", of_another_type, "does not hold BTC-PERPETUAL, so it is incomplete."),
        ("expired BTC", nothing, "holds 0 of the {} that the lake has."),
        ("expired ETH", of_another_type, "holds 0 of the {} that the lake has."),
    ],
)
def test_a_list_that_lacks_what_it_must_hold_is_failed_and_what_was_known_of_it_is_kept(
    server: SimulatedExchange,
    tmp_path: Path,
    which: str,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    lacking: str,
) -> None:
    lake = open_lake(str(tmp_path))
    known = discovered(server, lake).known
    assert known["active"].any()
    kind, coin = which.split()
    ended = known.filter(base=coin, active=False).height
    sent = change(listed(server, coin, expired=kind == "expired"))
    for each in ORDER:
        if each == which:
            server.faults.add(LIST, 1, reply(sent))
        else:
            own = listed(server, each.split()[1], expired=each.startswith("expired"))
            server.faults.add(LIST, 1, reply(own))
    found = discovered(server, lake)
    assert found.failed == [f"the list of {which} futures {lacking.format(ended)}"]
    assert not found.is_complete
    assert lake.read(INSTRUMENTS).equals(known)
    assert discovered(server, lake).failed == []


def test_records_are_kept_by_batch_and_what_was_known_when_can_be_read(tmp_path: Path) -> None:
    lake, clock = open_lake(str(tmp_path)), Clock(GROWING.now_ms)
    with SimulatedExchange(GROWING, clock=clock) as server:
        first = discovered(server, lake).known
        begun = newest_batch(lake)
        # Nothing is new, so there is no batch of it.
        assert discovered(server, lake).known.equals(first)
        assert newest_batch(lake) == begun
        clock.advance(8 * 86_400)
        found = discovered(server, lake)
    assert found.new
    ended = first.filter("active").join(found.known.filter("active"), on="instrument", how="anti")
    assert ended.height
    came = lake.read(RECORDS).filter(pl.col(BATCH) > begun)
    assert set(came["instrument"]) == {*found.new, *found.changed, *ended["instrument"]}
    assert PastLake(lake, begun).read(INSTRUMENTS).equals(first)
    assert PastLake(lake, newest_batch(lake)).read(INSTRUMENTS).equals(found.known)


def test_a_discovery_that_ends_before_its_last_commit_is_put_right_by_the_next(
    tmp_path: Path,
) -> None:
    lake, clock = open_lake(str(tmp_path / "lake")), Clock(GROWING.now_ms)
    folder, aside = tmp_path / "lake" / INSTRUMENTS.name, tmp_path / "aside"
    with SimulatedExchange(GROWING, clock=clock) as server:
        first = discovered(server, lake).known
        shutil.copytree(folder, aside)
        clock.advance(8 * 86_400)
        second = discovered(server, lake).known
        # As a kill leaves it: the records are there, and the table is as it was.
        shutil.rmtree(folder)
        aside.rename(folder)
        assert lake.read(INSTRUMENTS).equals(first)
        again = discovered(server, lake)
    assert again.known.equals(second)
    assert lake.read(INSTRUMENTS).equals(second)
    assert PastLake(lake, newest_batch(lake)).read(INSTRUMENTS).equals(second)


def test_the_command_names_an_empty_list_and_ends_with_1(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    server.faults.add(LIST, 1, reply([]))
    done = basislake(server, "instruments", "--lake", tmp_path, "--json")
    assert done.code == 1
    assert done.json["failed"] == [
        "the list of active BTC futures does not hold BTC-PERPETUAL, so it is incomplete."
    ]
    assert "Failed: the list of active BTC futures does not hold BTC-PERPETUAL" in done.err
    # The others are stored, and the next discovery finds the rest.
    assert "ETH-PERPETUAL" in {row["instrument"] for row in done.json["instruments"]}
    again = basislake(server, "instruments", "--lake", tmp_path, "--json")
    assert (again.code, again.json["known"]) == (0, len(server.universe.contracts))


def test_an_exchange_that_lists_nothing_at_all_has_failed(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    server.faults.add(LIST, None, reply([]))
    found = discovered(server, open_lake(str(tmp_path)))
    assert found.failed == ["the exchange lists no future at all."]
    assert found.known.is_empty()


def test_an_instrument_whose_record_cannot_be_read_is_no_less_active(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path))
    known = discovered(server, lake).known
    records = listed(server, "BTC", expired=False)
    spoilt = next(each for each in records if "PERPETUAL" not in each["instrument_name"])
    server.faults.add(
        LIST,
        1,
        reply(
            [each for each in records if each is not spoilt]
            + [spoilt | {"creation_timestamp": None}]
        ),
    )
    found = discovered(server, lake)
    assert [refused.name for refused in found.refused] == [spoilt["instrument_name"]]
    assert (found.failed, found.is_complete) == ([], False)
    assert lake.read(INSTRUMENTS).equals(known)


def test_a_coin_without_any_future_has_no_market_and_a_few_expired_ones_may_go(
    tmp_path: Path,
) -> None:
    lake = open_lake(str(tmp_path))
    universe = weekly_universe(11, NOW - timedelta(days=60), NOW, currencies=("BTC",))
    with SimulatedExchange(universe) as server:
        known = discovered(server, lake).known
        ended = listed(server, "BTC", expired=True)
        server.faults.add(LIST, 2, reply([*listed(server, "BTC", expired=False), *ended[1:]]))
        found = discovered(server, lake)
    assert len(ended) > 2
    assert found.failed == []
    assert lake.read(INSTRUMENTS).equals(known)
