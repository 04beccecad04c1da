"""Which small files become one, and that nobody notices but by their number."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lake
from basislake import PROGRAM
from basislake.explain import explain
from lake import Lake
from lake.compaction import compact, groups
from lake.errors import ConflictError, LakeError
from lake.files import DataFile
from lake.fingerprint import fingerprint
from lake.pieces import Piece, expand, pieces_of
from lake.spans import MINUTE
from lake.tables import CURATED, RAW_CANDLES
from tests.lakes import LINEAGE
from tests.market import basislake
from tests.staged import CURATED_NAMES, Staged, built, content, is_same, raw_version

T0 = datetime(2024, 1, 1, tzinfo=UTC)


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


def test_a_file_compacted_twice_stands_for_what_was_appended(tmp_path: Path) -> None:
    at = lake.open(str(tmp_path))
    for start in range(2):
        _append(at, "A", start)
    appended = expand(at.snapshot(RAW_CANDLES).files, {})
    compact(at, RAW_CANDLES, PROGRAM)
    for start in range(2, 4):
        _append(at, "A", start)
    later = {
        p
        for p in expand(at.snapshot(RAW_CANDLES).files, {})
        if p.first and p.first >= T0 + 2 * MINUTE
    }
    compact(at, RAW_CANDLES, PROGRAM)
    (left,) = at.snapshot(RAW_CANDLES).files
    assert left.rows == 4
    known = pieces_of(at.history(RAW_CANDLES))
    assert set(expand([left], known)) == {*appended, *later}
    assert expand([file(1, 0)], known) == (Piece("0", T0, T0),)


@pytest.mark.slow
def test_compacted_files_hold_the_same_rows_and_no_build_load_or_version_notices(
    staged: Staged, tmp_path: Path
) -> None:
    where = staged.copy(tmp_path)
    newest, before = raw_version(where), fingerprint(where, 2)
    files = len(where.snapshot(RAW_CANDLES).files)
    done = basislake(None, "maintain", "--lake", tmp_path / "copy", "--json")
    assert done.code == 0, done.err
    told = done.json["compacted"]
    left = where.snapshot(RAW_CANDLES)
    assert len(left.files) == files - told["files_before"] + told["files_after"] < files
    assert all(f.digest for f in left.files)
    assert fingerprint(where, 2) == before
    assert fingerprint(where, 2, verify=True) == before

    # No build is due, and none makes anything anew.
    assert raw_version(where) > newest
    status = basislake(None, "status", "--lake", tmp_path / "copy", "--json").json
    assert status["behind"] == []
    versions = [where.snapshot(table).version for table in CURATED]
    assert (built(where).rebuilt, built(where).raw_version) == (0, raw_version(where))
    assert [where.snapshot(table).version for table in CURATED] == versions

    # Every version is as it was, the compacted one as the one before it.
    for stage in (staged.first, staged.last):
        assert is_same(content(lake.open(where.uri, version=stage.version)), stage.content)
    compacted = lake.open(where.uri, version=raw_version(where))
    assert is_same(content(compacted), staged.last.content)
    assert compacted.older() == {}  # type: ignore[attr-defined]
    built(where, raw_version=staged.unbuilt.version)
    built(where)
    assert is_same(content(where), staged.last.content, CURATED_NAMES)
    again = basislake(None, "maintain", "--lake", tmp_path / "copy", "--json").json
    assert again["compacted"]["files_before"] == 0


def test_a_build_after_a_compaction_makes_anew_only_what_came_since(
    staged: Staged, tmp_path: Path
) -> None:
    where = staged.copy(tmp_path)
    name = min(where.snapshot(RAW_CANDLES).by_partition())
    last = max(f.last for f in where.snapshot(RAW_CANDLES).of(name) if f.last)
    _append(where, name, int((last - T0) / MINUTE) + 1)
    compact(where, RAW_CANDLES, PROGRAM)
    twin = staged.copy(tmp_path / "twin")
    _append(twin, name, int((last - T0) / MINUTE) + 1)
    assert built(where).rebuilt == built(twin).rebuilt > 0
    assert is_same(content(where), content(twin), CURATED_NAMES)


def test_explain_still_tells_by_which_call_a_compacted_candle_came(
    staged: Staged, tmp_path: Path
) -> None:
    where = staged.copy(tmp_path)
    row = where.scan("basis").select("instrument", "ts").collect().row(0)
    before = explain(where, *row).sides[0].fetched
    files = where.snapshot(RAW_CANDLES).of(row[0])
    compact(where, RAW_CANDLES, PROGRAM)
    assert not set(files) & set(where.snapshot(RAW_CANDLES).of(row[0]))
    after = explain(where, *row).sides[0].fetched
    assert before is not None
    assert before.call is not None
    assert after == before


def test_of_two_that_change_one_partition_one_has_to_start_over(tmp_path: Path) -> None:
    at = lake.open(str(tmp_path))
    for start in range(2):
        _append(at, "A", start)
        _append(at, "B", start)
    old = at.snapshot(RAW_CANDLES)
    whole = at.write(RAW_CANDLES, old.scan("A").collect(), "A")
    at.swap(old, old.of("A"), [whole], LINEAGE)
    changes: list[Callable[[], int]] = [
        lambda: at.swap(old, old.of("A"), [whole], LINEAGE),
        lambda: at.commit(old, [], LINEAGE, replacing=["A"]),
        lambda: at.commit(old, [at.write(RAW_CANDLES, _rows(9), "A")], LINEAGE, counting=["A"]),
    ]
    for change in changes:
        with pytest.raises(ConflictError):
            change()
    assert at.snapshot(RAW_CANDLES).rows == 4
    at.swap(old, old.of("B"), [at.write(RAW_CANDLES, old.scan("B").collect(), "B")], LINEAGE)
    assert [len(own) for own in at.snapshot(RAW_CANDLES).by_partition().values()] == [1, 1]
    assert at.snapshot(RAW_CANDLES, old.version).scan().collect().height == 4


def test_a_minute_that_is_there_twice_is_not_put_together(tmp_path: Path) -> None:
    at = lake.open(str(tmp_path))
    for _ in range(2):
        base = at.snapshot(RAW_CANDLES)
        at.commit(base, [at.write(RAW_CANDLES, _rows(1), "A")], LINEAGE)
    with pytest.raises(LakeError, match="A should hold 2 rows of as many minutes in 2 files"):
        compact(at, RAW_CANDLES, PROGRAM)
    assert len(at.snapshot(RAW_CANDLES).files) == 2


def _rows(start: int) -> pl.DataFrame:
    prices = {name: [1.0] for name in ("open", "high", "low", "close")}
    ts = pl.Series([T0 + timedelta(minutes=start)], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"ts": ts, **prices, "volume": [0.0], "cost": [0.0]})


def _append(at: Lake, name: str, start: int) -> None:
    base = at.snapshot(RAW_CANDLES)
    at.commit(base, [at.write(RAW_CANDLES, _rows(start), name)], LINEAGE, counting=[name])
