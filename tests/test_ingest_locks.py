"""Locks on subjects in a real folder, among real processes."""

import threading
from pathlib import Path

import pytest

from ingest.backfill.locks import SubjectLocks
from ingest.datasets.candles import candles_of
from lake.errors import LakeError
from tests.processes import PATIENCE_S, Start, line_of

# Locks the instruments one by one, prints the results, and keeps the locks until it is killed.
CLAIMER = """
import signal, sys
from pathlib import Path
from ingest.backfill.locks import SubjectLocks
from ingest.datasets.candles import candles_of

claims = SubjectLocks(Path(sys.argv[1]))
print(*(claims.take(candles_of(name)) for name in sys.argv[2:]), flush=True)
signal.pause()
"""


def test_of_two_processes_one_gets_an_instrument_and_the_other_when_the_first_is_killed(
    tmp_path: Path, started: Start
) -> None:
    first = started(CLAIMER, tmp_path, "BTC-28JUN19", "BTC-PERPETUAL")
    assert line_of(first) == "True True\n"
    assert line_of(started(CLAIMER, tmp_path, "BTC-PERPETUAL", "ETH-PERPETUAL")) == "False True\n"
    own = SubjectLocks(tmp_path)
    assert [own.take(candles_of(name)) for name in ("BTC-28JUN19", "BTC-27SEP19")] == [False, True]
    first.kill()
    first.wait(PATIENCE_S)
    assert own.take(candles_of("BTC-28JUN19"))
    assert line_of(started(CLAIMER, tmp_path, "BTC-28JUN19")) == "False\n"


def test_processes_that_claim_at_once_never_share_an_instrument(
    tmp_path: Path, started: Start
) -> None:
    names = [f"I{i}" for i in range(20)]
    both = [started(CLAIMER, tmp_path, *own) for own in (names, reversed(names))]
    got = [line_of(process).split() for process in both]
    mine, others = (got[0], got[1][::-1])
    assert all(sorted(pair) == ["False", "True"] for pair in zip(mine, others, strict=True))


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
