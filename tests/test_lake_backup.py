"""Backups and restores: every batch, verified, resumed after a kill, and nothing else."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from basislake import PROGRAM
from basislake.simulator.server import SimulatedExchange
from lake import Lake
from lake import open as open_lake
from lake.backup.copy import copy
from lake.backup.overlap import check_apart
from lake.batches import newest_batch
from lake.coverage import IS_CANDLES
from lake.errors import ConflictError, GoneError, LakeError, UsageError
from lake.history.as_of import past
from lake.history.fingerprint import fingerprint
from lake.maintenance.maintain import maintain
from lake.tables import COVERAGE, CURATED, RAW, RAW_CANDLES, TABLES
from tests.gates import Gate
from tests.lakes import LINEAGE, begin, instrument, lake_of, names, record
from tests.market import backup, basislake, command, ideal_calls, rows, small_market
from tests.object_store import ObjectStore, Proxy
from tests.processes import as_user, ended, only_for_root, running, wait_until
from tests.staged import TOLD, Staged, built, content, files, is_same


def layout(at: Lake) -> dict[str, set[str]]:
    """The files that make up each table."""
    return {name: {f.path for f in at.snapshot(table).files} for name, table in TABLES.items()}


@pytest.mark.slow
def test_a_backup_holds_every_batch_and_the_next_one_copies_only_what_came_since(
    staged: Staged, lake: Lake, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    done = backup(lake, str(folder))
    at = open_lake(str(folder))
    assert done["equal"]
    assert done["fingerprint"] == fingerprint(lake, 2).lake
    assert layout(at) == layout(lake)
    assert done["batch"] == newest_batch(at) == newest_batch(lake)
    for table in RAW:
        for stage in (staged.first, staged.unbuilt):
            found = open_lake(at.uri, as_of=stage.batch).read(table)
            assert found.equals(open_lake(lake.uri, as_of=stage.batch).read(table))
    # The build as of that batch was not copied, and can be repeated.
    with pytest.raises(LakeError, match=TOLD.format(staged.first.batch)):
        open_lake(at.uri, as_of=staged.first.batch).scan("basis")
    assert built(at).rebuilt == 0

    again = backup(lake, str(folder))
    held = sum(map(len, layout(lake).values()))
    assert (again["files_copied"], again["files_held"], again["equal"]) == (0, held, True)
    built(lake, full=True)
    assert basislake(None, "maintain", "--lake", lake.uri).code == 0
    more = backup(lake, str(folder))
    assert 0 < int(str(more["files_copied"])) < int(str(done["files_copied"]))
    assert layout(open_lake(str(folder))) == layout(lake)
    assert is_same(content(open_lake(str(folder))), content(lake))


def test_a_backup_names_a_batch_that_can_be_read_as_of(lake: Lake, tmp_path: Path) -> None:
    """Not the one that was being stored meanwhile."""
    begin(lake, "BTC-PERPETUAL")
    done = backup(lake, str(tmp_path / "backup"))
    assert (done["equal"], done["batch"]) == (True, newest_batch(lake))
    open_lake(str(tmp_path / "backup"), as_of=newest_batch(lake))


@pytest.mark.slow
def test_a_backup_that_was_tidied_never_takes_one_build_for_another(
    staged: Staged, lake: Lake, tmp_path: Path
) -> None:
    """The versions of its tables differ from those in the rows of `builds`."""
    at = open_lake(str(tmp_path / "backup"))
    built(lake, as_of=staged.first.batch)
    copy(lake, at, PROGRAM, 2)
    for _ in range(3):
        for table in CURATED:
            at.commit(at.snapshot(table), [], LINEAGE)
    built(lake, as_of=staged.unbuilt.batch)
    built(lake)
    copy(lake, at, PROGRAM, 2)
    for stage in (staged.first, staged.unbuilt):
        assert not past(lake, stage.batch).scan("basis").collect().is_empty()
        with pytest.raises(GoneError, match=TOLD.format(stage.batch)):
            past(at, stage.batch).scan("basis")
    assert is_same(content(past(at, staged.last.batch)), staged.last.content)
    built(at, as_of=staged.first.batch)
    assert is_same(content(past(at, staged.first.batch)), staged.first.content)


@pytest.mark.slow
def test_a_backup_in_a_store_is_restored_and_goes_on_as_the_lake_it_was(
    lake: Lake, object_store: ObjectStore, tmp_path: Path
) -> None:
    uri, env = object_store.uri("backup"), object_store.environment(tmp_path / "machine")
    assert backup(lake, uri, env=env)["equal"]
    back = tmp_path / "back"
    done = basislake(None, "restore", uri, "--lake", back, "--json", env=env)
    assert done.code == 0, done.err
    assert done.json["equal"]
    assert done.json["fingerprint"] == fingerprint(lake, 2).lake
    at = open_lake(str(back))
    assert is_same(content(at), content(lake))
    assert basislake(None, "build", "--lake", back, "--json").json["rebuilt"] == 0


def _linked(at: Path, to: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(to)


@pytest.mark.parametrize(
    "place",
    [
        "lake",
        "lake/copy",
        "link",
        "link/copy",
        "new/../lake/copy",
        "link/raw_candles",
        ".",
        "tables",
    ],
)
def test_a_lake_is_not_copied_onto_or_into_itself_nor_over_a_folder_it_lies_in(
    staged: Staged, tmp_path: Path, place: str
) -> None:
    lake = open_lake(str(shutil.copytree(staged.lake.uri, tmp_path / "lake")))
    _linked(tmp_path / "link", tmp_path / "lake")
    _linked(tmp_path / "tables" / "raw_candles", tmp_path / "lake" / "raw_candles")
    before = sorted(tmp_path.rglob("*"))
    target = f"{tmp_path}/{place}"
    with pytest.raises(UsageError, match="they are the same place, or one is inside the other"):
        copy(lake, open_lake(target), PROGRAM, 1)
    with pytest.raises(UsageError, match="they are the same place, or one is inside the other"):
        copy(open_lake(target), lake, PROGRAM, 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_copy_into_itself_is_refused_also_below_a_folder_that_may_not_be_listed() -> None:
    only_for_root()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder, "home", "lake").mkdir(parents=True)
        Path(folder, "home").chmod(0o711)
        Path(folder).chmod(0o755)
        one, other = (open_lake(f"{folder}/home/lake{name}") for name in ("", "/copy"))
        with as_user(54321), pytest.raises(UsageError, match="one is inside the other"):
            check_apart(one, other)


@pytest.mark.parametrize(
    ("one", "other", "is_refused"),
    [
        ("s3://b/x", "s3a://b/x/", True),
        ("s3://b/x", "s3://b/x/y", True),
        ("s3://b/x", "s3://b", True),
        ("s3://b/x", "s3://b/xy", False),
        ("s3://b/x", "s3://b/X", False),
        ("s3://b/x", "gs://b/x", False),
        ("az://c/x", "abfss://c@account.dfs.core.windows.net/x", True),
        ("abfss://c@one.dfs.core.windows.net/x", "abfss://c@two.dfs.core.windows.net/x", False),
    ],
)
def test_prefixes_of_one_store_are_compared_whatever_they_are_called(
    one: str, other: str, *, is_refused: bool
) -> None:
    with pytest.raises(UsageError) if is_refused else nullcontext():
        check_apart(open_lake(one), open_lake(other))
    with pytest.raises(UsageError) if is_refused else nullcontext():
        check_apart(open_lake(other), open_lake(one))


@pytest.mark.slow
def test_a_killed_backup_leaves_a_lake_and_the_next_one_finishes_it(
    lake: Lake, object_store: ObjectStore, proxy: Proxy, tmp_path: Path
) -> None:
    uri = object_store.uri("killed")
    # Those of the first table; the next one is not begun.
    proxy.set(most_files=len(lake.snapshot(RAW_CANDLES).files))
    at = open_lake(uri, object_store.options)
    env = proxy.store.environment(tmp_path)
    with running(command(None, "backup", uri, "--lake", lake.uri), env) as process:
        wait_until(process, lambda: proxy.held > 0)
    proxy.set()
    assert at.snapshot(RAW_CANDLES).version is not None
    assert layout(at) != layout(lake)
    assert all(at.scan(name).collect().height >= 0 for name in TABLES)
    done = backup(lake, uri, env=object_store.environment(tmp_path))
    assert done["equal"]
    assert layout(at) == layout(lake)


@pytest.mark.slow
def test_a_backup_beside_a_running_backfill_is_a_lake_as_it_was_at_a_moment(
    tmp_path: Path,
) -> None:
    market, counts = small_market(1), set[int]()
    total = ideal_calls(market)
    lake, at = open_lake(str(tmp_path / "lake")), open_lake(str(tmp_path / "backup"))
    with (
        SimulatedExchange(market, delay_s=0.05) as slow,
        Gate(slow, total // 2) as first,
        Gate(slow, total - 1) as last,
        running(command(slow, "backfill", "--lake", lake.uri)) as process,
    ):
        wait_until(process, lambda: lake.snapshot(RAW_CANDLES).rows > 0)
        while process.poll() is None:
            assert copy(lake, at, PROGRAM, 2).is_equal
            counts.add(at.snapshot(RAW_CANDLES).rows)
            claimed = at.read(COVERAGE).filter(IS_CANDLES, status="present")["minutes"].sum()
            assert claimed <= max(counts)
            first.open()
            if len(counts) > 1:
                last.open()
        assert ended(process).code == 0
    assert copy(lake, at, PROGRAM, 2).is_equal
    assert is_same(content(at), content(lake))


@pytest.fixture
def kept(lake: Lake, tmp_path: Path) -> Iterator[Lake]:
    """A backup that should not be touched."""
    at = open_lake(str(tmp_path / "kept"))
    copy(lake, at, PROGRAM, 2)
    before = {path: path.read_bytes() for path in Path(at.uri).rglob("*") if path.is_file()}
    yield at
    assert {p: p.read_bytes() for p in Path(at.uri).rglob("*") if p.is_file()} == before


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, object_store: ObjectStore, tmp_path: Path) -> Lake:
    """Where a copy is to be, and nothing is yet."""
    if request.param == "disk":
        return open_lake(str(tmp_path / "place"))
    return open_lake(object_store.uri(f"place-{request.node.name}"), object_store.options)


def _put(at: Lake, *names: str) -> None:
    record(at, list(map(instrument, names)))


@pytest.mark.slow
@pytest.mark.parametrize("begun", ["empty", "copied"])
def test_a_commit_that_another_writer_makes_in_the_copy_meanwhile_stays_and_ends_the_copy(
    place: Lake, tmp_path: Path, begun: str
) -> None:
    source = lake_of(tmp_path / "source", instruments=[instrument("A")])
    _put(source, "A")
    if begun == "copied":
        copy(source, place, PROGRAM, 1)
        _put(source, "A", "B")

    def interfere(_done: int, _total: int) -> None:
        _put(place, "A", "C")

    with pytest.raises(ConflictError, match=r"Another writer committed .* commit is kept"):
        copy(source, place, PROGRAM, 1, interfere)
    assert names(place) == ["A", "C"]
    with pytest.raises(LakeError, match="is another lake"):
        copy(source, place, PROGRAM, 1)
    assert names(place) == ["A", "C"]


def test_another_lake_is_not_copied_over_a_backup(kept: Lake, tmp_path: Path) -> None:
    other = lake_of(tmp_path / "other", instruments=[instrument("A")])
    _put(other, "A")
    with pytest.raises(LakeError, match="is another lake"):
        copy(other, kept, PROGRAM, 2)
    done = basislake(None, "restore", other.uri, "--lake", kept.uri)
    assert (done.code, "Choose an empty place" in done.err) == (1, True)


def test_an_older_lake_is_not_copied_over_a_newer_one(kept: Lake, lake: Lake) -> None:
    built(lake, full=True)
    before = content(lake)
    with pytest.raises(LakeError, match="somebody wrote to it after the last copy"):
        copy(kept, lake, PROGRAM, 2)
    assert is_same(content(lake), before)


def test_what_is_no_lake_is_not_copied(lake: Lake, tmp_path: Path) -> None:
    assert basislake(None, "restore", tmp_path / "absent", "--lake", lake.uri).code == 1
    done = basislake(None, "backup", f"{lake.uri}/copy", "--lake", lake.uri)
    assert (done.code, "Choose a place outside the lake" in done.err) == (2, True)
    assert not (tmp_path / "absent").exists()
    assert rows(lake, "raw_candles").height == lake.snapshot(RAW_CANDLES).rows > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", ["at its first file", "after the raw candles", "at its last file"]
)
def test_a_backup_beside_a_build_is_the_lake_as_it_was_when_it_began(
    lake: Lake, tmp_path: Path, moment: str
) -> None:
    at, before, overtaken = open_lake(str(tmp_path / "backup")), content(lake), list[int]()
    is_now: dict[str, Callable[[int, int], bool]] = {
        "at its first file": lambda copied, _total: copied == 1,
        "after the raw candles": lambda *_: at.snapshot(RAW_CANDLES).version is not None,
        "at its last file": lambda copied, total: copied == total,
    }

    def overtake(copied: int, total: int) -> None:
        if is_now[moment](copied, total) and not overtaken:
            built(lake, full=True)
            overtaken.append(copied)

    assert copy(lake, at, PROGRAM, 2, overtake).is_equal
    assert overtaken
    assert is_same(content(at), before)
    assert copy(lake, at, PROGRAM, 2).is_equal
    assert layout(at) == layout(lake)


@pytest.mark.slow
def test_a_backup_whose_files_are_tidied_away_meanwhile_says_so_and_the_next_one_finishes(
    lake: Lake, tmp_path: Path
) -> None:
    at = open_lake(str(tmp_path / "backup"))

    def tidy(copied: int, _total: int) -> None:
        if copied == 1:
            built(lake, full=True)
            maintain(lake, PROGRAM, timedelta(0), unsafe=True)

    with pytest.raises(LakeError, match=r"or maintenance deleted .*Run the command again"):
        copy(lake, at, PROGRAM, 2, tidy)
    assert files(at, "raw_candles")
    assert copy(lake, at, PROGRAM, 2).is_equal
    assert is_same(content(at), content(lake))
