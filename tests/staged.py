"""A lake that grew in stages while its market's clock advanced, and its content at each."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from basislake import PROGRAM
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe
from ingest.plan.selection import Selection
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.history.as_of import past
from lake.tables import CONTENT, CURATED, PERIODS
from tests.lakes import copied
from tests.market import NOW, fetch
from transforms.build import BuildResult, build

OPENED = NOW - timedelta(days=9)
UNIVERSE = weekly_universe(11, OPENED, NOW, currencies=("BTC",))
# The same, some of whose weeklies are listed and some expire in the days to come.
GROWING = weekly_universe(11, OPENED, NOW, currencies=("BTC",), until=NOW + timedelta(days=30))
# The error when reading curated rows as of a batch without a stored build.
TOLD = r"is not stored.*`basislake build --as-of {}`"
CURATED_NAMES = [table.name for table in CURATED if table is not PERIODS]

Content = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Stage:
    """The content of the lake at the end of a stage, and its newest batch then."""

    batch: int
    content: Content


@dataclass(frozen=True, slots=True)
class Staged:
    """A lake of three stages: fetched and built, fetched only, fetched and built."""

    lake: Lake
    first: Stage
    unbuilt: Stage
    last: Stage

    def copy(self, folder: Path) -> Lake:
        """The lake in another folder."""
        return copied(self.lake, folder)


def make_staged(folder: Path) -> Staged:
    """Fetch and build a small market while its clock moves on."""
    lake = open_lake(str(folder / "lake"))
    stages = []
    clock = Clock(UNIVERSE.now_ms)
    with SimulatedExchange(UNIVERSE, clock=clock) as server:
        for days, is_built in ((-4, True), (2, False), (2, True)):
            clock.advance(days * 86_400)
            fetch(server, lake, Selection())
            if is_built:
                built(lake)
            stages.append(Stage(newest_batch(lake), content(lake)))
    return Staged(lake, *stages)


def built(
    lake: Lake, *, full: bool = False, as_of: int | None = None, threads: int = 2
) -> BuildResult:
    """Build in this process."""
    source = lake if as_of is None else past(lake, as_of)
    with ThreadPoolExecutor(threads) as pool:
        return build(source, pool, PROGRAM, full=full)


def content(lake: Lake) -> Content:
    """All rows of all tables that a fingerprint covers, each sorted by its key."""
    still = lake.state()
    return {
        table.name: still.scan(table.name).collect().sort(table.key, maintain_order=True)
        for table in CONTENT
    }


def is_same(one: Content, other: Content, names: list[str] | None = None) -> bool:
    """Whether tables hold the same rows; all of them by default."""
    return all(one[name].equals(other[name]) for name in names or one)


def files(lake: Lake, table: str) -> set[str]:
    """The data files in a table's folder, by their paths in it."""
    folder = Path(lake.uri) / table
    found = folder.rglob("*.parquet")
    return {str(p.relative_to(folder)) for p in found if "_delta_log" not in p.parts}
