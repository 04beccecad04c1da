"""Which small files are merged, and that only their number changes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake import PROGRAM
from basislake.explain.basis import explain
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.errors import ConflictError, DamagedError
from lake.files.parquet import DataFile
from lake.files.slices import slices
from lake.history.as_of import past
from lake.history.fingerprint import fingerprint
from lake.maintenance.compaction import compact, groups
from lake.state import State
from lake.table import BATCH, Table
from lake.tables import BASIS, BUILDS, CANDLES, CURATED, PERIODS, RAW_CANDLES
from lake.time.intervals import MINUTE, Span
from tests.lakes import LINEAGE, append_to, ask
from tests.market import basislake
from tests.staged import CURATED_NAMES, Staged, built, content, is_same
from tests.strategies import T0, candles


def file(rows: int, start: int) -> DataFile:
    first = T0 + start * MINUTE
    return DataFile(f"{start}", "A", rows, rows * 10, first, first + (rows - 1) * MINUTE)


@given(st.lists(st.integers(1, 400), max_size=30))
def test_groups_are_neighbours_of_a_bounded_size_in_which_no_file_outweighs_the_others(
    sizes: list[int],
) -> None:
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    files = [file(rows, start) for rows, start in zip(sizes, starts, strict=True)]
    found = groups(reversed(files), most_rows=500)
    grouped = [f for group in found for f in group]
    assert len(grouped) == len(set(grouped))
    for group in found:
        total = sum(f.rows for f in group)
        assert len(group) > 1
        assert total <= 500
        assert all(2 * f.rows <= total for f in group)


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([], []),
        ([10], []),
        ([10, 10], [[10, 10]]),
        ([100, 10], []),  # a row would be rewritten for little
        ([100, 10, 10], [[10, 10]]),
        ([100, 60, 50], [[100, 60, 50]]),
        ([500, 1, 1], [[1, 1]]),  # a large one is left alone
        ([300, 300, 300], []),  # two of them are too many rows
    ],
)
def test_which_files_become_one(sizes: list[int], chosen: list[list[int]]) -> None:
    files = [file(rows, sum(sizes[:place])) for place, rows in enumerate(sizes)]
    found = groups(files, most_rows=500)
    assert [[f.rows for f in group] for group in found] == chosen


def test_rows_keep_their_batches_and_every_minute_however_often_they_are_compacted(
    tmp_path: Path,
) -> None:
    at = open_lake(str(tmp_path))
    for start in (0, 1, 0):
        number = append_to(at, "A", candles(1, start))
    ask(at, number, ("A", T0, T0 + 2 * MINUTE, "present"))
    compact(at, PROGRAM)
    before = at.read(RAW_CANDLES)
    for start in (2, 1, 3):
        append_to(at, "A", candles(1, start))
    compact(at, PROGRAM)
    (left,) = at.snapshot(RAW_CANDLES).files
    assert left.batches == (1, 6)
    rows = at.read(RAW_CANDLES).select("ts", BATCH).rows()
    found = sorted((int((ts - T0) / MINUTE), batch) for ts, batch in rows)
    assert found == [(0, 1), (0, 3), (1, 2), (1, 5), (2, 4), (3, 6)]
    assert past(at, 3).read(RAW_CANDLES).equals(before)
    assert past(at, 3).snapshot(RAW_CANDLES).rows == 3


@pytest.mark.slow
def test_compacted_files_hold_the_same_rows_and_no_build_load_or_batch_notices(
    staged: Staged, lake: Lake
) -> None:
    newest, before = newest_batch(lake), fingerprint(lake, 2)
    files = len(lake.snapshot(RAW_CANDLES).files)
    done = basislake(None, "maintain", "--lake", lake.uri, "--json")
    assert done.code == 0, done.err
    text = done.json["compacted"]
    left = lake.snapshot(RAW_CANDLES)
    assert text["files_after"] < text["files_before"]
    assert len(left.files) < files
    assert all(f.digest for f in left.files)
    assert fingerprint(lake, 2) == before
    assert fingerprint(lake, 2, verify=True) == before

    # No build is due, and none makes anything again.
    assert newest_batch(lake) == newest
    status = basislake(None, "status", "--lake", lake.uri, "--json").json
    assert status["behind"] == []
    versions = [lake.snapshot(table).version for table in CURATED]
    assert (built(lake).rebuilt, built(lake).raw_version) == (0, newest)
    assert [lake.snapshot(table).version for table in CURATED] == versions

    # As of every batch it is as it was.
    for stage in (staged.first, staged.last):
        assert is_same(content(past(lake, stage.batch)), stage.content)
    built(lake, as_of=staged.unbuilt.batch)
    built(lake)
    assert is_same(content(lake), staged.last.content, CURATED_NAMES)
    twice = [basislake(None, "maintain", "--lake", lake.uri, "--json") for _ in range(2)]
    # The rows of the builds above.
    assert [done.json["compacted"]["files_after"] for done in twice] == [1, 0]


def test_files_of_curated_tables_stay_within_their_month(lake: Lake) -> None:
    """So a build, a load and a fingerprint go on by month."""
    for table in (CANDLES, BASIS):
        before = {own.name: own.digest() for own in slices(lake.snapshot(table))}
        _split(lake, table)
        assert len(lake.snapshot(table).files) > len(before)
        compact(lake, PROGRAM)
        after = {own.name: own.known_digest for own in slices(lake.snapshot(table))}
        assert after == before
        assert len({name.partition("/")[2] for name in after}) > 1


def test_rows_of_builds_are_compacted_and_the_newest_is_still_found(lake: Lake) -> None:
    before, newest = lake.read(BUILDS), lake.state().build()
    assert len(lake.snapshot(BUILDS).files) == before.height == 2
    compact(lake, PROGRAM)
    assert len(lake.snapshot(BUILDS).files) < before.height
    assert lake.read(BUILDS).equals(before)
    assert lake.state().build() == newest == before.row(-1, named=True)


def test_a_build_after_a_compaction_makes_again_only_what_came_since(
    staged: Staged, lake: Lake, tmp_path: Path
) -> None:
    twin = staged.copy(tmp_path / "twin")
    name = min(lake.snapshot(RAW_CANDLES).by_partition())
    last = max(f.last for f in lake.snapshot(RAW_CANDLES).of(name) if f.last)
    for at in (lake, twin):
        number = append_to(at, name, candles(1, int((last - T0) / MINUTE) + 1))
        ask(at, number, (name, last + MINUTE, last + 2 * MINUTE, "present"))
    compact(lake, PROGRAM)
    done, expected = built(lake), built(twin)
    assert (done.rebuilt, done.periods) == (expected.rebuilt, expected.periods)
    assert 0 < done.periods < len(lake.read(PERIODS))
    assert is_same(content(lake), content(twin), CURATED_NAMES)


def test_explain_still_tells_by_which_call_a_compacted_candle_came(lake: Lake) -> None:
    row = lake.scan("basis").select("instrument", "ts").collect().sort("ts").row(-1)
    before = explain(State(lake), *row).sides[0].fetched
    minute = Span(row[1], row[1] + MINUTE)
    files = [file for file in lake.snapshot(RAW_CANDLES).of(row[0]) if file.may_hold(minute)]
    compact(lake, PROGRAM)
    assert not set(files) & set(lake.snapshot(RAW_CANDLES).of(row[0]))
    after = explain(State(lake), *row).sides[0].fetched
    assert before is not None
    assert before.call is not None
    assert after == before


def test_of_two_that_move_the_same_rows_one_has_to_start_over(tmp_path: Path) -> None:
    at = open_lake(str(tmp_path))
    for start in range(2):
        append_to(at, "A", candles(1, start))
        append_to(at, "B", candles(1, start))
    old = at.snapshot(RAW_CANDLES)
    whole = {name: at.write(RAW_CANDLES, old.rows_of(old.of(name)), name) for name in "AB"}

    def swap(name: str) -> None:
        at.commit(old, [whole[name]], LINEAGE, removing=old.of(name), is_change=False)

    swap("A")
    changes: list[Callable[[], object]] = [
        lambda: swap("A"),
        lambda: at.commit(old, [], LINEAGE, removing=old.of("A")),
        lambda: at.commit(old, [], LINEAGE, removing=old.files),
    ]
    for change in changes:
        with pytest.raises(ConflictError):
            change()
    assert at.snapshot(RAW_CANDLES).rows == 4
    # Who adds rows is in nobody's way.
    append_to(at, "A", candles(1, 9))
    swap("B")
    assert [len(own) for own in at.snapshot(RAW_CANDLES).by_partition().values()] == [2, 1]
    assert at.snapshot(RAW_CANDLES, old.version).scan().collect().height == 4


def test_a_damaged_file_is_not_put_together_with_sound_ones(tmp_path: Path) -> None:
    at = open_lake(str(tmp_path))
    for start in (1, 2):
        append_to(at, "A", candles(1, start))
    one, other = (tmp_path / "raw_candles" / file.path for file in at.snapshot(RAW_CANDLES).files)
    one.write_bytes(other.read_bytes())
    with pytest.raises(DamagedError, match="rows do not match the digest in its name"):
        compact(at, PROGRAM)
    assert len(at.snapshot(RAW_CANDLES).files) == 2


def _split(at: Lake, table: Table) -> None:
    """Make each slice of a table three files."""
    base = at.snapshot(table)
    added = [
        at.write(table, part, own.instrument)
        for own in slices(base)
        for part in (own.read().gather_every(3, first) for first in range(3))
    ]
    at.commit(base, added, LINEAGE, removing=base.files, is_change=False)
