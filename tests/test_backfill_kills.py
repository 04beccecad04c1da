"""Backfills that end before they are done: killed, interrupted, out of disk, out of rights."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lake
from basislake.exchange.calls import CHART_METHOD as CHART
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import Universe
from lake.tables import TABLES
from tests.market import basislake, command, ideal_calls, rows, small_market, truths

RAW = TABLES["raw_candles"]


@pytest.fixture(scope="module")
def universe() -> Universe:
    return small_market(4)


@pytest.fixture
def slow(universe: Universe) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(universe, delay_s=0.1) as running:
        yield running


def start(server: SimulatedExchange, folder: Path, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(server, "backfill", "--lake", folder, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(process: subprocess.Popen[str], is_so: Callable[[], bool]) -> None:
    while not is_so():
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_backfill_is_finished_by_the_next_one(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, how: signal.Signals
) -> None:
    total = ideal_calls(universe)
    process = start(slow, tmp_path)
    wait_until(process, lambda: slow.calls_of(CHART) > total // 2)
    os.kill(process.pid, how)
    _, told = process.communicate(timeout=30)
    where = lake.open(str(tmp_path))
    saved = where.snapshot(RAW).rows
    assert 0 < saved < truths(universe).height
    if how != signal.SIGKILL:
        assert process.returncode == 1
        assert "Interrupted. What was committed is safe" in told
        assert f"all {saved:,} new candles that came are saved" in told
        assert "Traceback" not in told
    made = slow.calls_of(CHART)
    with SimulatedExchange(universe) as server:
        done = basislake(server, "backfill", "--lake", tmp_path, "--json")
        assert done.code == 0, done.err
        assert made + server.calls_of(CHART) <= 1.25 * total
    assert rows(where, "raw_candles").equals(truths(universe))
    states = [record["state"] for record in _status(tmp_path)["runs"]]
    assert states == ["done", "killed" if how == signal.SIGKILL else "interrupted"]


def test_an_interruption_does_not_wait_for_calls_that_hang(
    universe: Universe, tmp_path: Path
) -> None:
    with SimulatedExchange(universe, delay_s=20.0) as stuck:
        process = start(stuck, tmp_path)
        wait_until(process, lambda: stuck.calls_of(CHART) > 2)
        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert time.monotonic() - asked_at < 15


def test_two_backfills_at_once_share_the_work(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    assert basislake(slow, "instruments", "--lake", tmp_path).code == 0
    both = [start(slow, tmp_path, "--threads", "2", "--json") for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    told = [json.loads(out) for out, _ in ends]
    assert [each["complete"] for each in told] == [len(universe.contracts)] * 2
    assert sum(each["candles_written"] for each in told) == truths(universe).height
    assert all(each["calls"] > 0 for each in told)
    assert slow.calls_of(CHART) == ideal_calls(universe)
    assert slow.counters.repeats == 0
    assert rows(lake.open(str(tmp_path)), "raw_candles").equals(truths(universe))


def test_a_backfill_takes_over_what_a_killed_one_had_claimed(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    assert basislake(slow, "instruments", "--lake", tmp_path).code == 0
    first = start(slow, tmp_path, "--threads", "1")
    wait_until(first, lambda: slow.calls_of(CHART) > 1)
    second = start(slow, tmp_path, "--threads", "1")
    wait_until(second, lambda: slow.calls_of(CHART) > ideal_calls(universe) // 2)
    first.kill()
    first.communicate()
    _, told = second.communicate(timeout=120)
    assert second.returncode == 0, told
    assert rows(lake.open(str(tmp_path)), "raw_candles").equals(truths(universe))


def test_another_terminal_sees_what_a_running_backfill_does(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    process = start(slow, tmp_path, "--threads", "1")
    wait_until(process, lambda: slow.calls_of(CHART) > 15)
    (running,) = _status(tmp_path)["running"]
    shown = basislake(None, "status", "--lake", tmp_path).out
    _, told = process.communicate(timeout=60)
    assert running["pid"] == process.pid
    assert running["windows_done"] > 0
    assert running["windows_done"] + running["windows_left"] == ideal_calls(universe)
    assert running["instruments_now"]
    assert running["seconds_left"] > 0
    assert re.search(r"\[\d+/\d+\] \d+\.\d calls/s, 0:00:\d\d left, .* 0 retries", shown)
    (log,) = (tmp_path / "runs").glob("*.log")
    assert str(log) in told
    lines = log.read_text().splitlines()
    assert {line.split()[1] for line in lines} == set(universe.contracts)
    assert all(" complete calls=" in line for line in lines)


def test_a_full_disk_keeps_what_was_committed_and_a_rerun_finishes(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)):
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = basislake(slow, "backfill", "--lake", disk / "lake", "--json")
        assert done.code == 1
        assert "Traceback" not in done.err
        assert "No space left" in done.err
        stored = rows(lake.open(str(disk / "lake")), "raw_candles")
        assert 0 < stored.height < truths(universe).height
        assert stored.join(truths(universe), on=stored.columns, how="anti").is_empty()
        assert basislake(None, "status", "--lake", disk / "lake", "--json").code == 0
        _mount("-o", "remount,size=64m", str(disk))
        assert basislake(slow, "backfill", "--lake", disk / "lake").code == 0
        assert rows(lake.open(str(disk / "lake")), "raw_candles").equals(truths(universe))
        assert slow.calls_of(CHART) <= 1.25 * ideal_calls(universe)
    finally:
        _unmount(disk)


def test_a_lake_that_can_no_longer_be_written_says_so_and_stays_readable(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    process = start(slow, tmp_path)
    wait_until(process, lambda: slow.calls_of(CHART) > ideal_calls(universe) // 2)
    # A folder's rights do not bind the superuser; a mount that is read-only does.
    if _mount("--bind", str(tmp_path), str(tmp_path)):
        process.kill()
        process.communicate()
        pytest.skip("a folder cannot be made read-only here")
    try:
        wait_until(process, lambda: not _mount("-o", "remount,ro,bind", str(tmp_path)))
        _, told = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" not in told
        assert "Read-only file system" in told
        stored = rows(lake.open(str(tmp_path)), "raw_candles")
        assert 0 < stored.height < truths(universe).height
        assert stored.join(truths(universe), on=stored.columns, how="anti").is_empty()
        again = basislake(slow, "backfill", "--lake", tmp_path)
        assert again.code == 1
        assert "Traceback" not in again.err
    finally:
        _unmount(tmp_path)
    assert basislake(slow, "backfill", "--lake", tmp_path).code == 0
    assert rows(lake.open(str(tmp_path)), "raw_candles").equals(truths(universe))
    assert slow.calls_of(CHART) <= 1.25 * ideal_calls(universe)


def _mount(*arguments: str) -> int:
    program = shutil.which("mount") or "mount"
    return subprocess.run([program, *arguments], check=False, capture_output=True).returncode


def _unmount(folder: Path) -> None:
    subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True)


def _status(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(
        basislake(None, "status", "--lake", folder, "--json").out
    )
    return found
