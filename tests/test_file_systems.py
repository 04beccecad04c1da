"""Lakes on a file system without hard links, which commits need, or without locks: the kernel
refuses both in a process of its own. And folders that are not what they seem.
"""

import errno
import os
import shlex
import tempfile
from pathlib import Path

import pytest

from basislake.settings.named_lake import lake_flag
from basislake.simulator.server import SimulatedExchange
from lake import open as open_lake
from lake.errors import LakeError, UsageError
from lake.machine.shared_folder import SETTING, folder
from lake.tables import INSTRUMENTS
from tests.lakes import instrument, lake_of
from tests.market import arguments, basislake
from tests.processes import as_user, ended, only_for_root, running
from tests.refusing import LINKS, LOCKS, refusing

ONE = ("--instruments", "BTC-5APR24", "--since", "2024-04-05")
NO_LOCK, NO_CALL = os.strerror(errno.ENOLCK), os.strerror(errno.ENOSYS)
# Locks an instrument, and prints why it cannot.
LOCKER = """
import sys
from pathlib import Path
from ingest.datasets.candles import candles_of
from ingest.backfill.locks import SubjectLocks
from lake.errors import LakeError

try:
    SubjectLocks(Path(sys.argv[1])).take(candles_of("BTC-PERPETUAL"))
except LakeError as exc:
    print(exc)
"""
# Writes a table, and prints why it cannot.
WRITER = """
import sys
from pathlib import Path
from lake.errors import LakeError, UsageError
from tests.lakes import instrument, lake_of

try:
    lake_of(Path(sys.argv[1]), instruments=[instrument("BTC-PERPETUAL")])
except UsageError as exc:
    print(exc)
"""


@pytest.mark.slow
def test_where_there_are_no_hard_links_no_lake_is_made_and_a_copy_may_be(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    no_links = refusing(LINKS, errno.EPERM)
    lake = tmp_path / "lake"
    with running([*no_links, *arguments(server, "backfill", "--lake", lake, *ONE)]) as process:
        done = ended(process)
    assert done.code == 2, done.err
    assert f"A lake cannot be written at {lake}: its file system has no hard links" in done.err
    assert "Nothing was stored. Choose a folder on another file system" in done.err
    assert "Traceback" not in done.err
    assert [path for path in lake.iterdir() if path.name != ".machine"] == []
    with running([*refusing(LINKS, errno.EPERM, WRITER), str(tmp_path / "empty")]) as process:
        assert ended(process).out.startswith(f"A lake cannot be written at {tmp_path / 'empty'}")
    assert list((tmp_path / "empty").iterdir()) == []

    known = lake_of(tmp_path / "known", instruments=[instrument("BTC-PERPETUAL")])
    line = [*no_links, "backup", str(tmp_path / "copy"), "--lake", known.uri, "--json"]
    with running(line) as process:
        copied = ended(process)
    assert copied.code == 0, copied.err
    assert copied.json["equal"]


@pytest.mark.slow
def test_where_there_are_no_locks_the_setting_that_helps_is_named(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    text = "at {}: its file system has no locks ({}). Set " + SETTING + " to a folder on a disk of"
    line = arguments(server, "backfill", "--lake", lake, *ONE)
    with running([*refusing(LOCKS, errno.ENOLCK), *line]) as process:
        done = ended(process)
    (lock,) = (lake / ".machine").glob("pace-*.lock")
    assert done.code == 1, done.err
    assert (
        f" ERROR The rate limit cannot be shared {text.format(lock.with_suffix(''), NO_LOCK)}"
        in done.err
    )
    assert len(done.err.splitlines()) == 2
    # Where the system has no locks at all, no file takes the place of a lock.
    with running([*refusing(LOCKS, errno.ENOSYS, LOCKER), str(lake)]) as process:
        locked = ended(process)
    assert locked.out.startswith(f"BTC-PERPETUAL cannot be locked {text.format(lake, NO_CALL)}")
    assert locked.err == ""


def test_what_a_machine_keeps_of_a_lake_is_where_the_setting_says(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    lake, machine = tmp_path / "lake", tmp_path / "machine"
    env = {**os.environ, SETTING: str(machine)}
    done = basislake(server, "backfill", "--lake", lake, *ONE, env=env)
    assert done.code == 0, done.err
    assert not (lake / ".machine").exists()
    (own,) = machine.iterdir()
    kept = {path.name.partition("-")[0] for path in own.iterdir()}
    assert kept == {"claims", "pace", "instruments"}
    assert open_lake(str(lake)).snapshot(INSTRUMENTS).rows
    refused = basislake(server, "backfill", "--lake", lake, env={**env, SETTING: "machine"})
    assert refused.code == 2
    assert f"{SETTING} is not the absolute path of a folder: 'machine'" in refused.err


def test_every_path_to_a_lake_has_one_folder_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    given = {SETTING: "/machine"}
    places = {folder(str(tmp_path / name), given) for name in ("lake", "link")}
    assert len(places) == 1
    assert {place.parent for place in places} == {Path("/machine")}
    assert folder("s3://bucket/lake", given).parent == Path("/machine")
    assert folder(str(tmp_path), {}) == tmp_path / ".machine"
    with pytest.raises(UsageError, match="absolute path"):
        folder(str(tmp_path), {SETTING: "a"})


@pytest.mark.parametrize("closed", ["lake", "lake/instruments", "lake/instruments/_delta_log"])
def test_a_lake_that_another_user_may_not_read_is_not_taken_for_none(closed: str) -> None:
    only_for_root()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        known = lake_of(Path(folder, "lake"), instruments=[instrument("BTC-PERPETUAL")])
        Path(folder, closed).chmod(0o700)
        with as_user(54321):
            for read in (known.check_exists, lambda: known.snapshot(INSTRUMENTS)):
                with pytest.raises(LakeError, match=r"instruments cannot be read .*Permission den"):
                    read()


def test_a_working_folder_that_is_gone_matters_to_a_relative_path_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = lake_of(tmp_path / "lake", instruments=[instrument("BTC-PERPETUAL")])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert lake_flag(open_lake(known.uri)) == f" --lake {known.uri}"
    with pytest.raises(UsageError, match="'lake' is relative to the working folder, which"):
        open_lake("lake")


def test_a_folder_named_as_a_home_or_an_option_is_opened_and_shown_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./~", "./~nosuchuser/lake", "./-x"):
        at = open_lake(name)
        assert at.uri == str(tmp_path / name)
        assert shlex.split(lake_flag(at)) == ["--lake", name]
