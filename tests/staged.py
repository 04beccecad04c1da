"""A lake that grew in stages while its market's clock moved on, and what it held at each."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

import lake
from basislake import PROGRAM
from basislake.exchange.clock import Clock
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import weekly_universe
from lake import Lake
from lake.retention import GivenUp, give_up
from lake.tables import CURATED, RAW_CANDLES, TABLES
from tests.lakes import copied
from tests.market import NOW, fetch
from transforms.build import BuildResult, build

OPENED = NOW - timedelta(days=9)
UNIVERSE = weekly_universe(11, OPENED, NOW, currencies=("BTC",))
# What a reader of a build that was given up is told, with its version of `raw_candles`.
TOLD = r"was given up to save space.*`basislake build --raw-version {}`"
CURATED_NAMES = [table.name for table in CURATED]

Content = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Stage:
    """What the lake held when a stage was done, and the newest version of `raw_candles` then."""

    version: int
    content: Content


@dataclass(frozen=True, slots=True)
class Staged:
    """A lake of three stages: fetched and built, fetched only, fetched and built."""

    where: Lake
    first: Stage
    unbuilt: Stage
    last: Stage

    def copy(self, folder: Path) -> Lake:
        """The lake in another folder."""
        return copied(self.where, folder)


def make_staged(folder: Path) -> Staged:
    """Fetch and build a small market while its clock moves on."""
    where = lake.open(str(folder / "lake"))
    stages = []
    clock = Clock(UNIVERSE.now_ms)
    with SimulatedExchange(UNIVERSE, clock=clock) as server:
        for days, is_built in ((-4, True), (2, False), (2, True)):
            clock.advance(days * 86_400)
            fetch(server, where)
            if is_built:
                built(where)
            stages.append(Stage(raw_version(where), content(where)))
    return Staged(where, *stages)


def built(
    where: Lake, *, full: bool = False, raw_version: int | None = None, threads: int = 2
) -> BuildResult:
    """Build in this process."""
    with ThreadPoolExecutor(threads) as pool:
        return build(where, pool, PROGRAM, full=full, raw_version=raw_version)


def content(where: Lake) -> Content:
    """All rows of all tables, each sorted by its key."""
    return {name: where.scan(name).collect().sort(table.key) for name, table in TABLES.items()}


def is_same(one: Content, other: Content, names: list[str] | None = None) -> bool:
    """Whether tables hold the same rows; all of them by default."""
    return all(one[name].equals(other[name]) for name in names or TABLES)


def raw_version(where: Lake) -> int:
    """The newest version of `raw_candles`."""
    version = where.snapshot(RAW_CANDLES).version
    assert version is not None
    return version


def later(hours: int = 5) -> datetime:
    """Some hours from now."""
    return datetime.now(UTC) + timedelta(hours=hours)


def relieve(where: Lake) -> GivenUp:
    """As hours later, when every replaced version is old."""
    return give_up(where, timedelta(hours=3), PROGRAM, now=later)


def files(where: Lake, table: str) -> set[str]:
    """The data files in a table's folder, by their paths in it."""
    folder = Path(where.uri) / table
    found = folder.rglob("*.parquet")
    return {str(p.relative_to(folder)) for p in found if "_delta_log" not in p.parts}
