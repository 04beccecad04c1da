"""Locks on subjects in a real folder, among real processes."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.backfill.locks import SubjectLocks
from ingest.datasets.candles import candles_of
from lake.errors import LakeError
from tests.processes import PATIENCE_S

ROOT = Path(__file__).parent.parent

# Locks the instruments one by one, prints the results, and keeps the locks until it ends.
CLAIMER = """
import sys
from pathlib import Path
from ingest.backfill.locks import SubjectLocks
from ingest.datasets.candles import candles_of

claims = SubjectLocks(Path(sys.argv[1]))
print(*(claims.take(candles_of(name)) for name in sys.argv[2:]), flush=True)
sys.stdin.readline()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that lock instruments; those still running at the end are killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*names: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CLAIMER, str(tmp_path / "claims"), *names]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        with process:
            continue


def message(process: subprocess.Popen[str]) -> list[str]:
    """Which of its locks a process got."""
    assert process.stdout
    return process.stdout.readline().split()


def test_of_two_processes_one_gets_an_instrument_and_the_other_is_told(
    tmp_path: Path, started: Start
) -> None:
    first = started("BTC-28JUN19", "BTC-PERPETUAL")
    assert message(first) == ["True", "True"]
    assert message(started("BTC-PERPETUAL", "ETH-PERPETUAL")) == ["False", "True"]
    own = SubjectLocks(tmp_path / "claims")
    assert [own.take(candles_of(name)) for name in ("BTC-28JUN19", "BTC-27SEP19")] == [False, True]


def test_processes_that_claim_at_once_never_share_an_instrument(started: Start) -> None:
    names = [f"I{i}" for i in range(20)]
    both = [started(*names), started(*reversed(names))]
    got = [message(process) for process in both]
    mine, others = (got[0], got[1][::-1])
    assert all(sorted(pair) == ["False", "True"] for pair in zip(mine, others, strict=True))


def test_what_a_killed_process_had_claimed_is_free_at_once(tmp_path: Path, started: Start) -> None:
    first = started("BTC-PERPETUAL")
    assert message(first) == ["True"]
    own = SubjectLocks(tmp_path / "claims")
    assert not own.take(candles_of("BTC-PERPETUAL"))
    first.kill()
    first.wait(PATIENCE_S)
    assert own.take(candles_of("BTC-PERPETUAL"))
    assert message(started("BTC-PERPETUAL")) == ["False"]


def test_a_process_that_ends_leaves_nothing_claimed(tmp_path: Path, started: Start) -> None:
    first = started("A", "B")
    assert message(first) == ["True", "True"]
    first.communicate("\n", timeout=PATIENCE_S)
    own = SubjectLocks(tmp_path / "claims")
    assert own.take(candles_of("A"))
    assert own.take(candles_of("B"))


def test_of_two_runs_in_one_process_one_gets_an_instrument(tmp_path: Path) -> None:
    one, other = SubjectLocks(tmp_path), SubjectLocks(tmp_path)
    assert one.take(candles_of("A"))
    assert not other.take(candles_of("A"))
    assert other.take(candles_of("B"))
    one.release(candles_of("A"))
    assert other.take(candles_of("A"))
    assert not one.take(candles_of("A"))


def test_a_claim_may_be_released_by_another_thread(tmp_path: Path) -> None:
    one, other = SubjectLocks(tmp_path), SubjectLocks(tmp_path)
    thread = threading.Thread(target=one.take, args=[candles_of("A")])
    thread.start()
    thread.join()
    assert not other.take(candles_of("A"))
    one.release(candles_of("A"))
    assert other.take(candles_of("A"))


def test_all_claims_are_released_together_and_what_was_not_claimed_stays_so(tmp_path: Path) -> None:
    one, other = SubjectLocks(tmp_path), SubjectLocks(tmp_path)
    assert one.take(candles_of("A"))
    assert one.take(candles_of("B"))
    assert other.take(candles_of("C"))
    one.release(candles_of("C"))
    one.release_all()
    one.release_all()
    assert not one.take(candles_of("C"))
    assert [other.take(candles_of(name)) for name in "AB"] == [True, True]


def test_nothing_is_made_before_the_first_claim(tmp_path: Path) -> None:
    claims = SubjectLocks(tmp_path / "a" / "claims")
    claims.release_all()
    assert list(tmp_path.iterdir()) == []
    assert claims.take(candles_of("A"))


@pytest.mark.parametrize("where", ["file", "file/claims"])
def test_a_folder_that_cannot_be_written_is_a_lake_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LakeError, match=r"BTC-PERPETUAL cannot be locked at .*file.*safe"):
        SubjectLocks(tmp_path / where).take(candles_of("BTC-PERPETUAL"))
