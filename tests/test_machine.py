"""Machines that lack something, or have too much of it: an error of ours, or none."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from lake import Lake
from lake.errors import LakeError
from tests.lakes import instrument, lake_of
from tests.market import PROCESS, ROOT
from tests.processes import finished, only_for_root

# More than the memory that it may use.
LARGE = """SET threads = 1; SET memory_limit = '30MB';
    SELECT count(*) FROM (SELECT DISTINCT hash(i), i::VARCHAR || repeat('x', 40)
                          FROM range(1000000) AS numbers(i))"""
# Loads what it needs as root and goes on as a user who may start no thread.
WITHOUT_THREADS = """
import os, resource, sys
import basislake.cli.commands.sql, basislake.verbs.sql, lake.query.duck
from basislake.cli.main import main

os.setgroups([])
os.setgid(54321)
os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
main(sys.argv[1:])
"""


@pytest.fixture
def known(tmp_path: Path) -> Lake:
    return lake_of(tmp_path / "lake", instruments=[instrument("BTC-PERPETUAL")])


def test_a_large_query_needs_no_room_in_the_working_folder(
    known: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir("/proc")
    assert known.sql(LARGE).item() == 1_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_without_room_for_a_large_query_it_is_said_where_room_would_be(
    known: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(LakeError, match="TMPDIR") as message:
        known.sql(LARGE)
    assert "damaged" not in str(message.value)


def test_without_threads_the_command_ends_in_a_sentence(known: Lake) -> None:
    only_for_root()
    for path in (*Path(known.uri).parents, Path(known.uri), *Path(known.uri).rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    line = (sys.executable, "-c", WITHOUT_THREADS, "sql", "SELECT 1", "--lake", known.uri)
    done = finished(*line)
    assert (done.code, done.out) == (1, "")
    assert " ERROR The machine has too few resources: " in done.err
    assert "Traceback" not in done.err
    assert "Interrupted" not in done.err


@pytest.mark.parametrize("name", ["load.py", "lake.py", "transforms/__init__.py", "ingest"])
@pytest.mark.parametrize("is_current", [False, True])
def test_a_module_of_the_users_own_that_is_in_the_way_is_named(
    tmp_path: Path,
    name: str,
    is_current: bool,  # noqa: FBT001
) -> None:
    path = tmp_path / name
    if path.suffix:
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('it was run')")
    else:
        path.mkdir()
        (path / "__init__.py").touch()
    places = [str(ROOT)] if is_current else [str(tmp_path), str(ROOT)]
    folder = tmp_path if is_current else ROOT.parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = finished(*PROCESS, "--version", cwd=folder, env=env)
    assert (done.code, done.out) == (2, "")
    shown = path.parent if path.name == "__init__.py" else path
    assert done.err.startswith(f"Error: Python would import {shown} in place of")
