"""The files of deploy/: systemd and logrotate take them, and the commands in them exist."""

import grp
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.market import basislake

DEPLOY = Path(__file__).parent.parent / "deploy"
UNITS = sorted(DEPLOY.glob("*.[st]*e*"))
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
    assert len(UNITS) == 5
    lines = [line for unit in UNITS for line in unit.read_text().splitlines()]
    started = [
        line.partition(PROGRAM)[2].split() for line in lines if line.startswith("ExecStart=")
    ]
    assert len(started) == 3
    for arguments in started:
        assert basislake(None, *arguments, "--help").code == 0


def test_the_hourly_timer_brings_the_maintenance_that_keeps_its_disk_from_filling() -> None:
    hourly = (DEPLOY / "basislake.timer").read_text()
    wanted = re.findall(r"^Wants=(.*)$", hourly, re.MULTILINE)
    assert wanted == ["basislake-maintain.timer"]
    service = (DEPLOY / wanted[0]).with_suffix(".service").read_text()
    assert f"ExecStart={PROGRAM} maintain\n" in service


@pytest.fixture
def logs() -> Iterator[Path]:
    """A folder of a user that is not us, where that can be; pytest's own are closed to others."""
    owner = _owner()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "run.log").write_text("a line\n")
        for path in (folder, folder / "run.log"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        yield folder


def test_logrotate_takes_its_file_and_rotates_the_logs_of_another_user(
    logs: Path, tmp_path: Path
) -> None:
    # Often it is where only root looks.
    rotate = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if rotate is None:
        pytest.skip("logrotate is not installed here")
    owner = _owner()
    text = (DEPLOY / "basislake.logrotate").read_text()
    text = text.replace("/var/log/basislake/*", f"{logs}/*")
    group = grp.getgrgid(owner.pw_gid).gr_name
    config = tmp_path / "basislake.logrotate"
    config.write_text(text.replace(" basislake basislake\n", f" {owner.pw_name} {group}\n"))
    config.chmod(0o644)
    for options in (["--debug"], ["--force", "--state", str(tmp_path / "state")]):
        done = subprocess.run(
            [rotate, *options, str(config)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "error" not in done.stderr
        assert "skipping" not in done.stderr
    assert (logs / "run.log.1").read_text() == "a line\n"
    assert (logs / "run.log").read_text() == ""
    assert (logs / "run.log").stat().st_uid == owner.pw_uid


def _owner() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
