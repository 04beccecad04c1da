"""Log lines of a job without a terminal, and its end at Ctrl-C."""

import itertools
import re
import shlex
import signal
from pathlib import Path

import pytest

from basislake.cli.main import what_goes_on
from basislake.output.screen import log_lines
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.fault_forms import server_error, too_many_requests
from basislake.simulator.server import SimulatedExchange
from ingest.rate_limit.limiter import Limiter
from tests.clocks import Time
from tests.gates import Gate
from tests.market import NOW, Ran, basislake, command
from tests.processes import ended, running, wait_until
from tests.test_output import on_a_terminal

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) \S.*")
AT = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
TWO = ("--instruments", "BTC-5APR24,BTC-PERPETUAL")
# A window of each.
DAY = (*TWO, "--since", "2024-04-04", "--data", "candles")
TRIED = r"BTC-5APR24 from 2024-04-04 00:00Z, try 2 of 3: .*HTTP 502.* Retrying in \d s\."


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("Error: it broke.", [f"{AT} ERROR it broke."]),
        ("Warning: look out: twice", [f"{AT} WARNING look out: twice"]),
        ("Failed: BTC-5APR24: why", [f"{AT} ERROR Failed: BTC-5APR24: why"]),
        ("Rate limited: slowly", [f"{AT} WARNING Rate limited: slowly"]),
        ("Connect:\n\n  psql", [f"{AT} INFO Connect:", f"{AT} INFO psql"]),
        ("Note: so", [f"{AT} INFO so"]),
    ],
)
def test_each_line_of_a_log_has_the_time_and_the_level(message: str, lines: list[str]) -> None:
    assert log_lines(NOW, message).splitlines() == lines


def assert_log(done: Ran) -> list[str]:
    lines = done.err.splitlines()
    assert lines
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    return lines


def test_a_backfill_logs_its_start_its_calls_in_trouble_and_each_finished_instrument(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    server.faults.add(CHART, 1, too_many_requests(), instrument="BTC-PERPETUAL")
    server.faults.add(CHART, None, server_error(), instrument="BTC-5APR24")
    at = tmp_path / "lake"
    done = basislake(server, "backfill", "--lake", at, *DAY, "--retries", "2", "--no-doctor")
    lines = assert_log(done)
    assert done.code == 1
    assert re.search(r"INFO basislake \S+ backfill begins, process \d+\.$", lines[0])
    (tried,) = {re.sub("^.*?WARNING ", "", line) for line in lines if " try " in line}
    assert re.fullmatch(TRIED, tried)
    assert sum("Rate limited: the exchange refuse" in line for line in lines) == 1
    finished = {name: line for line in lines for name in TWO[1].split(",") if f"] {name} " in line}
    numbers = sorted(re.findall(r"\[(\d)/2\]", " ".join(finished.values())))
    assert numbers == ["1", "2"]
    assert re.search(
        r"ERROR Failed: \[.*no answer for .* minutes: .*HTTP 502", finished["BTC-5APR24"]
    )
    assert re.search(
        r"INFO \[.* complete, 2,\d\d\d candles, 2 calls, 1 retry$", finished["BTC-PERPETUAL"]
    )
    # What failed is known to the lake, with the reason.
    server.faults.clear()
    again = basislake(server, "backfill", "--lake", at, *DAY)
    # An instrument that needed nothing has no line; the number counts it.
    assert [line for line in assert_log(again) if "] BTC-PERPETUAL" in line] == []
    assert any("[2/2] BTC-5APR24 complete" in line for line in assert_log(again))


def test_wrong_usage_is_a_log_too_where_no_terminal_is() -> None:
    done = basislake(None, "sql", "--format", "odd")
    assert done.code == 2
    assert " ERROR Invalid value for '--format'" in assert_log(done)[-1]


def test_a_refusal_is_said_once_and_again_when_the_rate_falls_and_when_it_is_back() -> None:
    said: list[str] = []
    time = Time()
    own = Limiter(20, clock=time, sleep=time.sleep, tell=said.append)

    def refuse_often(times: int) -> None:
        for _ in range(times):
            own.refused(own.wait(), None)
            own.answered()

    def call(times: int) -> None:
        for _ in range(times):
            own.wait()
            own.answered()

    # An isolated refusal is said; that it is over needs no line.
    isolated = "Rate limited: the exchange refused a call; continuing at 20.0 of 20 calls/s."
    refuse_often(1)
    call(300)
    assert said == [isolated]
    said.clear()
    refuse_often(20)
    rates = [float(re.findall(r"at ([\d.]+) of 20 calls/s", line)[0]) for line in said]
    assert len(rates) > 2
    assert all(after < before * 0.76 for before, after in itertools.pairwise(rates))
    said.clear()
    call(200)
    assert [line.partition(":")[0] for line in said] == ["Rate found"]
    call(2_000)
    assert said[1:] == ["Full rate again: 20 calls/s."]


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["backfill", "run"])
def test_ctrl_c_says_what_is_true_and_which_command_goes_on(
    server: SimulatedExchange, tmp_path: Path, verb: str
) -> None:
    line = command(server, verb, "--lake", tmp_path / "lake", *TWO)
    with Gate(server, 4) as gate, running(line) as process:
        wait_until(process, lambda: gate.is_holding)
        process.send_signal(signal.SIGINT)
        gate.open()
        done = ended(process)
    lines = assert_log(done)
    assert done.code == 130
    assert re.search(
        r"saved: \d{1,2},\d{3} new candles, everything that arrived; "
        r"complete: \d of 2 instruments",
        lines[-2],
    )
    given = " ".join(line[3:])
    assert f"Interrupted. What was committed is safe; `basislake {given}` resumes." in lines[-1]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("backfill --lake 'a b'", "`basislake backfill --lake 'a b'` resumes."),
        ("load --postgres postgresql://me:geheim@host/db", "the same command resumes."),
        ("load --postgres 'password=geheim'", "the same command resumes."),
        ("sql 'FROM basis'", ""),
        ("status", ""),
    ],
)
def test_only_what_commits_has_something_safe_and_no_password_is_repeated(
    line: str, text: str
) -> None:
    assert " ".join(what_goes_on(shlex.split(line))).endswith(text)
    assert "geheim" not in " ".join(what_goes_on(shlex.split(line)))
    assert bool(what_goes_on(shlex.split(line))) == bool(text)


@pytest.mark.slow
def test_on_a_terminal_a_warning_stands_above_the_progress_line(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    server.faults.add(CHART, None, server_error(), instrument="BTC-5APR24")
    given = command(server, "backfill", "--lake", tmp_path / "lake", *DAY, "--retries", "2")[3:]
    shown = on_a_terminal(*given)
    # What stays on the screen: of a line that is written over, only what comes last.
    kept = [line.rpartition("\r\x1b[K")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in kept]
    (warning,) = {line for line in plain if "try 2 of 3" in line}
    assert warning.startswith("Warning: BTC-5APR24 from")
    assert sum(bool(re.match(r"\[\d+/\d+\] ", line)) for line in plain) == 1
    assert not any("backfill begins" in line or "] BTC-PERPETUAL" in line for line in plain)
