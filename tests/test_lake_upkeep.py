"""Checkpoints, what a vacuum may remove, and the schema that tables are marked with."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

import lake
from basislake import PROGRAM
from lake import Lake, log, schema
from lake.compaction import compact
from lake.errors import LakeError, UsageError
from lake.tables import RAW_CANDLES
from lake.upkeep import checkpoint, outdated, upgrade
from lake.vacuum import SAFE_AGE, vacuum
from tests.lakes import LINEAGE, candle, instrument, lake_of
from tests.market import basislake
from tests.object_store import ObjectStore

T0 = datetime(2024, 1, 1, tzinfo=UTC)
OLD = time.time() - 10 * 86_400


@pytest.fixture
def at(tmp_path: Path) -> Lake:
    return lake.open(str(tmp_path / "lake"))


def append(at: Lake, minute: int, name: str = "A") -> int:
    row = {k: v for k, v in candle(name, T0, 1.0).items() if k in RAW_CANDLES.names}
    frame = pl.DataFrame([{**row, "ts": T0 + timedelta(minutes=minute)}])
    base = at.snapshot(RAW_CANDLES)
    return at.commit(base, [at.write(RAW_CANDLES, frame, name)], LINEAGE, counting=[name])


def marked(at: Lake) -> int:
    return schema.version_of(at.snapshot(RAW_CANDLES).opened.metadata().configuration)


def parquet(at: Lake) -> list[Path]:
    found = Path(at.uri).rglob("*.parquet")
    return sorted(path for path in found if "_delta_log" not in path.parts)


def age(paths: list[Path]) -> None:
    for path in paths:
        os.utime(path, (OLD, OLD))


def test_a_long_log_gets_a_checkpoint_and_every_version_counter_and_commit_is_as_before(
    at: Lake,
) -> None:
    for minute in range(12):
        append(at, minute)
    commits = at.history(RAW_CANDLES)
    assert checkpoint(at) == ["raw_candles"]
    assert checkpoint(at) == []
    assert [path.name for path in _log(at).glob("*.parquet")] == [f"{12:020}.checkpoint.parquet"]
    assert at.history(RAW_CANDLES) == commits
    assert [at.snapshot(RAW_CANDLES, version).rows for version in range(13)] == list(range(13))
    assert at.snapshot(RAW_CANDLES).counter("A") == 12
    assert append(at, 12) == 13


def test_a_vacuum_removes_what_no_version_names_and_nothing_else(at: Lake) -> None:
    for minute in range(4):
        append(at, minute)
    compact(at, RAW_CANDLES, PROGRAM)
    needed = parquet(at)
    at.write(RAW_CANDLES, at.read(RAW_CANDLES), "A")
    orphan = next(path for path in parquet(at) if path not in needed)
    age(parquet(at))
    at.write(RAW_CANDLES, at.read(RAW_CANDLES), "A")
    young = next(path for path in parquet(at) if path not in (*needed, orphan))

    assert vacuum(at, dry=True) == vacuum(at, dry=True)
    assert orphan.exists()
    size = orphan.stat().st_size
    done = vacuum(at)
    assert (done.files, done.bytes, done.young) == (1, size, 1)
    assert parquet(at) == sorted([*needed, young])
    assert [at.snapshot(RAW_CANDLES, v).scan().collect().height for v in range(6)] == [
        0, 1, 2, 3, 4, 4,
    ]  # fmt: skip


@pytest.mark.parametrize(("is_old", "told"), [(True, (1, 5, 0)), (False, (0, 0, 1))])
def test_a_vacuum_removes_what_a_killed_writer_had_half_written(
    at: Lake, told: tuple[int, int, int], *, is_old: bool
) -> None:
    append(at, 0)
    (whole,) = parquet(at)
    # As the library calls it until it is whole; a store that lists the folder leaves it out.
    half = whole.with_name(f"{whole.stem}-half.parquet#1")
    half.write_bytes(b"begun")
    age([whole, *([half] if is_old else [])])
    assert vacuum(at, dry=True) == vacuum(at, dry=True)
    assert half.exists()
    done = vacuum(at)
    assert (done.files, done.bytes, done.young) == told
    assert half.exists() != is_old
    assert at.read(RAW_CANDLES).height == 1


def test_a_vacuum_below_the_safe_age_needs_to_be_told_twice(at: Lake) -> None:
    append(at, 0)
    at.write(RAW_CANDLES, at.read(RAW_CANDLES), "A")
    with pytest.raises(UsageError, match="--unsafe removes them"):
        vacuum(at, SAFE_AGE - timedelta(seconds=1))
    lake_of(Path(at.uri), instruments=[instrument("A")])
    done = basislake(None, "maintain", "--lake", at.uri, "--older-than", "1")
    assert (done.code, len(parquet(at))) == (2, 3)
    done = basislake(
        None, "maintain", "--lake", at.uri, "--older-than", "0", "--unsafe", "--dry-run", "--json"
    )
    assert (done.json["vacuumed"]["files"], len(parquet(at))) == (1, 3)
    done = basislake(None, "maintain", "--lake", at.uri, "--older-than", "0", "--unsafe", "--json")
    assert (done.json["vacuumed"]["files"], len(parquet(at))) == (1, 2)


def test_a_log_that_lacks_a_commit_keeps_every_file(at: Lake) -> None:
    for minute in range(12):
        append(at, minute)
    checkpoint(at)
    at.write(RAW_CANDLES, at.read(RAW_CANDLES), "A")
    age(parquet(at))
    (_log(at) / f"{3:020}.json").unlink()
    kept = parquet(at)
    with pytest.raises(LakeError, match="lacks version 3"):
        vacuum(at)
    assert parquet(at) == kept


@pytest.mark.slow
def test_a_lake_in_a_store_is_maintained_too(object_store: ObjectStore) -> None:
    at = lake.open(object_store.uri("upkeep"), object_store.options)
    for minute in range(12):
        append(at, minute)
    assert checkpoint(at) == ["raw_candles"]
    assert compact(at, RAW_CANDLES, PROGRAM).files_before == 12
    at.write(RAW_CANDLES, at.read(RAW_CANDLES), "A")
    assert vacuum(at).young == 1
    done = vacuum(at, timedelta(0), unsafe=True, now=lambda: datetime.now(UTC) + SAFE_AGE)
    assert (done.files, done.young) == (1, 0)
    assert [at.snapshot(RAW_CANDLES, v).scan().collect().height for v in (5, 13)] == [5, 12]


def test_tables_are_marked_when_they_are_made_and_older_ones_by_an_upgrade(at: Lake) -> None:
    append(at, 0)
    assert marked(at) == schema.VERSION
    assert outdated(at) == []
    _unmark(at)
    lake_of(Path(at.uri), instruments=[instrument("A")])
    assert outdated(at) == ["raw_candles"]
    before = at.read(RAW_CANDLES)
    append(at, 1)
    done = basislake(None, "maintain", "--lake", at.uri, "--json")
    assert done.json["upgraded"] == ["raw_candles"]
    assert outdated(at) == upgrade(at, PROGRAM) == []
    assert marked(at) == schema.VERSION
    assert at.history(RAW_CANDLES)[0].is_upkeep
    assert at.read(RAW_CANDLES).height == before.height + 1
    assert at.snapshot(RAW_CANDLES).counter("A") >= 2


KEPT = "delta.deletedFileRetentionDuration"


def test_a_table_that_lacks_a_property_gets_it_by_an_upgrade_and_keeps_what_was_chosen(
    at: Lake,
) -> None:
    for minute in range(3):
        append(at, minute)
    lake_of(Path(at.uri), instruments=[instrument("A")], coverage=[])
    _remove(at, f'"{KEPT}":"{schema.PROPERTIES[KEPT]}"')
    DeltaTable(f"{at.uri}/coverage").alter.set_table_properties({KEPT: "interval 1 week"})
    before = at.read(RAW_CANDLES)
    assert outdated(at) == ["raw_candles"]
    assert upgrade(at, PROGRAM) == ["raw_candles"]
    assert outdated(at) == upgrade(at, PROGRAM) == []
    newest = at.history(RAW_CANDLES)[0]
    assert newest.is_upkeep
    assert newest.lineage[log.UPKEEP] == f"marked with {KEPT}"
    assert _properties(at, "raw_candles") == schema.PROPERTIES
    assert _properties(at, "coverage")[KEPT] == "interval 1 week"
    assert at.read(RAW_CANDLES).equals(before)
    assert (at.snapshot(RAW_CANDLES, 2).rows, at.snapshot(RAW_CANDLES).counter("A")) == (2, 3)


@pytest.mark.parametrize(("hours", "named"), [(2, 12), (4, 0)])
def test_a_checkpoint_names_what_was_compacted_within_three_hours_and_no_more(
    at: Lake, hours: int, named: int
) -> None:
    for minute in range(12):
        append(at, minute)
    compact(at, RAW_CANDLES, PROGRAM)
    now_ms = time.time_ns() // 1_000_000
    path = _log(at) / f"{13:020}.json"
    text, count = re.subn(
        r'"deletionTimestamp":\d+',
        f'"deletionTimestamp":{now_ms - hours * 3_600_000}',
        path.read_text(),
    )
    assert count == 12
    path.write_text(text)
    assert checkpoint(at) == ["raw_candles"]
    written = pl.read_parquet(_log(at) / f"{13:020}.checkpoint.parquet", columns=["remove"])
    assert written["remove"].struct.field("path").drop_nulls().len() == named
    assert [at.snapshot(RAW_CANDLES, v).scan().collect().height for v in range(14)] == [
        *range(13), 12,
    ]  # fmt: skip


@pytest.mark.parametrize("mark", ["2", "99", "next"])
def test_a_table_of_a_newer_basislake_is_refused_and_not_changed(at: Lake, mark: str) -> None:
    append(at, 0)
    _mark(at, mark)
    version = DeltaTable(f"{at.uri}/raw_candles").version()
    for use in (
        lambda: at.snapshot(RAW_CANDLES),
        lambda: at.sql("SELECT 1"),
        lambda: append(at, 1),
        lambda: upgrade(at, PROGRAM),
        lambda: vacuum(at),
    ):
        with pytest.raises(LakeError, match=f"made by a newer basislake .schema {mark}; this one"):
            use()
    assert DeltaTable(f"{at.uri}/raw_candles").version() == version


def _mark(at: Lake, mark: str) -> None:
    table = DeltaTable(f"{at.uri}/raw_candles")
    table.alter.set_table_properties({"basislake.schema": mark}, raise_if_not_exists=False)


def _unmark(at: Lake) -> None:
    """Make the table what one was before there were marks."""
    _remove(at, f'"basislake.schema":"{schema.VERSION}"')


def _remove(at: Lake, held: str) -> None:
    """Make the table what one was before there was a property."""
    path = _log(at) / f"{0:020}.json"
    text = path.read_text()
    assert held in text
    path.write_text(text.replace(f",{held}", "").replace(f"{held},", ""))


def _log(at: Lake) -> Path:
    return Path(at.uri) / "raw_candles" / "_delta_log"


def _properties(at: Lake, name: str) -> dict[str, str]:
    return DeltaTable(f"{at.uri}/{name}").metadata().configuration
