"""Shared parts of the load tests: small lakes, and a separate schema to load them into."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from lake import Lake
from lake.files.slices import by_month
from lake.state import BUILD
from lake.table import Table
from lake.tables import BASIS, CANDLES, CURATED, INSTRUMENTS
from load.compare_cells import Comparison, compare
from load.loader import load
from load.postgres import Database
from load.results import LoadResult
from tests.lakes import LINEAGE, instrument, mark_built

START = datetime(2019, 5, 1, tzinfo=UTC)
EXPIRY = datetime(2019, 6, 28, 8, tzinfo=UTC)
FUTURE, OTHER, PERPETUAL = "BTC-28JUN19", "ETH-28JUN19", "BTC-PERPETUAL"
MONTH = f"{START:%Y-%m}"
# Values that any detour over text or decimals would change.
ODD = [-0.0, 1e-310, 1e308, 5e-324, 0.1 + 0.2, 1 / 3, 9007199254740993.0, 1e-17]


def partition(name: str, month: str = MONTH) -> str:
    """The name of an instrument's partition of a month."""
    return f"{name}/{month}"


def instruments(*names: str, expires_at: datetime = EXPIRY) -> pl.DataFrame:
    """Rows of `instruments`."""
    rows = [
        {**instrument(name, None if "PERPETUAL" in name else expires_at), "listed_at": START}
        for name in names
    ]
    return pl.DataFrame(rows, INSTRUMENTS.polars_schema)


def candles(minutes: int = 8, shift: float = 0.0, start: datetime = START) -> pl.DataFrame:
    """Rows of `candles` of one instrument, from a time on; costs are odd numbers, shifted."""
    values = [ODD[i % len(ODD)] + shift if shift else ODD[i % len(ODD)] for i in range(minutes)]
    return pl.DataFrame(
        {
            "ts": start + pl.int_range(minutes, eager=True) * timedelta(minutes=1),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), [1.5] * minutes),
            "cost": values,
            "traded": [True] * minutes,
            "suspect": [False] * minutes,
        }
    )


def basis(minutes: int = 3) -> pl.DataFrame:
    """Rows of `basis` of one future, from START on."""
    numbers = ("future_close", "perpetual_close", "basis", "basis_pct", "days_to_expiry")
    return pl.DataFrame(
        {
            "ts": START + pl.int_range(minutes, eager=True) * timedelta(minutes=1),
            **dict.fromkeys(numbers, [0.1 + 0.2] * minutes),
            "annualised_pct": [None, *[1 / 3] * (minutes - 1)],
            "market_structure": ["contango"] * minutes,
            **dict.fromkeys(("future_traded", "perpetual_traded"), [True] * minutes),
            "suspect": [False] * minutes,
        }
    )


def put(lake: Lake, table: Table, name: str, *frames: pl.DataFrame) -> None:
    """Make the frames all that a curated table has of an instrument, as a build would: a file for
    each month of each. Without any, the table has nothing of it.
    """
    base = lake.snapshot(table)
    parts = [part for frame in frames for _, part in by_month(frame)]
    written = [lake.write(table, part, name) for part in parts]
    number = 1 + max(lake.snapshot(each).counter(BUILD) for each in CURATED)
    lake.commit(base, written, LINEAGE, removing=base.of(name), counters={BUILD: number})
    mark_built(lake)


def record(lake: Lake, records: pl.DataFrame) -> None:
    """Make these the rows of `instruments`."""
    lake.replace(lake.snapshot(INSTRUMENTS), records, LINEAGE)


# The connections that targets use, by URI: to open one takes longer than what most are asked.
_CONNECTIONS: dict[str, Database] = {}
_SERVERS: dict[str, Database] = {}
_SEARCH_PATH = "options=-csearch_path%3D"


@contextmanager
def _connected(uri: str) -> Iterator[Database]:
    """The connection to a database; what is not committed in the block is undone."""
    if uri not in _CONNECTIONS:
        _CONNECTIONS[uri] = _connection(uri)
    database = _CONNECTIONS[uri]
    try:
        yield database
        database.rollback()
    except BaseException:
        # The server may have ended.
        _CONNECTIONS.pop(uri).close()
        raise


def _connection(uri: str) -> Database:
    server, is_target, schema = uri.partition(_SEARCH_PATH)
    if not (is_target and schema.isalnum() and server[:-1] in _SERVERS):
        return Database(uri)
    database = _SERVERS[server[:-1]].another()
    database.execute(f"SET search_path TO {schema}")
    database.commit()
    return database


def keep(uri: str) -> Database:
    """Stay connected to a server: what the driver has read of its types serves all targets in it,
    and takes ten times as long as a connection.
    """
    _SERVERS[uri] = Database(uri)
    return _SERVERS[uri]


def disconnect() -> None:
    """Close the connections of all targets."""
    while _CONNECTIONS:
        _CONNECTIONS.popitem()[1].close()


@dataclass
class Target:
    """A schema of its own in the test's database, and the lake to load into it."""

    uri: str
    schema: str
    lake: Lake

    def load(self, *, full: bool = False, lock_wait_s: float = 30.0) -> LoadResult:
        """Load in this process."""
        return load(self.lake, self.uri, schema=self.schema, full=full, lock_wait_s=lock_wait_s)

    def compare(self) -> Comparison:
        """Compare every cell."""
        return compare(self.lake, self.uri, schema=self.schema)

    @property
    def options(self) -> tuple[str, ...]:
        """Where the command finds lake, database and schema."""
        return ("--lake", self.lake.uri, "--postgres", self.uri, "--schema", self.schema)

    @property
    def version(self) -> int:
        """Of the server."""
        with _connected(self.uri) as database:
            return database.version

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a query, in a transaction of its own."""
        with _connected(self.uri) as database:
            return database.query(sql, parameters)

    def execute(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with _connected(self.uri) as database:
            for sql in statements:
                database.execute(sql)
            database.commit()

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Rows of a table by instrument and time."""
        return self.query(f"SELECT {columns} FROM {table} ORDER BY instrument, timestamp")

    def tables(self) -> set[str]:
        """Names of the schema's tables."""
        sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1"
        return {name for (name,) in self.query(sql, self.schema)}


def small_lake(folder: Path) -> Lake:
    """A lake of a perpetual, two futures and one basis."""
    return Lake(str(shutil.copytree(_small_lake(), folder)))


@cache
def _small_lake() -> Path:
    lake = Lake(tempfile.mkdtemp())
    record(lake, instruments(FUTURE, OTHER, PERPETUAL))
    for name in (FUTURE, OTHER, PERPETUAL):
        put(lake, CANDLES, name, candles())
    put(lake, BASIS, FUTURE, basis())
    return Path(lake.uri)


def fresh_target(postgres: str, lake: Lake) -> Target:
    """An empty schema, first on the search path, to load a lake into."""
    schema = f"t{uuid.uuid4().hex[:8]}"
    join = "&" if "?" in postgres else "?"
    return Target(f"{postgres}{join}{_SEARCH_PATH}{schema}", schema, lake)
