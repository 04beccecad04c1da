"""The units of deploy/: systemd takes them, and the commands in them exist."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.market import basislake

UNITS = sorted((Path(__file__).parent.parent / "deploy").glob("*.[st]*e*"))
PROGRAM = "/opt/basislake/.venv/bin/basislake"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed here")
    # The program is not installed at its place here, which systemd would note.
    copies = []
    for unit in UNITS:
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        [analyze, "verify", *map(str, copies)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_unit_runs_a_verb_there_is() -> None:
    assert len(UNITS) == 4
    lines = [line for unit in UNITS for line in unit.read_text().splitlines()]
    started = [
        line.partition(PROGRAM)[2].split() for line in lines if line.startswith("ExecStart=")
    ]
    assert len(started) == 2
    for arguments in started:
        assert basislake(None, *arguments, "--help").code == 0
