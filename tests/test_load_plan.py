"""The plan of a load, from the lake's partitions and the ledger's entries; no database."""

import shutil
from pathlib import Path

import pytest

from lake import Lake
from lake.tables import BASIS, CANDLES
from load.ledger import Entry, Key
from load.plan import plan
from load.source import Partition, as_loaded, partitions
from load.tables import TABLES
from tests.loading import FUTURE, OTHER, PERPETUAL, candles, partition, put, small_lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_lake(tmp_path / "lake")


def held(wanted: list[Partition]) -> dict[Key, Entry]:
    """The ledger after all was loaded."""
    return {p.key: Entry(p.digest(), p.rows) for p in wanted}


def test_absent_tables_are_filled_the_largest_first_and_one_in_one_piece_is_sent(
    lake: Lake,
) -> None:
    wanted = partitions(lake)
    todo = plan(wanted, (), {}, list(TABLES))
    assert [fill.table.name for fill in todo.fills] == [
        "futures_ohlcv",
        "perpetuals_ohlcv",
        "futures_basis_spread",
    ]
    assert [job.partition.key for job in todo.whole] == [("instruments", "all")]
    assert todo.jobs == ()
    assert len(todo.all_jobs) == 5
    assert set(todo.unchanged.values()) == {0}


def test_what_the_ledger_knows_is_not_sent_again_unless_it_is_forgotten(lake: Lake) -> None:
    wanted = partitions(lake)
    entries = held(wanted)
    todo = plan(wanted, as_loaded(wanted, entries), entries, [])
    assert (todo.all_jobs, todo.removed) == ([], ())
    assert todo.unchanged == {
        "instruments": 1, "perpetuals_ohlcv": 1, "futures_ohlcv": 2, "futures_basis_spread": 1,
        "funding_rates": 0, "delivery_prices": 0, "settlements": 0,
        "carry_daily": 0,
    }  # fmt: skip
    forgotten = {key: entry.forgotten() for key, entry in entries.items()}
    everything = plan(wanted, as_loaded(wanted, forgotten), forgotten, [])
    assert len(everything.all_jobs) == 5


def test_a_plan_reads_nothing_of_the_lake(lake: Lake) -> None:
    put(lake, CANDLES, FUTURE, candles(8)[:3], candles(8)[3:])
    wanted = partitions(lake)
    entries = held(wanted)
    found = as_loaded(wanted, entries)
    shutil.rmtree(lake.uri)
    assert plan(wanted, found, entries, []).all_jobs == []
    assert len(plan(wanted, (), {}, []).all_jobs) == 5


def test_a_digest_is_of_the_rows_in_however_many_files(lake: Lake) -> None:
    before = held(partitions(lake))
    put(lake, CANDLES, FUTURE, candles(8)[:3], candles(8)[3:])
    now = partitions(lake)
    assert held(now) == before
    assert as_loaded(now, before) == before.keys()


def test_rows_are_not_read_to_see_that_there_are_more(lake: Lake) -> None:
    before = held(partitions(lake))
    put(lake, CANDLES, FUTURE, candles(8), candles(9)[8:])
    wanted = partitions(lake)
    for file in Path(lake.uri).rglob("*.parquet"):
        if f"instrument={FUTURE}" in str(file):
            file.unlink()
    assert before.keys() - as_loaded(wanted, before) == {("futures_ohlcv", partition(FUTURE))}


def test_changed_partitions_are_sent_and_withdrawn_ones_removed(lake: Lake) -> None:
    entries = held(partitions(lake))
    put(lake, CANDLES, OTHER, candles(9))
    put(lake, BASIS, FUTURE)
    wanted = partitions(lake)
    todo = plan(wanted, as_loaded(wanted, entries), entries, [])
    (job,) = todo.jobs
    assert job.partition.key == ("futures_ohlcv", partition(OTHER))
    assert job.held == entries["futures_ohlcv", partition(OTHER)]
    assert todo.removed == (("futures_basis_spread", partition(FUTURE)),)


def test_entries_of_a_table_that_is_not_ours_are_left_alone(lake: Lake) -> None:
    wanted = partitions(lake)
    entries = held(wanted) | {("notes", PERPETUAL): Entry("", 1)}
    assert plan(wanted, as_loaded(wanted, entries), entries, []).removed == ()


@pytest.mark.parametrize(("rows", "is_beginning"), [(7, True), (8, False), (9, False), (0, False)])
def test_a_partition_begins_with_what_was_loaded_of_it_only_if_digest_and_count_say_so(
    lake: Lake, rows: int, *, is_beginning: bool
) -> None:
    def future() -> Partition:
        return next(p for p in partitions(lake) if p.key == ("futures_ohlcv", partition(FUTURE)))

    put(lake, CANDLES, FUTURE, candles(7))
    digest = future().digest()
    put(lake, CANDLES, FUTURE, candles(8))
    now = future()
    assert now.begins_with(now.read(), Entry(digest, rows)) == is_beginning
    assert not now.begins_with(now.read(), Entry(now.digest(), 7))
