"""Shared parts of the pipeline tests: a small simulated market, its truth, and the command."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake import PROGRAM
from basislake.cli.main import main
from basislake.pipeline.fetch import sound_rows
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe, recent_universe
from ingest.backfill.backfill import Backfill
from ingest.backfill.fetch_workers import threads_here
from ingest.backfill.results import Result
from ingest.deribit.client import Exchange
from ingest.discover import discover
from ingest.plan.planner import Planner
from ingest.plan.selection import Selection
from ingest.rate_limit.limiter import Limiter
from lake import Lake
from lake.table import BATCH

# Waits are this much shorter than they would be.
SPEED = 50.0
MINUTE_MS = 60_000
ROOT = Path(__file__).parent.parent
# What the real exchange sent.
RECORDINGS = ROOT.parent / "shared/recordings"
needs_recordings = pytest.mark.skipif(
    not RECORDINGS.exists(), reason="recordings are not kept in this repository"
)
# What most tests are about; a selection that names no data is of all.
CANDLES = Selection(data=("candles",))
# What a command of a process begins with.
PROCESS = (sys.executable, "-m", "basislake")
NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)


def small_market(weeks: int = 2) -> Universe:
    """A market of a few weeklies, a quarterly and a perpetual of each coin."""
    return recent_universe(seed=3, now=NOW, weeks=weeks)


def truth(universe: Universe, name: str, now_ms: int | None = None) -> pl.DataFrame:
    """The candles of a contract that are closed and inside its life: what a lake should hold."""
    contract = universe.contracts[name]
    closed_ms = ((now_ms or universe.now_ms) - 5_000) // MINUTE_MS * MINUTE_MS
    end_ms = closed_ms if contract.expires_ms is None else min(closed_ms, contract.expires_ms)
    frame = universe.candles(name, contract.listed_ms // MINUTE_MS * MINUTE_MS, max(end_ms, 0))
    stamp = (
        pl.from_epoch("ticks", time_unit="ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    columns = ["open", "high", "low", "close", "volume", "cost"]
    return frame.filter(pl.col("ticks") < end_ms).select(
        pl.lit(name).alias("instrument"), stamp.alias("ts"), *columns
    )


def truths(universe: Universe, now_ms: int | None = None) -> pl.DataFrame:
    """The truth of all contracts, sorted by instrument and time."""
    return pl.concat([truth(universe, name, now_ms) for name in universe.contracts]).sort(
        "instrument", "ts"
    )


def ideal_calls(universe: Universe) -> int:
    """How many candle calls a backfill of everything takes where each is made once."""
    lives = [
        (min(c.expires_ms or universe.now_ms, universe.now_ms) - c.listed_ms) // 60_000 + 1
        for c in universe.contracts.values()
    ]
    return sum(-(-life // 5_000) for life in lives)


def rows(lake: Lake, table: str) -> pl.DataFrame:
    """All rows of a table without their batch, sorted by instrument and time."""
    return lake.scan(table).drop(BATCH, strict=False).sort("instrument", "ts").collect()


def counting(lake: Lake) -> pl.DataFrame:
    """The raw candles that count, one a minute, as `rows`: of several those of the last batch."""
    found = lake.scan("raw_candles").sort("instrument", "ts", BATCH)
    last = found.unique(["instrument", "ts"], keep="last", maintain_order=True)
    return last.drop(BATCH).collect()


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  (whatever the command prints)
        return json.loads(self.out)


def arguments(server: SimulatedExchange | None, *given: object) -> list[str]:
    """The arguments of a verb against a simulated exchange, without a rate limit."""
    urls: list[str] = []
    if server is not None:
        urls = ["--exchange-url", server.www_url, "--history-url", server.history_url]
        urls += ["--rate", "0"]
    return [*map(str, given), *urls]


def command(server: SimulatedExchange | None, *given: object) -> list[str]:
    """The command line of the same, for a process."""
    return [*PROCESS, *arguments(server, *given)]


def basislake(
    server: SimulatedExchange | None,
    *given: object,
    env: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> Ran:
    """Run the command in the process of the test, which takes no second to start.

    Where a process is the point (signals, limits, secrets in the environment), see
    `tests.processes`.
    """
    line = arguments(server, *given)
    with _as_in_a_pipe(line, env, folder) as (out, err), pytest.raises(SystemExit) as ended:
        main(line)
    code = ended.value.code
    assert isinstance(code, int)
    return Ran(code, _text(out), _text(err))


def status_of(lake: Lake | Path) -> dict[str, Any]:
    """What `status` says of a lake."""
    at = lake.uri if isinstance(lake, Lake) else lake
    found: dict[str, Any] = basislake(None, "status", "--lake", at, "--json").json
    return found


def backup(source: Lake, target: Lake | str, **kwargs: object) -> dict[str, object]:
    """Back a lake up, and return what the command says of it."""
    done = basislake(None, "backup", str(target), "--lake", source.uri, "--json", **kwargs)  # type: ignore[arg-type]
    assert done.code == 0, done.err
    found: dict[str, object] = done.json
    return found


@contextmanager
def _as_in_a_pipe(
    given: list[str], env: Mapping[str, str] | None, folder: Path
) -> Iterator[tuple[TextIOWrapper, TextIOWrapper]]:
    """What belongs to a process and is the command's for the length of the block: its arguments,
    output, environment, folder, and how it takes signals.
    """
    out, err = (TextIOWrapper(BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, hook = sys.argv, sys.unraisablehook
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in ends}
    sys.argv = ["basislake", *given]
    try:
        with _environment(env), chdir(folder), redirect_stdout(out), redirect_stderr(err):
            yield out, err
    finally:
        sys.argv, sys.unraisablehook = before, hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _environment(env: Mapping[str, str] | None) -> Iterator[None]:
    if env is None:
        yield
        return
    before = dict(os.environ)
    _set_environment(env)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(env: Mapping[str, str]) -> None:
    """Change what differs, and nothing else: libraries may read it from other threads."""
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    for name, value in env.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _text(stream: TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def swift(
    server: SimulatedExchange, lake: Lake | None = None, *, timeout_s: float = 300.0, retries: int
) -> Iterator[Exchange]:
    """A client of an exchange whose waits take no time to speak of."""

    def nap(seconds: float) -> None:
        time.sleep(seconds / SPEED)

    limiter = Limiter(
        0,
        folder=lake.machine_folder if lake else None,
        url=server.www_url,
        clock=lambda: time.time() * SPEED,
        sleep=nap,
    )
    urls = (server.www_url, server.history_url)
    client = Exchange(*urls, limiter=limiter, timeout_s=timeout_s, retries=retries, sleep=nap)
    try:
        yield client
    finally:
        client.close()


def fetch(
    server: SimulatedExchange,
    lake: Lake,
    selection: Selection = CANDLES,
    *,
    timeout_s: float = 300.0,
    retries: int = 6,
    threads: int = 4,
    repair: bool = False,
    again: bool = False,
) -> Result:
    """Discover and backfill in this process, swiftly."""
    with swift(server, lake, timeout_s=timeout_s, retries=retries) as exchange:
        discover(exchange, lake, PROGRAM)
        now = exchange.server_time()
        planner = Planner(lake, selection, now, repair=repair, again=again)
        job = Backfill(
            lake, exchange, planner, threads_here(exchange, threads), PROGRAM, sound=sound_rows()
        )
        return job.run()


def coverage(
    lake: Lake, *, status: str, dataset: str | None = None
) -> list[tuple[str, datetime, datetime]]:
    """Instrument, start and end of the intervals of a status, of all datasets or of one."""
    of = {"dataset": dataset} if dataset else {}
    found = lake.scan("coverage").filter(status=status, **of).sort("instrument", "start")
    return found.select("instrument", "start", "end").collect().rows()
