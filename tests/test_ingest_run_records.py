"""Records of runs in real lakes, one of them left by a killed process."""

import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from basislake.status.runs_shown import running_line
from ingest.backfill.processes import start_of
from ingest.backfill.run_records import KEPT, RunRecord, runs
from lake import Lake
from lake import open as open_lake
from lake.errors import LakeError
from tests.processes import PATIENCE_S, Start, line_of, wait_until

START = datetime(2024, 4, 5, 12, 0, tzinfo=UTC)
PLAN = {"calls": 3, "candles": 12_000, "seconds_at_rate": None}


# Begins a run, and goes on until a signal ends it.
WAITER = """
import signal, sys
from lake import open as open_lake
from ingest.backfill.run_records import RunRecord

print(RunRecord(open_lake(sys.argv[1]), "test 1", {"calls": 3}).id, flush=True)
signal.pause()
"""


class Clock:
    """This machine's clock, moved by the test."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def folder(at: Lake) -> Path:
    return Path(at.uri) / "runs"


def begun(at: Lake, clock: Clock) -> RunRecord:
    return RunRecord(at, "test 1", PLAN, clock)


def states(at: Lake, now: datetime) -> list[str]:
    return [record["state"] for record in runs(at, 10, now)]


def rewrite(record: RunRecord, at: Lake, **facts: object) -> None:
    """Change what the record says, as another machine or another program would have it."""
    path = folder(at) / f"{record.id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_a_record_tells_from_the_start_who_runs_what(at: Lake, clock: Clock) -> None:
    record = begun(at, clock)
    assert re.fullmatch(r"20240405T120000Z-00000[0-9a-f]{3}", record.id)
    (found,) = runs(at, 10, clock())
    assert found == {
        "run": record.id,
        "state": "running",
        "started_at": "2024-04-05T12:00:00Z",
        "updated_at": "2024-04-05T12:00:00Z",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_start": start_of(os.getpid()),
        "program": "test 1",
        "plan": PLAN,
        "quiet_seconds": 0.0,
        "is_stopped": False,
    }
    written = json.loads((folder(at) / f"{record.id}.json").read_text())
    assert {**found, **written} == found


def test_a_record_is_renewed_about_once_a_second_and_keeps_what_is_not_reported_again(
    at: Lake, clock: Clock
) -> None:
    record = begun(at, clock)
    message: list[int] = []

    def facts() -> Mapping[str, Any]:
        message.append(len(message))
        return {"calls": len(message)}

    for _ in range(8):
        clock.move(0.25)
        record.renew(facts)
    assert len(message) == 2
    (found,) = runs(at, 10, clock())
    assert (found["calls"], found["plan"], found["state"]) == (2, PLAN, "running")
    assert found["updated_at"] == "2024-04-05T12:00:02Z"
    record.end("done", {"calls": 7, "failed": [{"instrument": "A", "reason": "größer"}]})
    (found,) = runs(at, 10, clock())
    assert (found["calls"], found["state"]) == (7, "done")
    assert found["failed"] == [{"instrument": "A", "reason": "größer"}]


def test_the_newest_runs_come_first_and_only_so_many(at: Lake, clock: Clock) -> None:
    ids = []
    for state in ("done", "failed", "interrupted", "refused"):
        record = begun(at, clock)
        record.end(state, {})
        ids.append(record.id)
        # Within one second.
        clock.move(0.1)
    assert [record["run"] for record in runs(at, 3, clock())] == ids[:0:-1]
    assert states(at, clock()) == ["refused", "interrupted", "failed", "done"]
    assert runs(at, 0, clock()) == []
    # What ended stays as it ended, however long ago.
    assert states(at, clock() + timedelta(days=900))[0] == "refused"


def test_a_lake_without_runs_has_none(at: Lake) -> None:
    assert runs(at, 10) == []
    assert not Path(at.uri).exists()


# The start of this process, where the system tells it.
OURS = start_of(os.getpid())
NOBODY = 2**22 + 1


@pytest.mark.parametrize(
    ("facts", "seconds", "state"),
    [
        ({}, 60, "running"),
        ({}, 61, "stuck"),
        ({}, 86_400, "stuck"),
        # A run of another machine counts as killed once it is silent.
        ({"host": "elsewhere", "pid": NOBODY}, 30, "running"),
        ({"host": "elsewhere", "pid": NOBODY}, 31, "killed"),
        ({"pid": NOBODY}, 0, "killed"),
        # A process of another user.
        ({"pid": 1, "pid_start": start_of(1)}, 0, "running"),
        # Between its rounds a follow builds and compacts, for minutes.
        ({"follow": {}}, 600, "running"),
        ({"follow": {}}, 601, "stuck"),
        # A process of this number is there, but it may be another one.
        ({"pid_start": None}, 600, "stuck"),
        ({"pid_start": None}, 601, "killed"),
        pytest.param(
            {"pid_start": (OURS or 0) - 1},
            0,
            "killed",
            marks=pytest.mark.skipif(OURS is None, reason="no process tells its start here"),
        ),
    ],
)
def test_a_run_is_running_stuck_or_killed_by_its_process_and_by_how_long_it_is_quiet(
    at: Lake, clock: Clock, facts: dict[str, object], seconds: float, state: str
) -> None:
    rewrite(begun(at, clock), at, **facts)
    (found,) = runs(at, 10, clock() + timedelta(seconds=seconds))
    assert found["state"] == state
    if state != "killed":
        assert found["quiet_seconds"] == seconds
        assert ("no progress for" in running_line(found)) == (state == "stuck" or seconds > 15)


def test_a_run_whose_process_was_stopped_is_stuck_and_of_one_that_was_killed_killed_at_once(
    at: Lake, started: Start
) -> None:
    if start_of(os.getpid()) is None:
        pytest.skip("this system does not say whether a process is stopped")
    process = started(WAITER, at.uri)
    line_of(process)
    now = datetime.now(UTC)
    assert states(at, now) == ["running"]
    process.send_signal(signal.SIGSTOP)
    wait_until(process, lambda: states(at, now) == ["stuck"])
    (found,) = runs(at, 10, now)
    assert running_line(found).startswith("Stuck: backfill ")
    assert f"to continue it:\n  kill -CONT {process.pid}\n" in running_line(found)
    process.send_signal(signal.SIGCONT)
    wait_until(process, lambda: states(at, now) == ["running"])
    process.kill()
    # Nobody has waited for it yet, so its number is still taken.
    wait_until(None, lambda: states(at, now) == ["killed"])
    process.wait(PATIENCE_S)
    assert states(at, now) == ["killed"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[]", "{}", "NaN", '{"run": "x", "state": "running"}', "\0" * 64),
        b"\xff\xfe",
        {"updated_at": "soon"},
        {"updated_at": "2024-01-01T00:00:00"},
        {"pid": "x"},
        {"plan": None, "pid": None},
    ],
)
def test_what_is_no_record_is_passed_over(
    at: Lake, clock: Clock, text: str | bytes | dict[str, object]
) -> None:
    record = begun(at, clock)
    if isinstance(text, dict):
        text = json.dumps(json.loads((folder(at) / f"{record.id}.json").read_text()) | text)
    record.end("done", {})
    for name in ("0.json", "9.json"):
        (folder(at) / name).write_bytes(text.encode() if isinstance(text, str) else text)
    assert [found["run"] for found in runs(at, 10, clock())] == [record.id]


def test_the_log_has_a_line_for_each_instrument_to_be_searched_for(at: Lake, clock: Clock) -> None:
    record = begun(at, clock)
    assert record.log == folder(at) / f"{record.id}.log"
    record.tell("BTC-28JUN19", "complete", {"calls": 3, "missing": 0})
    clock.move(61)
    reason = 'the exchange said "no"\nand more = nothing'
    record.tell("BTC-PERPETUAL", "failed", {"calls": 1, "note": "", "reason": reason})
    lines = record.log.read_text(encoding="utf-8").splitlines()
    assert lines == [
        "2024-04-05T12:00:00Z BTC-28JUN19 complete calls=3 missing=0",
        '2024-04-05T12:01:01Z BTC-PERPETUAL failed calls=1 note="" reason=' + json.dumps(reason),
    ]
    assert [line for line in lines if " BTC-28JUN19 " in line] == lines[:1]


def test_the_oldest_documents_are_deleted_when_a_run_begins(at: Lake, clock: Clock) -> None:
    folder(at).mkdir(parents=True)
    for number in range(KEPT + 5):
        (folder(at) / f"20240101T{number:06}Z-abcdef.json").write_text("{}")
    record = begun(at, clock)
    left = sorted(path.name for path in folder(at).iterdir())
    assert len(left) == KEPT
    assert left[0] == "20240101T000006Z-abcdef.json"
    assert left[-1] == f"{record.id}.json"


def test_a_lake_that_cannot_be_written_refuses_the_run(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LakeError, match="cannot be written"):
        begun(open_lake(str(tmp_path / "file" / "lake")), clock)


def test_a_run_goes_on_though_its_record_can_no_longer_be_written(at: Lake, clock: Clock) -> None:
    record = begun(at, clock)
    shutil.rmtree(folder(at))
    folder(at).write_text("not a folder")
    clock.move(5)
    record.renew(lambda: {"calls": 1})
    record.tell("A", "complete", {})
    record.end("done", {})
    assert (record.facts["calls"], record.facts["state"]) == (1, "done")


def test_a_lake_in_an_object_store_has_records_but_no_log(clock: Clock) -> None:
    record = begun(open_lake("memory:///lake"), clock)
    assert record.log is None
    record.tell("A", "complete", {})
    record.end("done", {})
    assert record.facts["state"] == "done"


@pytest.mark.parametrize(
    ("rates", "shown"),
    [
        ({"calls_per_second": 4.93, "calls_per_second_limit": 5.0}, "4.9 of 5 calls/s, "),
        ({"calls_per_second": 66.5, "calls_per_second_limit": None}, "66.5 calls/s, "),
        (
            {
                "calls_per_second": 17.0,
                "calls_per_second_limit": 20.0,
                "calls_per_second_allowed": 9.96,
                "throttled": 3,
            },
            "17.0 of 20 calls/s (at most 10.0 now, after refusals), ",
        ),
        (
            {
                "calls_per_second": 5.0,
                "calls_per_second_limit": 20.0,
                "calls_per_second_allowed": 6.21,
            },
            "5.0 of 20 calls/s (at most 6.2 now), ",
        ),
        ({}, "0.0 calls/s, "),
    ],
)
def test_the_rate_of_a_run_is_shown_with_the_limit_that_it_kept(
    rates: dict[str, float | None], shown: str
) -> None:
    line = running_line({"run": "1", "pid": 1, "host": "here", **rates})
    assert f"[0/0] {shown}0 candles" in line
