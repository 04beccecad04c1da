"""What the pipeline tests share: a small simulated market, its truth, and the command."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import Universe
from basislake.verbs.exchange import market
from lake import Lake

MINUTE_MS = 60_000
NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)


def small_market(weeks: int = 2) -> Universe:
    """A market of a few weeklies, a quarterly and a perpetual of each coin."""
    return market(seed=3, now=NOW, weeks=weeks)


def truth(universe: Universe, name: str) -> pl.DataFrame:
    """The candles of a contract that are closed and inside its life: what a lake should hold."""
    contract = universe.contracts[name]
    closed_ms = (universe.now_ms - 5_000) // MINUTE_MS * MINUTE_MS
    end_ms = closed_ms if contract.expires_ms is None else min(closed_ms, contract.expires_ms)
    frame = universe.candles(name, contract.listed_ms // MINUTE_MS * MINUTE_MS, max(end_ms, 0))
    stamp = (
        pl.from_epoch("ticks", time_unit="ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    columns = ["open", "high", "low", "close", "volume", "cost"]
    return frame.filter(pl.col("ticks") < end_ms).select(
        pl.lit(name).alias("instrument"), stamp.alias("ts"), *columns
    )


def truths(universe: Universe) -> pl.DataFrame:
    """The truth of all contracts, sorted by instrument and time."""
    return pl.concat([truth(universe, name) for name in universe.contracts]).sort(
        "instrument", "ts"
    )


def rows(where: Lake, table: str) -> pl.DataFrame:
    """All rows of a table, sorted by instrument and time."""
    return where.scan(table).sort("instrument", "ts").collect()


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  (whatever the command prints)
        return json.loads(self.out)


def command(server: SimulatedExchange | None, *arguments: object) -> list[str]:
    """The command line of a verb against a simulated exchange, without a rate limit."""
    urls: list[str] = []
    if server is not None:
        urls = [
            "--exchange-url",
            server.www_url,
            "--history-url",
            server.history_url,
            "--rate",
            "0",
        ]
    program = [sys.executable, "-c", "from basislake.cli import main; main()"]
    return [*program, *map(str, arguments), *urls]


def basislake(server: SimulatedExchange | None, *arguments: object) -> Ran:
    """Run the command as a process of its own."""
    done = subprocess.run(
        command(server, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parent.parent,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
