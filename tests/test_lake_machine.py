"""The number of threads of a command: the cores that this process may use."""

import os
import sys
from pathlib import Path

import pytest

from lake.machine.cores import cores
from tests.processes import finished

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, HERE),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "99900000 100000\n"}, HERE),
        ("0::/\n", {"cpu.max": "nonsense"}, HERE),
        ("", {}, HERE),
    ],
)
def test_a_containers_limit_counts(
    tmp_path: Path, own: str, limits: dict[str, str], expected: int
) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in limits.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cores(tmp_path / "groups", tmp_path / "own") == expected


@pytest.mark.parametrize(("quota", "expected"), [("150000", min(2, HERE)), ("-1", HERE)])
def test_a_limit_of_the_older_kind_counts_too(tmp_path: Path, quota: str, expected: int) -> None:
    folder = tmp_path / "groups" / "cpu,cpuacct" / "docker"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "own").write_text("3:memory:/docker\n2:cpu,cpuacct:/docker\n")
    assert cores(tmp_path / "groups", tmp_path / "own") == expected


def test_a_process_that_is_bound_to_a_core_uses_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from lake.machine.cores import cores; print(cores())"
    )
    assert finished(sys.executable, "-c", code).out == "1\n"
