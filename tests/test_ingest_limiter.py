"""The rate limit in a real file, among real threads and real processes."""

import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.rate_limit.limiter import Limiter
from ingest.rate_limit.policy import BURST_S, LONGEST_WAIT_S
from lake.errors import LakeError, StoppedError
from tests.clocks import Time
from tests.processes import PATIENCE_S, Start, line_of

URL = "https://www.deribit.com"

CALLER = """
import sys
from pathlib import Path
from ingest.rate_limit.limiter import Limiter

folder, rate, calls, url = sys.argv[1:]
limiter = Limiter(float(rate), folder=Path(folder), url=url)
for _ in range(int(calls)):
    print(repr(limiter.wait()), flush=True)
"""

# Dies with the shared file locked, in the midst of a change.
HOLDER = """
import sys, time
from pathlib import Path
from ingest.rate_limit.limiter import Limiter

folder, url = sys.argv[1:]
with Limiter(5, folder=Path(folder), url=url)._cell.changing():
    print("held", flush=True)
    time.sleep(600)
"""


def limiter(time: Time, rate: float, folder: Path | None, url: str = URL) -> Limiter:
    return Limiter(rate, folder=folder, url=url, clock=time, sleep=time.sleep)


@pytest.fixture(params=["memory", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The folder of the rate limit, if any; the limiter creates it."""
    return tmp_path / "a" / "b" if request.param == "folder" else None


def assert_rate_kept(times: list[float], rate: float) -> None:
    """In no stretch of time were there more calls than the rate and a burst."""
    times = sorted(times)
    for i, first in enumerate(times):
        for count, last in enumerate(times[i:], start=1):
            assert count <= (last - first + BURST_S) * rate + 1 + 1e-3


def test_threads_keep_the_rate_together(folder: Path | None) -> None:
    shared = Limiter(50, folder=folder, url=URL)
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(shared.wait) for _ in range(40)]
        times = [wait.result(PATIENCE_S) for wait in waits]
    shared.close()
    assert_rate_kept(times, 50)


def test_processes_that_share_a_folder_keep_the_rate_together(
    tmp_path: Path, started: Start
) -> None:
    processes = [started(CALLER, tmp_path, 40, 15, URL) for _ in range(3)]
    outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    times = [[float(line) for line in output.splitlines()] for output in outputs]
    assert [len(own) for own in times] == [15, 15, 15]
    assert_rate_kept([time for own in times for time in own], 40)


def test_a_process_killed_while_it_changes_the_pace_holds_nobody_up(
    tmp_path: Path, started: Start
) -> None:
    holder = started(HOLDER, tmp_path, URL)
    assert line_of(holder) == "held\n"
    waiting = started(CALLER, tmp_path, 5, 1, URL)
    own = Limiter(5, folder=tmp_path, url=URL)
    with ThreadPoolExecutor(1) as pool:
        leave = pool.submit(own.wait)
        with pytest.raises(TimeoutError):
            leave.result(0.2)
        holder.kill()
        assert leave.result(PATIENCE_S) > 0
    assert float(waiting.communicate(timeout=PATIENCE_S)[0]) > 0
    own.close()


def test_a_process_killed_between_calls_leaves_a_pace_that_others_go_on_with(
    tmp_path: Path, started: Start
) -> None:
    caller = started(CALLER, tmp_path, 100_000, 1_000_000, URL)
    for _ in range(200):
        line_of(caller)
    caller.kill()
    caller.wait(PATIENCE_S)
    own = Limiter(5, folder=tmp_path, url=URL)
    assert own.wait() > 0
    own.close()


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o077, 0o600)])
def test_the_umask_decides_who_may_share_the_pace(
    tmp_path: Path, started: Start, umask: int, mode: int
) -> None:
    caller = started(f"import os; os.umask({umask}){CALLER}", tmp_path, 5, 1, URL)
    assert float(caller.communicate(timeout=PATIENCE_S)[0]) > 0
    found = {
        path.name.partition(".")[2]: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()
    }
    assert found == {"": mode, "lock": mode}


def test_a_refusal_that_one_notes_pauses_all_on_the_same_folder(tmp_path: Path) -> None:
    time = Time()
    one, other = limiter(time, 20, tmp_path), limiter(time, 20, tmp_path)
    unlimited = limiter(time, 0, tmp_path)
    elsewhere = limiter(time, 20, tmp_path, "https://test.deribit.com")
    start_s = one.wait()
    assert unlimited.wait() == start_s
    one.refused(start_s, 7.0)
    assert elsewhere.wait() == start_s
    assert unlimited.wait() == pytest.approx(start_s + 7.0)
    assert other.wait() == pytest.approx(start_s + 7.0, abs=0.2)
    for _ in range(5):
        one.answered()
        one.refused(other.wait(), 0.5)
    assert elsewhere.calls_per_second == 20
    assert other.calls_per_second <= 20 / 2


def test_an_answer_that_one_gets_ends_the_row_of_refusals_of_all(tmp_path: Path) -> None:
    time = Time()
    one, other = limiter(time, 20, tmp_path), limiter(time, 20, tmp_path)
    pauses = []
    for is_answered in (False, False, True, False):
        asked_at = one.wait()
        one.refused(asked_at, None)
        resumed_at = other.wait()
        pauses.append(resumed_at - asked_at)
        if is_answered:
            other.answered()
    assert pauses == pytest.approx([0.15, 0.3, 0.6, 0.15], abs=0.01)


def test_an_answer_writes_nothing_where_nothing_was_refused(tmp_path: Path) -> None:
    own = limiter(Time(), 20, tmp_path)
    own.answered()
    assert list(tmp_path.iterdir()) == []


def test_the_allowed_rate_is_the_limit_or_less_after_a_refusal(folder: Path | None) -> None:
    time = Time()
    assert limiter(time, 0, None).calls_per_second == math.inf
    own = limiter(time, 8, folder)
    assert own.calls_per_second == 8
    own.refused(own.wait(), None)
    assert own.calls_per_second == 8
    for _ in range(5):
        own.answered()
        own.refused(own.wait(), None)
    assert own.calls_per_second <= 4
    time.sleep(3_600)
    assert own.calls_per_second == 8
    own.close()


def test_lists_do_not_wait_for_candles_but_for_a_refusal(folder: Path | None) -> None:
    time = Time()
    own = limiter(time, 0.5, folder)
    start_s = own.wait()
    assert [own.wait(to_list=True) for _ in range(20)] == [start_s] * 20
    own.refused(start_s, 3.0)
    assert own.wait(to_list=True) == pytest.approx(start_s + 3.0)
    own.close()


def test_a_wait_is_made_of_short_naps_so_that_a_stop_is_noticed(folder: Path | None) -> None:
    time = Time()
    own = limiter(time, 5, folder)
    start_s = own.wait()
    own.refused(start_s, LONGEST_WAIT_S)
    assert own.wait() == pytest.approx(start_s + LONGEST_WAIT_S)
    assert time.longest_s <= 0.5
    own.close()


def test_stopping_wakes_all_that_wait_and_gives_no_more_leave(folder: Path | None) -> None:
    naps = threading.Semaphore(0)

    def nap(_: float) -> None:
        naps.release()
        time.sleep(0.01)

    own = Limiter(1, folder=folder, url=URL, sleep=nap)
    own.refused(own.wait(), LONGEST_WAIT_S)
    with ThreadPoolExecutor(3) as pool:
        waits: list[Future[float]] = [pool.submit(own.wait, to_list=i == 2) for i in range(3)]
        for _ in range(6):
            assert naps.acquire(timeout=PATIENCE_S)
        own.stop()
        for wait in waits:
            with pytest.raises(StoppedError):
                wait.result(PATIENCE_S)
    with pytest.raises(StoppedError):
        own.wait()
    own.close()


@pytest.mark.parametrize("found", [b"", b"half", b"\0" * 256, b"\xff" * 256, b"\x7f" * 256])
def test_a_file_without_a_rate_state_is_replaced(tmp_path: Path, found: bytes) -> None:
    time = Time()
    limiter(time, 5, tmp_path).wait()
    (file,) = (path for path in tmp_path.iterdir() if path.suffix != ".lock")
    size = file.stat().st_size
    file.write_bytes(found[:size])
    own = limiter(time, 5, tmp_path)
    assert own.wait() == 1_000_000.0
    assert own.calls_per_second == 5
    assert file.stat().st_size == size


def test_a_clock_that_was_set_back_holds_nobody_up(tmp_path: Path) -> None:
    time = Time()
    ahead = limiter(time, 5, tmp_path)
    ahead.refused(ahead.wait(), LONGEST_WAIT_S)
    time.now_s -= 86_400
    start_s = time.now_s
    assert limiter(time, 5, tmp_path).wait() == start_s


@pytest.mark.parametrize("where", ["file", "file/folder"])
def test_a_folder_that_cannot_be_written_is_a_lake_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    own = limiter(Time(), 5, tmp_path / where)
    for use in (own.wait, lambda: own.refused(0.0, None), lambda: own.calls_per_second):
        with pytest.raises(LakeError, match=r"file.*Run the command again.*safe"):
            use()


def test_a_password_in_the_url_shows_in_no_file(tmp_path: Path) -> None:
    hidden = limiter(Time(), 5, tmp_path, "https://me:hush@www.deribit.com")
    hidden.wait()
    names = {path.name for path in tmp_path.iterdir()}
    assert all("hush" not in name and "me:" not in name for name in names)
    assert all(b"hush" not in path.read_bytes() for path in tmp_path.iterdir())
    # It is the same exchange with and without, and another port is another exchange.
    limiter(Time(), 5, tmp_path).wait()
    assert {path.name for path in tmp_path.iterdir()} == names
    limiter(Time(), 5, tmp_path, f"{URL}:8443").wait()
    assert len(list(tmp_path.iterdir())) == 2 * len(names)
