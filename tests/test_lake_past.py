"""Raw candles whose small files are given up: every version is read as it was."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake.exceptions import DeltaError
from hypothesis import example, given
from hypothesis import strategies as st

import lake
from basislake import PROGRAM
from lake import Lake
from lake.actions import KEPT_FROM
from lake.compaction import compact
from lake.copying import copy
from lake.errors import LakeError
from lake.fingerprint import fingerprint
from lake.pieces import holders
from lake.retention import GivenUp, give_up
from lake.rows import read_rows
from lake.snapshot import Snapshot
from lake.spans import MINUTE, Span
from lake.tables import RAW_CANDLES
from lake.vacuum import vacuum
from lake.versions import PastLake
from tests.lakes import LINEAGE
from tests.object_store import ObjectStore
from tests.profiles import examples

T0 = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Rows = frozenset[tuple[str, int]]


def append(at: Lake, name: str, minutes: Sequence[int]) -> None:
    """One commit of candles at some minutes; a candle's prices tell its minute."""
    close = [float(minute) for minute in minutes]
    frame = pl.DataFrame(
        {
            "ts": [T0 + minute * MINUTE for minute in minutes],
            **dict.fromkeys(("open", "high", "low", "close"), close),
            "volume": 0.0,
            "cost": None,
        },
        schema=RAW_CANDLES.stored.polars_schema,
    )
    base = at.snapshot(RAW_CANDLES)
    at.commit(base, [at.write(RAW_CANDLES, frame, name)], LINEAGE, counting=[name])


def appended(uri: str, minutes: int, options: Mapping[str, str] | None = None) -> Lake:
    """A lake of one instrument, to which a commit brought each minute."""
    at = lake.open(uri, options)
    for minute in range(minutes):
        append(at, "A", [minute])
    return at


def relieve(at: Lake) -> GivenUp:
    """As hours later, when every replaced version is old."""
    return give_up(at, HOUR, PROGRAM, now=lambda: datetime.now(UTC) + 5 * HOUR)


def rows_of(frame: pl.DataFrame) -> Rows:
    assert (frame["close"] == (frame["ts"] - T0).dt.total_minutes()).all()
    found = frame.select("instrument", pl.col("close").cast(pl.Int64)).rows()
    assert len(set(found)) == len(found)
    return frozenset(found)


def newest(at: Lake) -> int:
    return at.snapshot(RAW_CANDLES).version or 0


def on_disk(at: Lake) -> set[str]:
    folder = Path(at.uri) / RAW_CANDLES.name
    return {str(p.relative_to(folder)) for p in folder.glob("instrument=*/*.parquet")}


def all_ways(at: Lake, version: int) -> Iterator[Rows]:
    """The rows of a version, by each way to read them."""
    past = lake.open(at.uri, at.options, version=version)
    snapshot = past.snapshot(RAW_CANDLES)
    yield rows_of(snapshot.scan().collect())
    yield rows_of(past.sql("SELECT * FROM raw_candles"))
    parts = [rows_of(snapshot.scan(name).collect()) for name in snapshot.by_partition()]
    yield frozenset(row for part in parts for row in part)
    read: set[tuple[str, int]] = set()
    for name, files in snapshot.by_partition().items():
        columns = RAW_CANDLES.stored.names
        found = read_rows(RAW_CANDLES, snapshot.uri, snapshot.located(files), at.options, columns)
        read |= rows_of(found.with_columns(instrument=pl.lit(name)))
    yield frozenset(read)


STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.sets(st.integers(0, 25), min_size=1, max_size=6).map(sorted),
    ),
    st.sampled_from(["compact", "give up"]),
    st.integers(1, 20),
)


def after(at: Lake, step: tuple[str, list[int]] | str | int, known: dict[int, Rows]) -> Rows:
    """Take a step and return the rows then: candles to append, upkeep, or a version that another
    program brings back, which it refuses to do where files of it are gone.
    """
    stored = known[max(known)]
    if isinstance(step, int):
        with suppress(DeltaError):
            at.snapshot(RAW_CANDLES).opened.restore(step)
            return known[step]
    elif step == "compact":
        compact(at, RAW_CANDLES, PROGRAM)
    elif step == "give up":
        relieve(at)
    elif not isinstance(step, str):
        name, minutes = step
        if fresh := [minute for minute in minutes if (name, minute) not in stored]:
            append(at, name, fresh)
        return stored | {(name, minute) for minute in fresh}
    return stored


@pytest.mark.slow
@given(st.lists(STEPS, max_size=14))
@example([("A", [1]), "compact", 2, "give up", "compact", "give up"])
@examples(8)
def test_no_version_ever_loses_or_gains_a_row(
    steps: list[tuple[str, list[int]] | str | int],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        at, backup = lake.open(f"{folder}/lake"), lake.open(f"{folder}/backup")
        append(at, "A", [0])
        known: dict[int, Rows] = {1: frozenset({("A", 0)})}
        for step in [*steps, "compact", "give up"]:
            stored = after(at, step, known)
            known |= dict.fromkeys(range(max(known) + 1, newest(at) + 1), stored)
        assert vacuum(at, now=lambda: datetime.now(UTC) + 720 * HOUR).files == 0
        assert copy(at, backup, 1).is_equal
        assert on_disk(backup) == on_disk(at)
        for version, expected in known.items():
            for found in all_ways(at, version):
                assert found == expected, version
            for each in (at, backup):
                assert not fingerprint(PastLake(each, version), 1, verify=True).damaged


def test_minutes_that_were_put_together_leave_one_file_an_instrument_for_all_versions(
    tmp_path: Path,
) -> None:
    at = lake.open(str(tmp_path))
    for minute in range(8):
        append(at, "A", [minute])
        if minute % 4 == 3:
            compact(at, RAW_CANDLES, PROGRAM)
            relieve(at)
    append(at, "A", [8])
    present = {file.path for file in at.snapshot(RAW_CANDLES).files}
    assert on_disk(at) == present
    assert len(present) == 2
    # The marks and compactions are versions too.
    heights = [at.scan("raw_candles", v).collect().height for v in range(1, newest(at) + 1)]
    assert heights == [1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 8, 8, 9]
    assert relieve(at) == GivenUp()
    assert vacuum(at, now=lambda: datetime.now(UTC) + 720 * HOUR).files == 0


class Busy(Lake):
    """A lake to which somebody else commits right after each commit of ours."""

    def commit(self, base: Snapshot, *args: Any, **options: Any) -> int:  # noqa: ANN401
        super().commit(base, *args, **options)
        append(Lake(self.uri), "B", [base.version or 0])
        return newest(Lake(self.uri))


def test_a_commit_of_another_beside_the_mark_keeps_nothing_from_being_removed(
    tmp_path: Path,
) -> None:
    at = appended(str(tmp_path), 4)
    compact(at, RAW_CANDLES, PROGRAM)
    assert relieve(Busy(at.uri)).files == 4
    assert on_disk(at) == {file.path for file in at.snapshot(RAW_CANDLES).files}


def test_files_that_share_times_with_others_stay(tmp_path: Path) -> None:
    at = lake.open(str(tmp_path))
    append(at, "A", [0, 1])
    append(at, "A", [2, 4])
    append(at, "A", [3])
    append(at, "A", [5])
    before = on_disk(at)
    shared = {f.path for f in at.snapshot(RAW_CANDLES).files if f.first and f.first > T0 + MINUTE}
    compact(at, RAW_CANDLES, PROGRAM)
    assert relieve(at).files == 2
    assert len(on_disk(at) & before) == 2
    assert on_disk(at) & before < shared
    assert at.scan("raw_candles", 2).collect()["close"].sort().to_list() == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("spans", "apart"),
    [
        ([(0, 0), (1, 1), (2, 2)], [0, 1, 2]),
        ([(0, 4), (2, 2), (5, 6)], [2]),
        ([(0, 9), (2, 3), (4, 5), (9, 12)], []),
        ([(0, 1), (1, 2), (3, 4)], [2]),
        ([(5, 6), (0, 1)], [0, 1]),
        ([(0, 1), (None, None)], []),
    ],
)
def test_which_files_can_be_told_apart_in_the_one_that_holds_their_rows(
    spans: list[tuple[int | None, int | None]], apart: list[int]
) -> None:
    def time(minute: int | None) -> str | None:
        return None if minute is None else (T0 + minute * MINUTE).isoformat()

    group = [[str(n), time(first), time(last)] for n, (first, last) in enumerate(spans)]
    assert holders([{"compacted": {"whole": group}}]) == {str(n): "whole" for n in apart}


def test_rows_of_some_minutes_only_are_read_out_of_a_larger_file(tmp_path: Path) -> None:
    at = appended(str(tmp_path), 6)
    compact(at, RAW_CANDLES, PROGRAM)
    relieve(at)
    snapshot = at.snapshot(RAW_CANDLES, 4)
    files = snapshot.located(snapshot.files)
    assert all(file.within for file in files)
    spans = [Span(T0, T0 + MINUTE), Span(T0 + 3 * MINUTE, T0 + 6 * MINUTE)]
    found = read_rows(RAW_CANDLES, snapshot.uri, files, {}, ("ts", "close"), spans)
    assert found["close"].to_list() == [0, 3]


def test_a_kill_between_mark_and_removal_leaves_files_that_a_vacuum_removes(
    tmp_path: Path,
) -> None:
    at = appended(str(tmp_path), 4)
    compact(at, RAW_CANDLES, PROGRAM)
    base = at.snapshot(RAW_CANDLES)
    at.commit(base, [], {"upkeep": "given up"}, marks={KEPT_FROM: base.version or 0})
    assert len(on_disk(at)) == 5
    assert at.scan("raw_candles", 2).collect().height == 2
    assert vacuum(at, now=lambda: datetime.now(UTC) + 720 * HOUR).files == 4
    assert at.scan("raw_candles", 2).collect().height == 2


def test_a_file_that_another_program_put_together_keeps_what_it_replaced(tmp_path: Path) -> None:
    at = appended(str(tmp_path), 3)
    at.snapshot(RAW_CANDLES).opened.optimize.compact()
    compact(at, RAW_CANDLES, PROGRAM)
    assert relieve(at).files == 0
    assert at.scan("raw_candles", 2).collect().height == 2


def test_small_files_that_another_program_brought_back_stay(tmp_path: Path) -> None:
    at = appended(str(tmp_path), 3)
    version = newest(at)
    compact(at, RAW_CANDLES, PROGRAM)
    at.snapshot(RAW_CANDLES).opened.restore(version)
    append(at, "A", [3])
    # Twice, so that the mark is beyond the commit that brought them back.
    for _ in range(2):
        relieve(at)
    assert vacuum(at, now=lambda: datetime.now(UTC) + 720 * HOUR).files == 0
    assert at.scan("raw_candles").collect().height == 4
    for past in (2, version):
        assert at.scan("raw_candles", past).collect().height == past


def test_a_copy_holds_every_version_by_the_files_that_are_left(tmp_path: Path) -> None:
    at = appended(str(tmp_path / "lake"), 4)
    early, late = (lake.open(str(tmp_path / name)) for name in ("early", "late"))
    copy(at, early, 1)
    compact(at, RAW_CANDLES, PROGRAM)
    relieve(at)
    append(at, "A", [4])
    for target in (early, late):
        assert copy(at, target, 1).is_equal
        for version in range(1, newest(at) + 1):
            expected = at.scan("raw_candles", version).collect()
            assert target.scan("raw_candles", version).collect().equals(expected)
    assert on_disk(late) == on_disk(at)
    shutil.rmtree(at.uri)


@pytest.mark.slow
def test_in_a_store_too(object_store: ObjectStore) -> None:
    at = appended(object_store.uri("past"), 4, object_store.options)
    append(at, "B", [7])
    compact(at, RAW_CANDLES, PROGRAM)
    append(at, "A", [4])
    assert relieve(at).files == 4
    every = {1: {0}, 3: {0, 1, 2}, 5: {0, 1, 2, 3, 7}, 7: {0, 1, 2, 3, 4, 7}}
    for version, minutes in every.items():
        for found in all_ways(at, version):
            assert {minute for _, minute in found} == minutes


def test_a_lost_file_is_an_error_not_a_version_given_up(tmp_path: Path) -> None:
    at = appended(str(tmp_path), 4)
    compact(at, RAW_CANDLES, PROGRAM)
    relieve(at)
    for path in Path(at.uri).rglob("*.parquet"):
        path.unlink()
    with pytest.raises(LakeError, match="raw_candles cannot be read"):
        at.snapshot(RAW_CANDLES, 2).read()


@pytest.mark.parametrize("is_there", [True, False])
def test_small_files_stay_where_the_larger_one_is_damaged_and_its_name_is_told(
    tmp_path: Path, *, is_there: bool
) -> None:
    at = appended(str(tmp_path), 4)
    small = on_disk(at)
    compact(at, RAW_CANDLES, PROGRAM)
    (whole,) = (Path(at.uri) / RAW_CANDLES.name / f.path for f in at.snapshot(RAW_CANDLES).files)
    data = whole.read_bytes()
    whole.unlink()
    if is_there:
        # As a power cut leaves it.
        whole.write_bytes(b"")
    with pytest.raises(LakeError, match=f"{whole.name} is damaged or not there"):
        relieve(at)
    assert small <= on_disk(at)
    assert at.snapshot(RAW_CANDLES).counter(KEPT_FROM) == 0
    assert at.scan("raw_candles", 4).collect().height == 4
    whole.write_bytes(data)
    assert relieve(at).files == 4


def test_a_small_file_that_holds_other_rows_than_its_name_says_is_not_put_together(
    tmp_path: Path,
) -> None:
    at = appended(str(tmp_path), 4)
    folder, bad = Path(at.uri) / RAW_CANDLES.name, at.snapshot(RAW_CANDLES).files[1].path
    rows = pl.read_parquet(folder / bad, hive_partitioning=False)
    rows.with_columns(pl.lit(7.0).alias("close")).write_parquet(folder / bad)
    with pytest.raises(LakeError, match=f"{bad} holds other rows than its name says"):
        compact(at, RAW_CANDLES, PROGRAM)
    assert fingerprint(at, 1, verify=True).damaged == (f"raw_candles/{bad}",)
    assert len(at.snapshot(RAW_CANDLES).files) == 4
