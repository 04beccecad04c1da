"""Backfills that end before they are done: killed, interrupted, out of disk, out of rights."""

import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.errors import LakeError
from lake.history.as_of import past
from lake.table import BATCH
from lake.tables import ASKS, COVERAGE, RAW_CANDLES
from tests.gates import Gate
from tests.market import basislake, command, fetch, ideal_calls, rows, status_of, truths
from tests.processes import ended, mount, running, small_disk, unmount, wait_until
from tests.tiers import slow_but

# A call that is waited for takes longer than any test.
MOST_TIMEOUT_S = 3_600
STOPS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def backfilling(
    server: SimulatedExchange, folder: Path, *more: object
) -> AbstractContextManager[subprocess.Popen[str]]:
    options = ("--no-doctor", "--lake", folder, "--data", "candles")
    return running(command(server, "backfill", *options, *more))


def saved(folder: Path) -> int:
    return open_lake(str(folder)).snapshot(RAW_CANDLES).rows


@pytest.mark.parametrize("how", slow_but([signal.SIGKILL], STOPS))
def test_a_killed_backfill_is_finished_by_the_next_one(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, how: signal.Signals
) -> None:
    total = ideal_calls(universe)
    with Gate(server, total // 2) as gate, backfilling(server, tmp_path) as process:
        wait_until(process, lambda: gate.is_holding and saved(tmp_path) > 0)
        process.send_signal(how)
        done = ended(process)
    stored = saved(tmp_path)
    assert 0 < stored < truths(universe).height
    if how != signal.SIGKILL:
        assert done.code == 128 + how
        assert "Interrupted. What was committed is safe" in done.err
        assert f"saved: {stored:,} new candles, everything that arrived;" in done.err
        assert "Traceback" not in done.err
    done = basislake(server, "backfill", "--no-doctor", "--lake", tmp_path, "--json")
    assert done.code == 0, done.err
    assert server.calls_of(CHART) <= 1.25 * total
    assert rows(open_lake(str(tmp_path)), "raw_candles").equals(truths(universe))
    states = [record["state"] for record in status_of(tmp_path)["runs"]]
    assert states == ["done", "killed" if how == signal.SIGKILL else "interrupted"]


@pytest.mark.slow
def test_an_interruption_does_not_wait_for_calls_that_hang(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    with (
        Gate(server, 0) as gate,
        backfilling(server, tmp_path, "--timeout", MOST_TIMEOUT_S) as process,
    ):
        wait_until(process, lambda: gate.is_holding)
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130
        assert gate.is_holding


@pytest.mark.slow
def test_two_backfills_at_once_share_the_work(
    universe: Universe, server: SimulatedExchange, tmp_path: Path
) -> None:
    assert basislake(server, "instruments", "--lake", tmp_path).code == 0
    options = ("--threads", "2", "--json")
    with (
        Gate(server, 0) as gate,
        backfilling(server, tmp_path, *options) as one,
        backfilling(server, tmp_path, *options) as two,
    ):
        # One of them has two under way at most.
        wait_until(one, lambda: server.calls_of(CHART) > 2)
        gate.open()
        ends = [ended(process) for process in (one, two)]
    assert [end.code for end in ends] == [0, 0], ends
    text = [end.json for end in ends]
    assert [each["complete"] for each in text] == [len(universe.contracts)] * 2
    assert sum(each["candles_written"] for each in text) == truths(universe).height
    assert all(each["calls"] > 0 for each in text)
    assert server.calls_of(CHART) == ideal_calls(universe)
    assert server.counters.repeats == 0
    assert rows(open_lake(str(tmp_path)), "raw_candles").equals(truths(universe))


@pytest.mark.parametrize(
    ("table", "calls"),
    slow_but([("coverage", 0)], [("raw_candles", 1), ("asks", 1), ("coverage", 0)]),
)
def test_what_ends_between_the_commits_of_a_batch_is_put_right_by_the_next_run(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, table: str, calls: int
) -> None:
    """A batch is a commit of candles, one of `asks`, and one of the resulting coverage."""
    lake, total = open_lake(str(tmp_path / "lake")), ideal_calls(universe)
    folder, away = tmp_path / "lake" / table, tmp_path / "away"
    with Gate(server, total - 1) as gate, ThreadPoolExecutor(1) as thread:
        run = thread.submit(fetch, server, lake)
        wait_until(None, lambda: gate.is_holding and answered_windows(lake) == total - 1)
        folder.rename(away)
        folder.write_text("not a folder")
        gate.open()
        with pytest.raises(LakeError, match=table):
            run.result()
    folder.unlink()
    away.rename(folder)
    lacking = truths(universe).height - saved(tmp_path / "lake")
    assert (lacking > 0) == (table == "raw_candles")
    server.forget_calls()
    result = fetch(server, lake)
    # What is known to have been asked is not asked again, and what is stored not stored again.
    assert (result.calls, server.calls_of(CHART)) == (calls, calls)
    assert (result.failed, result.candles_written) == ([], lacking)
    assert rows(lake, "raw_candles").equals(truths(universe))
    found = lake.read(COVERAGE)
    assert set(found["status"]) == {"present", "no_data"}
    assert found.filter(status="present")["minutes"].sum() == truths(universe).height
    assert found.equals(past(lake, newest_batch(lake)).read(COVERAGE))


def answered_windows(lake: Lake) -> int:
    """Windows whose batches are complete."""
    asks = lake.snapshot(ASKS)
    is_whole = lake.snapshot(COVERAGE).counter(BATCH) == asks.counter(BATCH)
    return asks.read().n_unique(["instrument", "window_start"]) if is_whole else 0


@pytest.mark.slow
def test_a_backfill_takes_over_what_a_killed_one_had_claimed(
    universe: Universe, server: SimulatedExchange, tmp_path: Path
) -> None:
    assert basislake(server, "instruments", "--lake", tmp_path).code == 0
    # The second call of the first hangs, and no other.
    with (
        Gate(server, 1, holds=1) as gate,
        backfilling(server, tmp_path, "--threads", "1") as first,
    ):
        wait_until(first, lambda: gate.is_holding)
        with backfilling(server, tmp_path, "--threads", "1") as second:
            wait_until(second, lambda: server.calls_of(CHART) > ideal_calls(universe) // 2)
            first.kill()
            done = ended(second)
    assert done.code == 0, done.err
    assert rows(open_lake(str(tmp_path)), "raw_candles").equals(truths(universe))


@pytest.mark.slow
def test_another_terminal_sees_what_a_running_backfill_does(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    total = ideal_calls(universe)
    # It writes down how far it is about once a second, as windows are done; the last one waits.
    with (
        Gate(slow, total - 1) as gate,
        backfilling(slow, tmp_path, "--threads", "1") as process,
    ):
        wait_until(process, lambda: saved(tmp_path) > 0)
        seen: list[dict[str, Any]] = []

        def is_seen() -> bool:
            seen[:] = [each for each in status_of(tmp_path)["running"] if each.get("windows_done")]
            return bool(seen)

        wait_until(process, is_seen)
        shown = basislake(None, "status", "--lake", tmp_path).out
        gate.open()
        done = ended(process)
    (record,) = seen
    assert record["pid"] == process.pid
    assert record["windows_done"] + record["windows_left"] == total
    assert record["instruments_now"]
    assert record["seconds_left"] > 0
    assert re.search(r"\[\d+/\d+\] \d+\.\d calls/s, \d:\d\d:\d\d left, .*\n  0 retries", shown)
    (log,) = (tmp_path / "runs").glob("*.log")
    assert str(log) in done.err
    lines = log.read_text().splitlines()
    assert {line.split()[1] for line in lines} == set(universe.contracts)
    assert all(" complete calls=" in line for line in lines)


@pytest.fixture
def slow(universe: Universe) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(universe, delay_s=0.1) as running:
        yield running


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_committed_and_a_rerun_finishes(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "1m") as grow:
        chosen = ("--no-doctor", "--lake", disk / "lake", "--data", "candles")
        done = basislake(slow, "backfill", *chosen, "--json")
        assert done.code == 1
        assert "Traceback" not in done.err
        assert "No space left" in done.err
        stored = rows(open_lake(str(disk / "lake")), "raw_candles")
        assert 0 < stored.height < truths(universe).height
        assert stored.join(truths(universe), on=stored.columns, how="anti").is_empty()
        assert basislake(None, "status", "--lake", disk / "lake", "--json").code == 0
        grow("64m")
        assert basislake(slow, "backfill", *chosen).code == 0
        assert rows(open_lake(str(disk / "lake")), "raw_candles").equals(truths(universe))
        assert slow.calls_of(CHART) <= 1.25 * ideal_calls(universe)


@pytest.mark.slow
def test_a_lake_that_can_no_longer_be_written_says_so_and_stays_readable(
    universe: Universe, server: SimulatedExchange, tmp_path: Path
) -> None:
    with (
        ExitStack() as mounts,
        Gate(server, ideal_calls(universe) // 2) as gate,
        backfilling(server, tmp_path) as process,
    ):
        wait_until(process, lambda: gate.is_holding and saved(tmp_path) > 0)
        # A folder's rights do not bind the superuser; a mount that is read-only does.
        if mount("--bind", str(tmp_path), str(tmp_path)):
            pytest.skip("a folder cannot be made read-only here")
        mounts.callback(unmount, tmp_path)
        wait_until(process, lambda: not mount("-o", "remount,ro,bind", str(tmp_path)))
        gate.open()
        done = ended(process)
        assert done.code == 1
        assert "Traceback" not in done.err
        assert "Read-only file system" in done.err
        stored = rows(open_lake(str(tmp_path)), "raw_candles")
        assert 0 < stored.height < truths(universe).height
        assert stored.join(truths(universe), on=stored.columns, how="anti").is_empty()
        again = basislake(server, "backfill", "--lake", tmp_path)
        assert again.code == 1
        assert "Traceback" not in again.err
    assert basislake(server, "backfill", "--lake", tmp_path).code == 0
    assert rows(open_lake(str(tmp_path)), "raw_candles").equals(truths(universe))
    assert server.calls_of(CHART) <= 1.25 * ideal_calls(universe)
