"""The lake as it was: travelling, building from history, and what differs between versions."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable
from lake.versions import PastLake, pinned

import lake
from basislake import PROGRAM
from lake import Lake
from lake.errors import LakeError, UsageError
from lake.tables import CANDLES, CURATED, INSTRUMENTS, RAW_CANDLES, TABLES
from tests.market import basislake
from tests.staged import (
    CURATED_NAMES,
    Stage,
    Staged,
    built,
    content,
    is_same,
    raw_version,
)
from tests.strategies import candles
from transforms.build import SETTINGS

LINEAGE = {"program": "test 1", "made_from": {"instruments": 0}}


def newest(where: Lake) -> dict[str, int | None]:
    return {name: where.snapshot(table).version for name, table in TABLES.items()}


def test_the_stages_differ_in_every_way_that_the_tests_below_are_about(staged: Staged) -> None:
    first, unbuilt, last = staged.first, staged.unbuilt, staged.last
    assert first.version < unbuilt.version < last.version
    assert is_same(first.content, unbuilt.content, CURATED_NAMES)
    for table in ("instruments", "raw_candles", "candles", "basis", "coverage", "quality"):
        assert not first.content[table].equals(last.content[table]), table


@pytest.mark.parametrize("stage", ["first", "unbuilt", "last"])
def test_a_lake_opened_at_a_version_holds_what_it_held_then(staged: Staged, stage: str) -> None:
    then: Stage = getattr(staged, stage)
    past = lake.open(staged.where.uri, version=then.version)
    assert is_same(content(past), then.content)
    assert past.read(INSTRUMENTS).equals(then.content["instruments"])
    for table in ("raw_candles", "candles", "basis", "coverage"):
        counted = past.sql(f"SELECT count(*) AS n FROM {table}")["n"][0]
        assert counted == then.content[table].height


@pytest.mark.slow
def test_a_version_between_two_commits_of_a_backfill_has_the_rows_up_to_it(staged: Staged) -> None:
    whole = staged.last.content["raw_candles"]
    heights = []
    for version in range(staged.last.version + 1):
        past = lake.open(staged.where.uri, version=version)
        rows = past.scan("raw_candles").collect()
        heights.append(rows.height)
        assert rows.join(whole, on=["instrument", "ts"], how="anti").is_empty()
        present = past.scan("coverage").filter(status="present").collect()["minutes"].sum()
        assert present == rows.height
        assert len(past.history(RAW_CANDLES)) == version + 1
    assert heights == sorted(heights)
    assert heights[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
def test_a_build_from_an_old_version_gives_what_the_build_then_gave_and_the_next_brings_back(
    staged: Staged, tmp_path: Path, *, full: bool
) -> None:
    where = staged.copy(tmp_path)
    result = built(where, full=full, raw_version=staged.first.version)
    assert result.raw_version == staged.first.version
    assert is_same(content(where), staged.first.content, CURATED_NAMES)
    assert result.candles == staged.first.content["candles"].height
    versions = newest(where)
    assert built(where, raw_version=staged.first.version).rebuilt == 0
    assert newest(where) == versions
    result = built(where)
    assert result.raw_version == staged.last.version
    assert is_same(content(where), staged.last.content)


@pytest.mark.slow
def test_a_version_that_was_never_built_can_be_built_later(staged: Staged, tmp_path: Path) -> None:
    where = staged.copy(tmp_path)
    past = PastLake(where, staged.unbuilt.version)
    assert past.older() == dict.fromkeys(CURATED_NAMES, staged.first.version)
    built(where, raw_version=staged.unbuilt.version)
    past = PastLake(where, staged.unbuilt.version)
    assert past.older() == {}
    rows = past.scan("candles").collect().height + past.scan("quarantine").collect().height
    assert rows == staged.unbuilt.content["raw_candles"].height
    # Commits of later builds from older versions do not stand in for what others were made from.
    assert is_same(
        content(lake.open(where.uri, version=staged.first.version)), staged.first.content
    )
    assert is_same(content(lake.open(where.uri, version=staged.last.version)), staged.last.content)


def test_versions_that_another_program_committed_can_be_travelled_to(
    staged: Staged, tmp_path: Path
) -> None:
    where = staged.copy(tmp_path)
    for table in ("raw_candles", "candles"):
        DeltaTable(f"{where.uri}/{table}").optimize.compact()
    assert where.history(RAW_CANDLES)[0].lineage.get("made_from") is None
    past = PastLake(where, raw_version(where))
    assert past.version == staged.last.version + 1
    assert is_same(content(past), staged.last.content)
    # Where no commit says what it was made from, the instruments of now are all there is.
    bare = lake.open(str(tmp_path / "bare"))
    base = bare.snapshot(RAW_CANDLES)
    bare.commit(base, [bare.write(RAW_CANDLES, candles(1), "A")], {"program": "other"})
    bare.replace(bare.snapshot(INSTRUMENTS), where.read(INSTRUMENTS), LINEAGE)
    assert PastLake(bare, 1).read(INSTRUMENTS).equals(where.read(INSTRUMENTS))


def test_before_the_first_build_the_curated_tables_are_empty(staged: Staged) -> None:
    past = PastLake(staged.where, 0)
    assert past.older() == dict.fromkeys(CURATED_NAMES)
    assert all(past.scan(name).collect().is_empty() for name in CURATED_NAMES)
    assert past.sql("SELECT count(*) AS n FROM unmatched")["n"].to_list() == [0]


def test_a_build_from_the_empty_version_empties_the_curated_tables(
    staged: Staged, tmp_path: Path
) -> None:
    where = staged.copy(tmp_path)
    result = built(where, raw_version=0)
    assert (result.candles, result.basis_rows, result.quarantined, result.raw_version) == (
        0, 0, 0, 0,
    )  # fmt: skip
    built(where)
    assert is_same(content(where), staged.last.content)


def test_a_lake_opened_at_a_version_is_not_written(staged: Staged) -> None:
    past = lake.open(staged.where.uri, version=staged.first.version)
    before = sorted(Path(past.uri).rglob("*"))
    base = past.snapshot(INSTRUMENTS)
    for write in (
        lambda: past.write(RAW_CANDLES, candles(1), "A"),
        lambda: past.commit(base, [], LINEAGE),
        lambda: past.replace(base, INSTRUMENTS.empty(), LINEAGE),
    ):
        with pytest.raises(LakeError, match="to be read only; nothing was written"):
            write()
    assert sorted(Path(past.uri).rglob("*")) == before


def test_an_unknown_version_is_named_with_those_there_are(staged: Staged, tmp_path: Path) -> None:
    uri, last = staged.where.uri, staged.last.version
    with pytest.raises(UsageError, match=f"no version 99; there are 0 to {last}"):
        lake.open(uri, version=99)
    with pytest.raises(UsageError, match="no version -1"):
        lake.open(uri, version=-1)
    with pytest.raises(UsageError, match="nothing was fetched yet"):
        lake.open(str(tmp_path / "none"), version=0)
    versions = newest(staged.where)
    for verb in (
        ["sql", "SELECT 1", "--at", 99],
        ["fingerprint", "--at", 99],
        ["build", "--raw-version", 99],
        ["diff", 0, 99],
    ):
        done = basislake(None, *verb, "--lake", uri)
        assert (done.code, f"there are 0 to {last}" in done.err) == (2, True), verb
    for wrong in (["build", "--raw-version", "-1"], ["sql", "SELECT 1", "--at", "x"]):
        assert basislake(None, *wrong, "--lake", uri).code == 2
    assert newest(staged.where) == versions


def test_every_curated_commit_tells_raw_version_program_and_settings(staged: Staged) -> None:
    for table in CURATED:
        commits = staged.where.history(table)
        assert {c.lineage["made_from"]["raw_candles"] for c in commits} == {
            staged.first.version,
            staged.last.version,
        }
        for commit in commits:
            assert commit.lineage["program"] == PROGRAM
            assert commit.lineage["settings"] == SETTINGS


def test_tables_made_with_other_settings_are_made_anew(staged: Staged, tmp_path: Path) -> None:
    where = staged.copy(tmp_path)
    assert built(where).rebuilt == 0
    lineage = where.history(CANDLES)[0].lineage
    other = {**lineage, "settings": {**SETTINGS, "days_per_year": 366}}
    where.commit(where.snapshot(CANDLES), [], other, counting=["test"])
    result = built(where)
    held = len(where.snapshot(RAW_CANDLES).by_partition())
    assert (result.rebuilt, result.unchanged) == (held, 0)
    assert is_same(content(where), staged.last.content)


@pytest.mark.slow
def test_the_command_travels_too(staged: Staged, tmp_path: Path) -> None:
    where = staged.copy(tmp_path)
    query = "SELECT (SELECT count(*) FROM raw_candles) AS raw, (SELECT count(*) FROM basis) AS b"
    at = ("--lake", where.uri, "--at", staged.unbuilt.version)
    done = basislake(None, "sql", query, *at, "--format", "json")
    assert done.code == 0, done.err
    then = staged.unbuilt.content
    assert done.json == [{"raw": then["raw_candles"].height, "b": then["basis"].height}]
    assert f"quality: made from version {staged.first.version}" in done.err

    version = staged.first.version
    build = basislake(None, "build", "--lake", where.uri, "--raw-version", version, "--json")
    assert build.code == 0, build.err
    assert build.json["raw_version"] == version
    assert f"now those of version {version} of raw_candles" in build.err
    assert f"build --lake {where.uri}` brings that back" in build.err
    assert set(build.json) >= {
        "candles", "quarantined", "basis_rows", "unmatched", "rebuilt", "unchanged", "seconds",
    }  # fmt: skip
    assert is_same(content(where), staged.first.content, CURATED_NAMES)
    behind = basislake(None, "status", "--lake", where.uri, "--json").json["behind"]
    assert set(behind) == set(CURATED_NAMES)


def test_versions_are_kept_for_good(tmp_path: Path) -> None:
    """Delta Lake would forget them 30 days later, at the next checkpoint but one."""
    where = lake.open(str(tmp_path))
    log = tmp_path / "raw_candles" / "_delta_log"
    for number in range(8):
        base = where.snapshot(RAW_CANDLES)
        where.commit(base, [where.write(RAW_CANDLES, candles(1, number), "A")], LINEAGE)
        if number == 0:
            table = DeltaTable(str(tmp_path / "raw_candles"))
            assert table.metadata().configuration["delta.enableExpiredLogCleanup"] == "false"
            # As a lake was that another release made.
            table.alter.set_table_properties(
                {"delta.checkpointInterval": "2", "delta.enableExpiredLogCleanup": "true"}
            )
        long_ago = time.time() - 90 * 86_400
        for path in log.iterdir():
            os.utime(path, (long_ago, long_ago))
    assert list(log.glob("*.checkpoint.parquet"))
    assert [commit.version for commit in where.history(RAW_CANDLES)][-1] == 0
    assert lake.open(where.uri, version=1).scan("raw_candles").collect().height == 1


@pytest.mark.slow
def test_a_log_read_while_another_writes_gives_every_commit_its_own_number(tmp_path: Path) -> None:
    where = lake.open(str(tmp_path))
    base = where.snapshot(RAW_CANDLES)
    where.commit(base, [where.write(RAW_CANDLES, candles(1), "A")], {"number": 1})

    def write() -> None:
        for number in range(2, 40):
            base = where.snapshot(RAW_CANDLES)
            where.commit(base, [], {"number": number}, counting=["A"])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            for commit in where.history(RAW_CANDLES):
                assert commit.version in {commit.lineage["number"], 0}
        writing.result()
    assert raw_version(where) == 39


def test_a_pinned_lake_stays_as_it_was(staged: Staged, tmp_path: Path) -> None:
    where = staged.copy(tmp_path)
    still = pinned(where)
    built(where, raw_version=staged.first.version)
    where.commit(where.snapshot(RAW_CANDLES), [where.write(RAW_CANDLES, candles(1), "A")], LINEAGE)
    assert still.version == staged.last.version
    assert is_same(content(still), staged.last.content)
    assert [c.version for c in still.history(RAW_CANDLES, 1)] == [staged.last.version]
    bare = pinned(lake.open(str(tmp_path / "bare")))
    assert bare.version is None
    with pytest.raises(LakeError, match="There is no lake at"):
        bare.scan("basis")
    assert bare.history(RAW_CANDLES) == []
