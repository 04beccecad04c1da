"""One sha256 of a lake's rows, however and wherever they are stored."""

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake.simulator.server import SimulatedExchange
from ingest.plan.selection import Selection
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.history.fingerprint import Fingerprint, fingerprint
from lake.tables import CONTENT, INSTRUMENTS, TABLES
from tests.lakes import LINEAGE, append, lake_of
from tests.market import basislake, fetch
from tests.profiles import examples
from tests.staged import UNIVERSE, Staged, built
from tests.strategies import CELLS, candles, instruments

FEW = examples(4)


def content_only(found: Fingerprint) -> tuple[str, Any]:
    return found.lake, dict(found.tables)


def store(folder: Path, parts: list[tuple[str, pl.DataFrame]]) -> Lake:
    """A lake of raw candles, each part a file and a commit of its own."""
    lake = open_lake(str(folder))
    for name, frame in parts:
        append(lake, {name: [frame]})
    return lake


@st.composite
def splits(draw: st.DrawFn) -> list[tuple[str, pl.DataFrame]]:
    """Twenty candles of each of two instruments as parts, in any order."""
    parts = []
    for name in ("A", "B"):
        owners = draw(st.lists(st.integers(0, 3), min_size=20, max_size=20))
        frame = candles(20).with_columns(pl.Series("owner", owners))
        parts += [(name, part.drop("owner")) for part in frame.partition_by("owner")]
    return draw(st.permutations(parts))


@FEW
@given(splits(), splits(), st.integers(0, 39), st.sampled_from(CELLS))
def test_rows_have_one_fingerprint_in_any_files_commits_and_folders_and_a_cell_changes_it(
    one: list[tuple[str, pl.DataFrame]],
    other: list[tuple[str, pl.DataFrame]],
    place: int,
    cell: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder) / "here", Path(folder) / "a" / "there"
        mine = fingerprint(store(here, one), 1)
        yours = store(there, other)
        assert content_only(fingerprint(yours, 4)) == content_only(mine)
        verified = fingerprint(yours, 2, verify=True)
        assert content_only(verified) == content_only(mine)
        assert verified.damaged == ()
        assert verified.rows["raw_candles"] == 40

        _, frame = other[place % len(other)]
        row = pl.int_range(pl.len()) == place % frame.height
        value = pl.when(row).then(-pl.col(cell))
        changed = frame.with_columns(value.otherwise(cell).alias(cell))
        parts = [(n, changed if f is frame else f) for n, f in other]
        third = fingerprint(store(Path(folder) / "third", parts), 1)
        assert third.lake != mine.lake
        assert third.tables["raw_candles"] != mine.tables["raw_candles"]
        assert third.tables["basis"] == mine.tables["basis"]


def test_rows_that_move_to_another_instrument_change_the_fingerprint(tmp_path: Path) -> None:
    one = store(tmp_path / "1", [("A", candles(2)), ("B", candles(3))])
    other = store(tmp_path / "2", [("B", candles(2)), ("A", candles(3))])
    assert fingerprint(one, 1).lake != fingerprint(other, 1).lake


def test_an_empty_table_counts_as_much_as_one_that_is_not_there(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake", quarantine=[])
    before = fingerprint(lake, 1)
    lake.replace(lake.snapshot(INSTRUMENTS), instruments("A"), LINEAGE)
    assert fingerprint(lake, 1).lake != before.lake
    lake.replace(lake.snapshot(INSTRUMENTS), INSTRUMENTS.empty(), LINEAGE)
    assert fingerprint(lake, 1) == before


@pytest.mark.slow
def test_builds_by_one_thread_and_by_four_in_other_folders_give_the_same_content(
    staged: Staged, tmp_path: Path
) -> None:
    expected = fingerprint(staged.lake, 1)
    for threads in (1, 4):
        copy = staged.copy(tmp_path / str(threads))
        assert built(copy, full=True, threads=threads).unchanged == 0
        assert fingerprint(copy, threads, verify=True) == expected
    done = basislake(None, "build", "--lake", copy.uri, "--full", "--threads", 3, "--json")
    assert done.code == 0, done.err
    assert fingerprint(copy, 2) == expected


@pytest.mark.slow
def test_backfills_by_other_threads_and_in_other_steps_give_the_same_content(
    staged: Staged, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path))
    with SimulatedExchange(UNIVERSE) as server:
        fetch(server, lake, Selection(), threads=1)
    built(lake)
    assert newest_batch(lake) != newest_batch(staged.lake)
    assert fingerprint(lake, 2) == fingerprint(staged.lake, 2)


def test_the_command_prints_a_line_for_each_table_and_one_for_the_lake(
    staged: Staged, lake: Lake
) -> None:
    expected = fingerprint(staged.lake, 1)
    done = basislake(None, "fingerprint", "--lake", staged.lake.uri)
    assert done.code == 0, done.err
    lines = [f"{expected.tables[table.name]}  {table.name}" for table in CONTENT]
    assert done.out.splitlines() == [*lines, f"{expected.lake}  lake"]

    found = basislake(None, "fingerprint", "--lake", lake.uri, "--verify", "--json")
    assert found.code == 0, found.err
    assert found.out == basislake(None, "fingerprint", "--lake", staged.lake.uri, "--json").out
    assert found.json["lake"] == expected.lake
    assert found.json["tables"] == expected.tables


def test_a_file_whose_rows_were_changed_and_one_that_is_absent_are_named(
    staged: Staged, lake: Lake
) -> None:
    changed, absent = (lake.snapshot(TABLES[name]).files[0] for name in ("basis", "candles"))
    path = Path(lake.uri) / "basis" / changed.path
    pl.read_parquet(path, hive_partitioning=False).with_columns(
        basis=pl.col("basis") + 1
    ).write_parquet(path)
    (Path(lake.uri) / "candles" / absent.path).unlink()
    names = [f"candles/{absent.path}", f"basis/{changed.path}"]
    found = basislake(None, "fingerprint", "--lake", lake.uri, "--verify", "--json")
    assert found.code == 1
    assert sorted(found.json["damaged"]) == sorted(names)
    honest = basislake(None, "fingerprint", "--lake", staged.lake.uri, "--json").json
    assert honest["damaged"] == []
    text = found.json["tables"]
    assert {n for n in text if text[n] != honest["tables"][n]} == {"basis", "candles"}
    shown = basislake(None, "fingerprint", "--lake", lake.uri, "--verify")
    assert shown.code == 1
    assert shown.out.splitlines()[-1] == f"{found.json['lake']}  lake"
    for run in (found, shown):
        assert all(run.err.count(f"Damaged: {name} ") == 1 for name in names), run.err
