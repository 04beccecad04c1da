"""The command `follow` as a real process: its rounds, its end, its company and its database."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import lake
from basislake.exchange.calls import CHART_METHOD as CHART
from basislake.exchange.clock import Clock
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import Universe
from basislake.runs import following_line, running_line
from lake.tables import BASIS, RAW_CANDLES
from tests.market import basislake, command, coverage, rows, truths
from tests.processes import ended, running, wait_until


@pytest.fixture
def server(universe: Universe) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(universe, clock=Clock(universe.now_ms)) as running:
        yield running


def clock_of(server: SimulatedExchange) -> Clock:
    assert isinstance(server.clock, Clock)
    return server.clock


def following(
    server: SimulatedExchange, folder: Path, *more: object
) -> AbstractContextManager[subprocess.Popen[str]]:
    return running(command(server, "follow", "--lake", folder, *more))


def stop(process: subprocess.Popen[str], how: signal.Signals) -> tuple[str, str, float]:
    asked_at = time.monotonic()
    process.send_signal(how)
    done = ended(process)
    return done.out, done.err, time.monotonic() - asked_at


def raw_rows(folder: Path) -> int:
    return lake.open(str(folder)).snapshot(RAW_CANDLES).rows


def holds_what_closed(server: SimulatedExchange, folder: Path) -> bool:
    return raw_rows(folder) == truths(server.universe, server.clock()).height


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(basislake(None, "status", "--lake", folder, "--json").out)
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_within_seconds_with_exit_code_0_and_tells_what_it_did(
    server: SimulatedExchange, tmp_path: Path, how: signal.Signals
) -> None:
    with following(server, tmp_path, "--json", "--build-every", 0) as process:
        wait_until(process, lambda: holds_what_closed(server, tmp_path))
        (running,) = status(tmp_path)["running"]
        assert running["pid"] == process.pid
        out, told, seconds = stop(process, how)
    assert process.returncode == 0, told
    assert seconds < 10
    assert "Traceback" not in told
    assert re.search(r"Stopped: [\d,]+ candles written by \d+ calls? in 1 round, 0 builds", told)
    result = json.loads(out)
    assert result["candles_written"] == raw_rows(tmp_path)
    (ended,) = status(tmp_path)["runs"]
    assert (ended["run"], ended["state"]) == (result["run"], "stopped")
    assert " - round calls=" in Path(result["log"]).read_text()


def test_it_ends_within_seconds_though_calls_hang_and_the_first_fetch_is_under_way(
    universe: Universe, tmp_path: Path
) -> None:
    with (
        SimulatedExchange(universe, delay_s=20.0) as stuck,
        following(stuck, tmp_path) as process,
    ):
        wait_until(process, lambda: stuck.calls_of(CHART) > 2)
        _, told, seconds = stop(process, signal.SIGINT)
        assert process.returncode == 0, told
        assert seconds < 15
    assert status(tmp_path)["runs"][0]["state"] == "stopped"


def test_a_minute_is_fetched_soon_after_it_closed_and_status_shows_the_lag(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    # It begins about when a minute closes; that one is believed final five seconds later.
    clock_of(server).advance(28)
    clock_of(server).run(1.0)
    with following(server, tmp_path, "--build-every", 0) as process:
        wait_until(process, lambda: len(rounds(tmp_path)) == 2)
        assert server.clock() % 60_000 < 15_000
        wait_until(process, lambda: bool(status(tmp_path)["lag"]["rounds"] == 2))
        found = status(tmp_path)
        assert found["lag"]["instruments"] == len(open_names(server))
        assert 60 <= found["lag"]["seconds"] < 90
        shown = basislake(None, "status", "--lake", tmp_path).out
        _, told, _ = stop(process, signal.SIGTERM)
    assert re.search(r"Running: follow \w+-\w+, process \d+", shown)
    assert re.search(r"follows \d+ instruments, 2 rounds: lag 0:01:\d\d at ", shown)
    assert re.search(r"Newest candle: 2024-04-05 12:00Z", shown)
    assert re.search(r"Z: \d+ candles of \d+ instruments by \d+ calls; lag 0:01:0\d", told)
    first, second = rounds(tmp_path)
    assert int(second.split("calls=")[1].split()[0]) == len(open_names(server))
    assert "lag_seconds=" in first
    assert not coverage(lake.open(str(tmp_path)), status="failed")


def test_a_killed_one_is_taken_over_by_the_next_which_repairs_the_gap(
    universe: Universe, server: SimulatedExchange, tmp_path: Path
) -> None:
    with following(server, tmp_path, "--build-every", 0) as process:
        wait_until(process, lambda: raw_rows(tmp_path) > 0)
    assert process.returncode == -signal.SIGKILL
    clock_of(server).advance(3 * 86_400)
    with following(server, tmp_path) as process:
        wait_until(process, lambda: holds_what_closed(server, tmp_path))
        wait_until(process, lambda: lake.open(str(tmp_path)).snapshot(BASIS).rows > 0)
        _, told, _ = stop(process, signal.SIGTERM)
    assert process.returncode == 0, told
    stored = rows(lake.open(str(tmp_path)), "raw_candles")
    assert stored.equals(truths(universe, server.clock()))
    assert [run["state"] for run in status(tmp_path)["runs"]] == ["stopped", "killed"]


def test_beside_a_backfill_no_candle_is_asked_for_twice_and_none_is_lost(
    universe: Universe, tmp_path: Path
) -> None:
    with SimulatedExchange(universe, delay_s=0.2) as slow:
        assert basislake(slow, "instruments", "--lake", tmp_path).code == 0
        with following(slow, tmp_path, "--threads", 1, "--build-every", 0) as process:
            wait_until(process, lambda: slow.calls_of(CHART) > 2)
            done = basislake(slow, "backfill", "--lake", tmp_path, "--threads", 1, "--json")
            assert done.code == 0, done.err
            stop(process, signal.SIGINT)
        assert process.returncode == 0
        assert slow.counters.repeats == 0
    assert rows(lake.open(str(tmp_path)), "raw_candles").equals(truths(universe))


def test_it_builds_and_loads_where_asked(
    server: SimulatedExchange, tmp_path: Path, postgres: str
) -> None:
    with following(server, tmp_path, "--postgres", postgres) as process:
        wait_until(process, lambda: lake.open(str(tmp_path)).snapshot(BASIS).rows > 0)
        basis = lake.open(str(tmp_path)).snapshot(BASIS).rows

        def is_loaded() -> bool:
            shown = basislake(None, "status", "--lake", tmp_path, "--postgres", postgres, "--json")
            database = shown.json["database"]
            return bool(database and database["futures_basis_spread"]["database"] == basis)

        wait_until(process, is_loaded)
        _, told, _ = stop(process, signal.SIGTERM)
    assert process.returncode == 0, told


def test_an_exchange_that_is_away_is_waited_for_and_told_once(
    universe: Universe, tmp_path: Path
) -> None:
    with SimulatedExchange(universe) as server:
        port = int(server.www_url.rpartition(":")[2])
        arguments = command(server, "follow", "--lake", tmp_path, "--retries", 0)
    # Nobody listens there now.
    with running([*arguments, "--build-every", "0"]) as process:
        wait_until(process, lambda: " - waiting " in log_of(tmp_path))
        with SimulatedExchange(universe, port=port) as server:
            wait_until(process, lambda: holds_what_closed(server, tmp_path))
            _, told, _ = stop(process, signal.SIGINT)
    assert process.returncode == 0, told
    assert told.count("Waiting: ") == 1
    assert re.search(r"Going on after 0:00:\d\d\.", told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--every", 0), "--every"),
        (("--postgres", "embedded", "--build-every", 0), "--postgres loads after builds"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    done = basislake(None, "follow", "--lake", tmp_path / "new", *options)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "new").exists()


def test_a_record_without_a_candle_or_from_an_outage_can_be_shown() -> None:
    assert "no candle yet" in following_line({"instruments": 3, "rounds": 0})
    lag = {
        "at": "2024-04-05T12:00:00Z",
        "seconds": 7265.0,
        "instrument": "BTC-5APR24",
        "instrument_seconds": 7300.0,
        "is_waiting": True,
    }
    shown = following_line(lag)
    assert "waiting for the exchange or the lake; lag 2:01:05" in shown
    assert "furthest behind: BTC-5APR24, 2:01:40" in shown
    record = {"run": "r", "pid": 1, "host": "h", "follow": lag}
    assert running_line(record).startswith("Running: follow r, process 1 on h")


def rounds(folder: Path) -> list[str]:
    """The lines of the rounds in the log of the newest run."""
    return [line for line in log_of(folder).splitlines() if " - round " in line]


def log_of(folder: Path) -> str:
    """The log of the newest run."""
    logs = sorted((folder / "runs").glob("*.log"))
    return logs[-1].read_text() if logs else ""


def open_names(server: SimulatedExchange) -> list[str]:
    now_ms = server.clock()
    return [
        name
        for name, contract in server.universe.contracts.items()
        if contract.is_listed(now_ms) and not contract.is_expired(now_ms)
    ]
