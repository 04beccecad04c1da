"""Commits to real Delta tables on disk."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import polars as pl
import pytest
from deltalake import DeltaTable

from lake import Lake
from lake import open as open_lake
from lake.batches import commit_batch
from lake.errors import ConflictError
from lake.tables import INSTRUMENTS, RAW_CANDLES
from tests.lakes import append_to, held, names, stored
from tests.strategies import batch, candles, instruments, minute, raw, written

LINEAGE = {"program": "test 1", "made_from": {"instruments": 3}}


def view(at: Lake) -> pl.DataFrame:
    rows = at.duckdb().execute("SELECT * FROM raw_candles ORDER BY ALL").fetchall()
    return pl.DataFrame(rows, schema=RAW_CANDLES.polars_schema, orient="row")


def test_committed_rows_are_read_back_exactly_with_their_partition(at: Lake) -> None:
    with_null = candles(3).with_columns(cost=pl.Series([1.5, None, -0.0]))
    append_to(at, "BTC-28JUN19", with_null.reverse())
    append_to(at, "BTC-PERPETUAL", candles(2, price=7.0))
    expected = [
        raw("BTC-28JUN19", batch(with_null)),
        raw("BTC-PERPETUAL", batch(candles(2, price=7.0), 2)),
    ]
    assert held(at).equals(pl.concat(expected))
    one = at.scan("raw_candles").filter(instrument="BTC-PERPETUAL").collect()
    assert one.equals(expected[1])
    assert view(at).equals(held(at))


def test_a_written_file_shows_nowhere_before_its_commit(at: Lake) -> None:
    append_to(at, "A", candles(2))
    written(at, "B", candles(5))
    assert held(at).height == 2
    assert at.duckdb().execute("SELECT count(*) FROM raw_candles").fetchone() == (2,)


def test_replaced_files_show_nowhere_but_in_the_older_version(at: Lake) -> None:
    append_to(at, "A", candles(4))
    append_to(at, "B", candles(3))
    base = at.snapshot(RAW_CANDLES)
    fresh = written(at, "A", candles(1, start=9))
    at.commit(base, [fresh], LINEAGE, removing=base.of("A"))
    expected = [raw("A", batch(candles(1, start=9))), raw("B", batch(candles(3), 2))]
    assert held(at).equals(pl.concat(expected))
    assert view(at).equals(pl.concat(expected))
    old = at.snapshot(RAW_CANDLES, base.version)
    assert old.scan().collect().height == base.scan().collect().height == 7


def test_a_file_is_known_by_its_rows_range_batches_and_digest(at: Lake) -> None:
    base = at.snapshot(RAW_CANDLES)
    added = written(at, "A", candles(5, start=2).reverse())
    at.commit(base, [added], LINEAGE)
    append_to(at, "B", candles(5, start=2))
    (file,) = at.snapshot(RAW_CANDLES).of("A")
    assert file == added
    assert (file.rows, file.first, file.last) == (5, minute(2), minute(6))
    assert file.batches == (1, 1)
    (same,) = at.snapshot(RAW_CANDLES).of("B")
    assert file.digest is not None
    assert same.digest == file.digest


def test_two_that_set_one_counter_from_one_base_cannot_both_succeed(at: Lake) -> None:
    append_to(at, "A", candles(1))
    slow = at.snapshot(RAW_CANDLES)
    append_to(at, "A", candles(1, start=1))
    with pytest.raises(ConflictError):
        commit_batch(at, slow, [written(at, "A", candles(1, start=1))], LINEAGE)
    assert held(at)["ts"].to_list() == [minute(0), minute(1)]
    at.commit(slow, [written(at, "B", candles(1))], LINEAGE, counters={"other": 1})
    assert held(at).height == 3


def test_of_two_that_make_a_table_one_has_to_start_over(at: Lake) -> None:
    slow = at.snapshot(RAW_CANDLES)
    append_to(at, "A", candles(1))
    with pytest.raises(ConflictError):
        commit_batch(at, slow, [written(at, "A", candles(1))], LINEAGE)
    assert held(at).height == 1


def test_of_two_that_replace_a_table_one_has_to_start_over(at: Lake) -> None:
    for rows in (("A",), (), ("B",)):  # from no table, from a full one and from an empty one
        slow = at.snapshot(INSTRUMENTS)
        at.replace(slow, instruments(*rows), LINEAGE)
        with pytest.raises(ConflictError):
            at.replace(slow, instruments("slow"), LINEAGE)
        assert names(at) == list(rows)


def test_of_two_that_remove_one_file_one_has_to_start_over_whatever_else_they_change(
    at: Lake,
) -> None:
    for name in ("A", "B"):
        append_to(at, name, candles(1))
    slow = at.snapshot(RAW_CANDLES)
    at.commit(slow, [written(at, "A", candles(2))], LINEAGE, removing=slow.of("A"))
    with pytest.raises(ConflictError):
        at.commit(slow, [written(at, "A", candles(3))], LINEAGE, removing=slow.files)
    at.commit(slow, [], LINEAGE, removing=slow.of("B"))
    assert held(at).equals(raw("A", batch(candles(2))))


def test_replacing_a_table_by_what_it_holds_makes_no_commit(at: Lake) -> None:
    def version_of(frame: pl.DataFrame) -> int | None:
        done = at.replace(at.snapshot(INSTRUMENTS), frame, LINEAGE)
        assert done.version == at.snapshot(INSTRUMENTS).version
        return done.version

    assert version_of(instruments("A", "B")) == 1
    assert version_of(instruments("B", "A")) == 1
    assert version_of(instruments("A")) == 2
    assert names(at) == ["A"]
    assert version_of(INSTRUMENTS.empty()) == 3
    assert names(at) == []


def test_a_counter_keeps_its_number_through_later_commits_until_it_is_set_again(at: Lake) -> None:
    def counters() -> list[int]:
        now = at.snapshot(INSTRUMENTS)
        return [now.counter(name) for name in ("A", "B", "C")]

    assert counters() == [0, 0, 0]
    at.replace(at.snapshot(INSTRUMENTS), instruments("A"), LINEAGE, {"A": 7, "B": 2})
    counted = at.snapshot(INSTRUMENTS)
    for rows in (("A", "B"), (), ("A",)):
        at.replace(at.snapshot(INSTRUMENTS), instruments(*rows), LINEAGE)
        assert counters() == [7, 2, 0]
    # A number may go down too, and a version that was read before keeps what it had.
    at.replace(at.snapshot(INSTRUMENTS), instruments("B"), LINEAGE, {"A": 3, "C": 1, "B": 0})
    assert counters() == [3, 0, 1]
    assert counted.counter("A") == 7
    again = open_lake(at.uri).snapshot(INSTRUMENTS, counted.version)
    assert [again.counter(name) for name in ("A", "B", "C")] == [7, 2, 0]


def test_only_a_counter_that_changes_is_worth_a_commit(at: Lake) -> None:
    def replace(counters: dict[str, int]) -> int | None:
        base = at.snapshot(INSTRUMENTS)
        return at.replace(base, instruments("A", "B"), LINEAGE, counters).version

    assert replace({}) == 1
    assert replace({"A": 0}) == 1
    assert replace({"A": 5, "B": 0}) == 2
    assert replace({"A": 5}) == 2
    assert replace({}) == 2
    assert replace({"A": 0}) == 3
    assert names(at) == ["A", "B"]


@pytest.mark.slow
def test_writers_at_once_that_make_the_table_know_of_one_another(tmp_path: Path) -> None:
    """The library made a table twice, and took what came between for known."""

    def write(at: Lake, begin: Barrier, number: int) -> None:
        begin.wait()
        stored(partial(append_to, at, "A", candles(1, start=number)))

    for attempt in range(12):
        at = open_lake(str(tmp_path / str(attempt)))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(partial(write, at, Barrier(4)), range(4)))
        made = at.snapshot(RAW_CANDLES)
        assert (made.rows, made.counter("batch"), made.version) == (4, 4, 4)


def test_every_commit_with_rows_has_its_lineage_in_the_log(at: Lake) -> None:
    base = at.snapshot(RAW_CANDLES)
    base = at.commit(base, [written(at, "A", candles(1))], LINEAGE)
    at.commit(base, [], {"program": "test 2"}, removing=base.files)
    newest, older, made = DeltaTable(base.uri).history()
    assert newest["program"] == "test 2"
    assert {name: older[name] for name in LINEAGE} == LINEAGE
    assert [commit["version"] for commit in (newest, older, made)] == [2, 1, 0]
