"""Old builds that are given up: what goes, what stays, what readers and verbs are told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lake
from basislake import PROGRAM
from lake import Lake, log
from lake.actions import KEPT_FROM, Actions
from lake.copying import copy
from lake.errors import LakeError, UsageError
from lake.fingerprint import fingerprint
from lake.log import Commit, upkept
from lake.retention import LEAST_KEPT, GivenUp, give_up, kept_from, needed_by, unneeded
from lake.tables import BASIS, CANDLES, COVERAGE, CURATED, RAW_CANDLES, TABLES, Table
from lake.vacuum import vacuum
from lake.versions import PastLake, place
from tests.market import basislake
from tests.staged import TOLD, Staged, built, content, files, is_same, later, relieve

HOUR = timedelta(hours=1)
T0 = datetime(2024, 1, 1, tzinfo=UTC)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(-5, 60))
def test_every_version_that_was_the_newest_since_a_time_is_kept(
    minutes: list[int], until: int
) -> None:
    times = [T0 + minute * HOUR for minute in sorted(minutes)]
    commits = [Commit(version, at, {}) for version, at in enumerate(times)]
    first = kept_from(commits, T0 + until * HOUR)
    for version, at in enumerate(times):
        replaced = times[version + 1] if version + 1 < len(times) else None
        was_newest_since = replaced is None or replaced > T0 + until * HOUR
        assert (version >= first) == was_newest_since, (version, at)


def test_replaced_builds_go_with_their_files_and_all_else_stays(
    staged: Staged, where: Lake
) -> None:
    built(where, full=True)
    before = {name: files(where, name) for name in TABLES}
    expected = content(where)
    done = relieve(where)
    assert done.versions > 0
    assert is_same(content(where), expected)
    gone = 0
    for table in (COVERAGE, *CURATED):
        needed = {file.path for file in where.snapshot(table).files}
        if table is not COVERAGE:
            assert files(where, table.name) == needed
        gone += len(before[table.name] - files(where, table.name))
        assert where.history(table)[0].is_upkeep
    assert done.files == gone > 0
    for name in ("raw_candles", "instruments"):
        assert files(where, name) == before[name]
    past = PastLake(where, staged.first.version)
    assert past.scan("raw_candles").collect().height == staged.first.content["raw_candles"].height
    # Nothing is left to do, and a build sees nothing new.
    assert relieve(where) == GivenUp()
    assert built(where).rebuilt == 0


@pytest.mark.slow
def test_a_version_that_was_opened_before_stays_readable_as_long_as_it_was_promised(
    where: Lake,
) -> None:
    opened = where.snapshot(CANDLES)
    expected, query = opened.scan().collect(), opened.scan()
    connection = where.duckdb()
    built(where, full=True)
    built(where, full=True)
    assert give_up(where, 3 * HOUR, PROGRAM, now=lambda: later(2)) == GivenUp()
    assert query.collect().equals(expected)
    assert connection.sql("SELECT count(*) FROM candles").fetchall() == [(expected.height,)]
    connection.close()
    relieve(where)
    assert not any((Path(opened.uri) / file.path).exists() for file in opened.files)


@pytest.mark.slow
def test_a_version_that_is_gone_is_told_and_a_build_from_its_raw_version_brings_it_back(
    staged: Staged, where: Lake
) -> None:
    version = staged.first.version
    relieve(where)
    told = TOLD.format(version)
    past = lake.open(where.uri, version=version)
    for name in (table.name for table in CURATED if staged.first.content[table.name].height):
        with pytest.raises(LakeError, match=told):
            past.scan(name)
    with pytest.raises(LakeError, match=f"basis at its version 1 {told}"):
        where.scan("basis", 1)
    with pytest.raises(LakeError, match=told):
        past.sql("SELECT count(*) FROM basis")
    raw = past.sql("SELECT count(*) AS n FROM raw_candles")["n"][0]
    assert raw == staged.first.content["raw_candles"].height
    # What is known of the rows without reading them is still known.
    assert past.snapshot(BASIS).rows == staged.first.content["basis"].height

    built(where, raw_version=version)
    again = lake.open(where.uri, version=version)
    assert is_same(content(again), staged.first.content)
    built(where)
    assert is_same(content(where), staged.last.content)


@pytest.mark.slow
def test_verbs_tell_what_was_given_up_in_a_sentence(staged: Staged, where: Lake) -> None:
    first, last = staged.first.version, staged.last.version
    assert basislake(None, "report", "--lake", where.uri).code in (0, 1)
    known = fingerprint(PastLake(where, first), 2).lake
    built(where, full=True)
    row = staged.first.content["basis"].row(0, named=True)
    relieve(where)
    for arguments in (
        ("sql", "SELECT count(*) FROM basis", "--at", first),
        ("explain", row["instrument"], row["ts"].isoformat(), "--at", first),
        ("fingerprint", "--at", first, "--verify"),
        ("diff", first, last),
        ("report", "--verify"),
    ):
        done = basislake(None, *arguments, "--lake", where.uri)
        assert done.code == 1, (arguments, done.err)
        assert "was given up to save space" in done.err, (arguments, done.err)
        assert "`basislake build --raw-version" in done.err
        assert "Traceback" not in done.err
    # Digests are in the names of files, so the log alone tells them.
    done = basislake(None, "fingerprint", "--at", first, "--lake", where.uri, "--json")
    assert done.json["lake"] == known
    raw = ("sql", "SELECT count(*) AS n FROM raw_candles", "--at", first, "--format", "json")
    (counted,) = basislake(None, *raw, "--lake", where.uri).json
    assert counted["n"] == staged.first.content["raw_candles"].height
    done = basislake(None, "explain", row["instrument"], row["ts"].isoformat(), "--lake", where.uri)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_coverage_stays_for_versions_that_builds_were_made_from_and_is_told_for_others(
    staged: Staged, where: Lake
) -> None:
    first, unbuilt, last = staged.first, staged.unbuilt, staged.last
    relieve(where)
    for stage in (first, last):
        found = PastLake(where, stage.version).scan("coverage").collect()
        assert found.sort(COVERAGE.key).equals(stage.content["coverage"])
    past = PastLake(where, unbuilt.version)
    told = rf"coverage at its version .* every version of raw_candles .* before is {first.version}"
    with pytest.raises(LakeError, match=told):
        past.scan("coverage").collect()
    with pytest.raises(LakeError, match=told):
        past.sql("SELECT count(*) FROM coverage")
    assert past.scan("raw_candles").collect().height == unbuilt.content["raw_candles"].height
    done = basislake(None, "build", "--raw-version", unbuilt.version, "--lake", where.uri)
    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "coverage is there for every version" in done.err
    assert is_same(content(where), last.content)

    # However often an old version is built again, it can be built once more.
    for _ in range(2):
        built(where, raw_version=first.version)
        relieve(where)
        assert is_same(content(PastLake(where, first.version)), first.content)
        built(where)
        relieve(where)


@pytest.mark.slow
def test_coverage_of_builds_that_were_given_up_before_any_coverage_was_stays(
    staged: Staged, where: Lake
) -> None:
    """As in a lake that an older basislake followed."""
    for _ in range(30):
        where.commit(where.snapshot(CANDLES), [], {log.UPKEEP: "nothing"})
    base = where.snapshot(CANDLES)
    where.commit(base, [], {log.UPKEEP: "given up"}, marks={KEPT_FROM: base.version or 0})
    assert relieve(where).files > 0
    built(where, raw_version=staged.first.version)
    assert is_same(content(PastLake(where, staged.first.version)), staged.first.content)


def mark(where: Lake, table: Table, kept_from: int) -> None:
    """Give up versions of a table, without a look at others."""
    told = {"program": PROGRAM, log.UPKEEP: "versions given up"}
    where.commit(where.snapshot(table), [], told, marks={KEPT_FROM: kept_from})


def test_a_build_that_only_upkeep_followed_is_not_given_up(staged: Staged, where: Lake) -> None:
    for table in CURATED:
        mark(where, table, 1)
    relieve(where)
    assert is_same(content(PastLake(where, staged.last.version)), staged.last.content)
    built(where, full=True)
    relieve(where)
    told = TOLD.format(staged.last.version)
    with pytest.raises(LakeError, match=f"at its version [23] {told}"):
        where.scan("candles", 2)


@given(st.data())
def test_coverage_that_a_build_would_be_made_from_again_is_needed(data: st.DataObject) -> None:
    """By the rules of `lake.versions`, whatever came between."""
    kinds = data.draw(st.lists(st.sampled_from(["rows", "upkeep"]), min_size=1, max_size=12))
    raw = [
        Commit(n, T0, {"upkeep": "compaction"} if kind == "upkeep" else {})
        for n, kind in enumerate(kinds)
    ]
    versions = st.integers(0, len(raw) - 1)
    made = sorted(data.draw(st.lists(versions, min_size=1, max_size=8)))
    coverage = [Commit(n, T0, {"made_from": {"raw_candles": v}}) for n, v in enumerate(made)]
    builds = [
        Commit(n, T0, {"made_from": {"raw_candles": data.draw(versions), "coverage": None}})
        for n in range(3)
    ]
    needed = needed_by(builds, raw, coverage)
    for build in builds:
        version = build.lineage["made_from"]["raw_candles"]
        again = place(coverage, upkept(raw, version)).version
        assert again is None or again in needed


@pytest.mark.parametrize(
    ("needed", "gone"),
    [
        ([], "bcde"),
        ([3], "de"),
        ([2], "cde"),
        ([4], "ce"),
        ([5], "cde"),
        ([6], "bcd"),
        ([1, 7], "bcde"),
    ],
)
def test_files_that_no_needed_version_holds_are_unneeded(needed: list[int], gone: str) -> None:
    # At each version one file came and one went; at 5 and 7 another program brought them back.
    steps = enumerate(zip("bcdbeafg", "abcdbeaf", strict=True), 2)
    commits = [Actions(version, {c: 1}, frozenset({w}), {}, 0) for version, (c, w) in steps]
    # What came before the commits that are looked at stays, also where it was brought back.
    assert unneeded(commits, {2, 3, 4, 6, 8, 9}, 8, needed) == list(gone)


@pytest.mark.slow
def test_what_another_program_brought_back_is_given_up_once_it_goes_again_and_a_backup_knows(
    staged: Staged, where: Lake, tmp_path: Path
) -> None:
    built(where, full=True)
    where.snapshot(CANDLES).opened.restore(1)
    for _ in range(2):
        relieve(where)
        built(where, full=True)
    relieve(where)
    assert files(where, "candles") == {file.path for file in where.snapshot(CANDLES).files}
    at = lake.open(str(tmp_path / "backup"))
    assert copy(where, at, 2).is_equal
    assert is_same(content(at), staged.last.content)
    with pytest.raises(LakeError, match="was given up"):
        at.scan("candles", 1)


@pytest.mark.slow
def test_coverage_of_a_build_that_another_program_brought_back_stays(
    staged: Staged, where: Lake, tmp_path: Path
) -> None:
    relieve(where)
    version = PastLake(where, staged.first.version).versions["coverage"]
    assert version is not None
    where.snapshot(COVERAGE).opened.restore(version)
    made_from = {"made_from": {"raw_candles": staged.last.version}}
    where.replace(where.snapshot(COVERAGE), staged.last.content["coverage"], made_from)
    relieve(where)
    relieve(where)
    at = lake.open(str(tmp_path / "backup"))
    assert copy(where, at, 2).is_equal
    for each in (where, at):
        found = PastLake(each, staged.first.version).scan("coverage").collect()
        assert found.sort(COVERAGE.key).equals(staged.first.content["coverage"])


def test_a_build_that_began_before_an_upkeep_commits_after_it(where: Lake) -> None:
    built(where, full=True)
    base = where.snapshot(CANDLES)
    name, own = next(iter(base.by_partition().items()))
    rows = base.scan(name).collect()
    relieve(where)
    version = where.commit(base, [where.write(CANDLES, rows, name)], {}, replacing=[name])
    assert version == where.snapshot(CANDLES).version
    assert where.snapshot(CANDLES).scan(name).collect().equals(rows)
    assert own[0].path not in {file.path for file in where.snapshot(CANDLES).of(name)}


def test_what_a_kill_left_between_mark_and_removal_a_vacuum_removes(where: Lake) -> None:
    built(where, full=True)
    base = where.snapshot(CANDLES)
    lineage = {"program": PROGRAM, log.UPKEEP: "versions given up"}
    where.commit(base, [], lineage, marks={KEPT_FROM: base.version or 0})
    needed = {file.path for file in base.files}
    left = files(where, "candles") - needed
    assert left
    with pytest.raises(LakeError, match="was given up"):
        where.scan("candles", 1)
    done = vacuum(where, now=lambda: later(24 * 30))
    assert done.files == len(left)
    assert files(where, "candles") == needed


def test_so_short_a_time_that_readers_would_suffer_is_refused(where: Lake) -> None:
    built(where, full=True)
    with pytest.raises(UsageError, match="1 hour at least"):
        give_up(where, LEAST_KEPT - timedelta(seconds=1), PROGRAM, now=later)
    done = basislake(None, "maintain", "--lake", where.uri, "--keep-replaced", 1, "--json")
    # They were replaced a moment ago.
    assert done.json["given_up"] == {"versions": 0, "files": 0, "bytes": 0}
    assert where.snapshot(RAW_CANDLES).counter(KEPT_FROM) == 0
    assert basislake(None, "maintain", "--lake", where.uri, "--keep-replaced", -1).code == 2
