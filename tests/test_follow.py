"""The command `follow` as a real process: its rounds, its end, other runs, and its database."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import pytest

import lake
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.calls import HISTORY_PREFIX
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from basislake.status.runs_shown import following_line, running_line
from lake.tables import BASIS, RAW_CANDLES
from tests.gates import Gate
from tests.market import Ran, basislake, command, coverage, rows, small_market, status_of, truths
from tests.processes import ended, running, wait_until
from tests.tiers import slow_but

# Longer than any test waits.
HOUR_S = 3_600


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


def stop(process: subprocess.Popen[str], how: signal.Signals) -> Ran:
    process.send_signal(how)
    return ended(process)


def raw_rows(folder: Path) -> int:
    return lake.open(str(folder)).snapshot(RAW_CANDLES).rows


def holds_what_closed(server: SimulatedExchange, folder: Path) -> bool:
    return raw_rows(folder) == closed_rows(server.clock())


@cache
def closed_rows(now_ms: int) -> int:
    return truths(small_market(weeks=1), now_ms).height


def told_rounds(folder: Path) -> int:
    """The number of rounds in the log of the only run."""
    return sum(log.read_text().count(" - round ") for log in (folder / "runs").glob("*.log"))


@pytest.mark.parametrize(
    "how", slow_but([signal.SIGINT], [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
)
def test_it_ends_when_it_is_told_to_with_exit_code_0_and_tells_what_it_did(
    server: SimulatedExchange, tmp_path: Path, how: signal.Signals
) -> None:
    with following(server, tmp_path, "--json", "--build-every", 0) as process:
        wait_until(process, lambda: told_rounds(tmp_path) == 1)
        assert holds_what_closed(server, tmp_path)
        (running,) = status_of(tmp_path)["running"]
        assert running["pid"] == process.pid
        done = stop(process, how)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert re.search(
        r"Stopped: [\d,]+ candles(?:, [\d,]+ rows? of [a-z ]+)* written by "
        r"\d+ calls? in 1 round, 0 builds",
        done.err,
    )
    result = done.json
    assert result["candles_written"] == raw_rows(tmp_path)
    (ended,) = status_of(tmp_path)["runs"]
    assert (ended["run"], ended["state"]) == (result["run"], "stopped")
    assert " - round calls=" in Path(result["log"]).read_text()


@pytest.mark.slow
def test_it_ends_though_calls_hang_and_the_first_fetch_is_under_way(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    with Gate(server, 0) as gate, following(server, tmp_path, "--timeout", HOUR_S) as process:
        wait_until(process, lambda: gate.is_holding)
        done = stop(process, signal.SIGINT)
        assert done.code == 0, done.err
        assert gate.is_holding
    assert status_of(tmp_path)["runs"][0]["state"] == "stopped"


@pytest.mark.slow
def test_a_minute_is_fetched_soon_after_it_closed_and_status_shows_the_lag(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    # A minute is believed final five seconds after it closed, for two of which it waits once it has
    # seen this time.
    clock_of(server).advance(33)
    with following(server, tmp_path, "--build-every", 0, "--data", "candles") as process:
        wait_until(process, lambda: len(rounds(tmp_path)) == 1)
        clock_of(server).advance(10)
        wait_until(process, lambda: len(rounds(tmp_path)) == 2)
        wait_until(process, lambda: bool(status_of(tmp_path)["lag"]["rounds"] == 2))
        found = status_of(tmp_path)
        assert found["lag"]["instruments"] == len(open_names(server))
        assert found["lag"]["seconds"] >= 73
        shown = basislake(None, "status", "--lake", tmp_path).out
        done = stop(process, signal.SIGTERM)
    assert re.search(r"Running: follow \w+-\w+, process \d+", shown)
    assert re.search(r"follows \d+ instruments, 2 rounds: lag \d:\d\d:\d\d at ", shown)
    assert re.search(r"newest candle 2024-04-05 12:00Z, ", shown)
    by = r"Z: \d+ candles of \d+ instruments by \d+ calls; lag \d:\d\d:\d\d"
    assert re.search(by, done.err)
    first, second = rounds(tmp_path)
    assert int(second.split("calls=")[1].split()[0]) == len(open_names(server))
    assert "lag_seconds=" in first
    assert not coverage(lake.open(str(tmp_path)), status="failed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "runs"),
    [((), 1), (("--maintain-every", 0), 0)],
)
def test_maintenance_runs_at_once_or_never(
    server: SimulatedExchange, tmp_path: Path, options: tuple[object, ...], runs: int
) -> None:
    clock_of(server).advance(33)
    more = ("--json", "--build-every", 0, "--data", "candles", *options)
    with following(server, tmp_path, *more) as process:
        wait_until(process, lambda: len(rounds(tmp_path)) == 1)
        clock_of(server).advance(10)
        # The first round is over, with its maintenance.
        wait_until(process, lambda: len(rounds(tmp_path)) == 2)
        done = stop(process, signal.SIGINT)
    assert (done.code, done.json["maintenances"]) == (0, runs), done.err


@pytest.mark.slow
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
        done = stop(process, signal.SIGTERM)
    assert done.code == 0, done.err
    stored = rows(lake.open(str(tmp_path)), "raw_candles")
    assert stored.equals(truths(universe, server.clock()))
    assert [run["state"] for run in status_of(tmp_path)["runs"]] == ["stopped", "killed"]


@pytest.mark.slow
def test_beside_a_backfill_no_candle_is_asked_for_twice_and_none_is_lost(
    universe: Universe, server: SimulatedExchange, tmp_path: Path
) -> None:
    assert basislake(server, "instruments", "--lake", tmp_path).code == 0
    backfill = command(server, "backfill", "--lake", tmp_path, "--threads", 1)
    with (
        Gate(server, 2) as gate,
        following(server, tmp_path, "--threads", 1, "--build-every", 0) as process,
    ):
        wait_until(process, lambda: gate.is_holding)
        with running(backfill) as other:
            # Each has one call under way.
            wait_until(other, lambda: server.calls_of(CHART) > 3)
            gate.open()
            done = ended(other)
        assert done.code == 0, done.err
        assert stop(process, signal.SIGINT).code == 0
    assert server.counters.repeats == 0
    assert rows(lake.open(str(tmp_path)), "raw_candles").equals(truths(universe))


@pytest.mark.slow
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
        done = stop(process, signal.SIGTERM)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_an_exchange_that_is_away_is_waited_for_and_told_once(
    universe: Universe, tmp_path: Path
) -> None:
    with socket.socket() as reserved:
        # Nobody listens there yet, and nobody else can.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        at = ("--exchange-url", url, "--history-url", f"{url}{HISTORY_PREFIX}", "--lake", tmp_path)
        options = ("--retries", 0, "--timeout", HOUR_S, "--build-every", 0)
        with running(command(None, "follow", *at, *options)) as process:
            wait_until(process, lambda: " - waiting " in log_of(tmp_path))
            with SimulatedExchange(universe, port=port) as server:
                wait_until(process, lambda: " - back " in log_of(tmp_path))
                assert holds_what_closed(server, tmp_path)
                done = stop(process, signal.SIGINT)
    assert done.code == 0, done.err
    assert done.err.count("Waiting: ") == 1
    assert f" WARNING Waiting: {url} cannot be reached: Connection refused." in done.err
    assert "0 builds, 1 outage; lag " in done.err
    assert re.search(r"Resumed after \d:\d\d:\d\d\.", done.err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--every", 0), "--every"),
        (("--postgres", "embedded", "--build-every", 0), "--postgres loads after each build"),
        (("--maintain-every", 1441), "1441 is not in the range"),
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
