"""Backups of a lake whose old builds are given up, before and while they are copied."""

from collections.abc import Callable
from pathlib import Path

import pytest

import lake
from basislake import PROGRAM
from lake import Lake
from lake.compaction import compact
from lake.copying import copy
from lake.errors import LakeError
from lake.fingerprint import fingerprint
from lake.retention import GivenUp
from lake.tables import CANDLES, CURATED, RAW_CANDLES, TABLES
from tests.market import basislake
from tests.object_store import ObjectStore
from tests.staged import TOLD, Staged, built, content, files, is_same, relieve


@pytest.mark.slow
def test_a_backup_leaves_out_what_was_given_up_and_knows_it(
    staged: Staged, where: Lake, tmp_path: Path
) -> None:
    early = lake.open(str(tmp_path / "early"))
    assert basislake(None, "backup", early.uri, "--lake", where.uri).code == 0
    built(where, full=True)
    relieve(where)
    for target in (early, lake.open(str(tmp_path / "late"))):
        done = basislake(None, "backup", target.uri, "--lake", where.uri, "--json")
        assert done.code == 0, done.err
        assert done.json["equal"]
        assert is_same(content(target), content(where))
        with pytest.raises(LakeError, match=TOLD.format(staged.first.version)):
            target.scan("basis", 1)
    assert files(lake.open(str(tmp_path / "late")), "candles") == files(where, "candles")


class Overtaking:
    """Gives up all that was replaced at some moment of a copy, and notes what it is told."""

    def __init__(self, where: Lake, is_now: Callable[[int, int], bool], *, builds: bool) -> None:
        self.where = where
        self.is_now = is_now
        self.builds = builds
        self.told: list[tuple[int, int]] = []
        self.done = GivenUp()

    def __call__(self, copied: int, total: int) -> None:
        self.told.append((copied, total))
        if self.done.files == 0 and self.is_now(copied, total):
            if self.builds:
                built(self.where, full=True)
            self.done = relieve(self.where)


def part(where: Lake) -> None:
    """Make a partition of candles two files, so that a fingerprint has to read them."""
    base = where.snapshot(CANDLES)
    name = next(iter(base.by_partition()))
    rows = base.scan(name).collect()
    added = [where.write(CANDLES, half, name) for half in (rows.head(9), rows.tail(-9))]
    where.commit(base, added, {}, replacing=[name])


MOMENTS = ["at its first file", "after the candles", "at its last file"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_backup_that_upkeep_overtakes_goes_on_with_what_is_left(
    staged: Staged, where: Lake, tmp_path: Path, moment: str
) -> None:
    part(where)
    small = files(where, "raw_candles")
    compact(where, RAW_CANDLES, PROGRAM)
    at = lake.open(str(tmp_path / "backup"))
    is_now = {
        "at its first file": lambda _copied, _total: True,
        "after the candles": lambda _copied, _total: at.snapshot(CANDLES).version is not None,
        "at its last file": lambda copied, total: copied == total,
    }[moment]
    overtaking = Overtaking(where, is_now, builds=True)
    done = copy(where, at, 2, overtaking)
    assert small - files(where, "raw_candles")
    assert done.is_equal
    assert done.proof.fingerprint == fingerprint(where, 2).lake
    assert is_same(content(at), content(where))
    for table in CURATED:
        assert at.history(table) == where.history(table), table.name
        assert files(at, table.name) >= files(where, table.name)
    with pytest.raises(LakeError, match=TOLD.format(staged.first.version)):
        at.scan("basis", 1)
    # Each file that came is counted once, and the progress neither falls nor ends early.
    assert done.held == 0
    assert done.files == sum(len(files(at, name)) for name in TABLES)
    copied = [count for count, _ in overtaking.told]
    assert copied == list(range(1, done.files + 1))
    assert overtaking.told[-1] == (done.files, done.files)
    again = copy(where, at, 2)
    assert (again.files, again.is_equal) == (0, True)


@pytest.mark.slow
def test_a_backup_that_is_overtaken_all_the_time_ends_with_a_sentence(
    where: Lake, tmp_path: Path
) -> None:
    at = lake.open(str(tmp_path / "backup"))
    with pytest.raises(LakeError, match=r"again and again.*What was copied stays"):
        copy(where, at, 2, Overtaking(where, lambda *_: True, builds=True), most_plans=1)
    done = copy(where, at, 2)
    assert done.is_equal
    assert is_same(content(at), content(where))


@pytest.mark.slow
def test_a_lake_in_a_store_gives_up_too_also_while_it_is_copied(
    staged: Staged, object_store: ObjectStore, tmp_path: Path
) -> None:
    uri, env = object_store.uri("retention"), object_store.environment(tmp_path)
    assert basislake(None, "backup", uri, "--lake", staged.where.uri, env=env).code == 0
    at, back = lake.open(uri, object_store.options), lake.open(str(tmp_path / "back"))
    overtaking = Overtaking(at, lambda *_: True, builds=False)
    assert copy(at, back, 2, overtaking).is_equal
    assert overtaking.done.files > 0
    assert is_same(content(back), staged.last.content)
    assert is_same(content(at), staged.last.content)
    past = lake.open(uri, object_store.options, version=staged.first.version)
    with pytest.raises(LakeError, match="was given up"):
        past.sql("SELECT count(*) FROM candles")
    assert past.sql("SELECT count(*) AS n FROM raw_candles")["n"][0] > 0
