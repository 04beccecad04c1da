"""Upkeep that is killed again and again, among fetches and builds: no version of raw candles ever
loses or gains a row, and the upkeep that is let run finishes the work.
"""

import os
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

import lake
from basislake.exchange.clock import Clock
from basislake.exchange.server import SimulatedExchange
from lake import Lake
from lake.actions import commit_files
from lake.errors import LakeError
from lake.files import filesystem
from lake.fingerprint import fingerprint
from lake.tables import CANDLES, COVERAGE, CURATED, RAW_CANDLES, TABLES, Table
from lake.vacuum import needed
from lake.versions import PastLake
from tests.market import basislake, command, fetch
from tests.processes import ended, running
from tests.staged import UNIVERSE, Content, built, content, raw_version

# Each is killed when files of a table begin to go, or at any moment since its first change.
KILLS = (RAW_CANDLES, None, CANDLES, COVERAGE, RAW_CANDLES)
# So many builds are looked at after each kill, all of them at the end.
BUILDS = 2
HOUR_S = 3600
DAY_S = 24 * HOUR_S
MAINTAIN = ("maintain", "--keep-replaced", 1, "--older-than", 0, "--unsafe", "--json")


@dataclass
class Witness:
    """Knows what a lake held each time that somebody wrote to it.

    Attributes:
        where: the lake.
        raw: rows of `raw_candles`, by version.
        builds: all tables as a build left them, by the version of `raw_candles`.
        given_up: builds that were found to be given up, by the same.
    """

    where: Lake
    raw: dict[int, pl.DataFrame] = field(default_factory=dict)
    builds: dict[int, Content] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)

    def note(self) -> None:
        """Remember the versions that came."""
        for version in range(max(self.raw, default=0) + 1, raw_version(self.where) + 1):
            self.raw[version] = self.read_raw(version)

    def build(self) -> None:
        version = built(self.where).raw_version
        assert version is not None
        self.builds[version] = content(self.where)

    def read_raw(self, version: int) -> pl.DataFrame:
        return self.where.scan("raw_candles", version).collect().sort(RAW_CANDLES.key)

    def check(self, builds: int | None = BUILDS) -> None:
        """See that all is as it was, or said to be given up.

        Args:
            builds: how many of the newest are looked at besides every version of raw candles.
        """
        newest = self.raw[max(self.raw)]
        for version in range(1, raw_version(self.where) + 1):
            # What an upkeep committed holds the rows of the version before.
            assert self.read_raw(version).equals(self.raw.get(version, newest)), version
        last = self.builds[max(self.builds)]
        for table in CURATED:
            assert self.where.read(table).sort(table.key).equals(last[table.name])
        for version in list(reversed(self.builds))[:builds]:
            past, held = PastLake(self.where, version), self.builds[version]
            assert not is_given_up(past, COVERAGE, held)
            if {table.name for table in CURATED if is_given_up(past, table, held)}:
                self.given_up.add(version)


def is_given_up(past: Lake, table: Table, held: Content) -> bool:
    """Whether a table is said to be given up; else it is as it was."""
    try:
        found = past.scan(table.name).collect()
    except LakeError as exc:
        if "was given up to save space" not in str(exc):
            raise
        return True
    assert found.sort(table.key).equals(held[table.name]), (past.version, table.name)
    return False


@pytest.fixture
def clock() -> Clock:
    return Clock(UNIVERSE.now_ms)


@pytest.fixture
def server(clock: Clock) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE, clock=clock) as serving:
        yield serving


@pytest.mark.slow
def test_an_upkeep_may_be_killed_at_any_moment_and_the_next_one_finishes_its_work(
    clock: Clock, server: SimulatedExchange, tmp_path: Path
) -> None:
    where = lake.open(str(tmp_path / "lake"))
    witness, draw = Witness(where), random.Random(3)  # noqa: S311  (moments, not secrets)
    clock.advance(-6 * DAY_S)
    killed = 0
    for table in KILLS:
        clock.advance(HOUR_S)
        fetch(server, where)
        witness.build()
        clock.advance(HOUR_S)
        fetch(server, where)
        witness.note()
        age(where)
        killed += is_killed(where, table, draw.uniform(0, 0.003 if table else 0.4))
        witness.check()
        witness.note()
    assert killed > len(KILLS) // 2
    # The first compacts what is there, the second gives up what that replaced.
    for _ in range(2):
        age(where)
        assert basislake(None, *MAINTAIN, "--lake", where.uri).code == 0
    witness.check(builds=None)
    assert len(witness.given_up) == len(witness.builds) - 1
    assert not fingerprint(where, 2, verify=True).damaged
    for table in TABLES.values():
        assert data_files(where, table) == needed_files(where, table), table.name


def age(where: Lake) -> None:
    """Shift the log into the past, by more than replaced versions are kept."""
    for path in Path(where.uri).glob("*/_delta_log/*.json"):
        text = path.read_text()
        path.write_text(re.sub(r'"timestamp":(\d+)', _earlier, text))


def _earlier(found: re.Match[str]) -> str:
    return f'"timestamp":{int(found[1]) - 2 * HOUR_S * 1000}'


def is_killed(where: Lake, table: Table | None, wait_s: float) -> bool:
    """Run an upkeep, and kill it some seconds after files of a table began to go, or else after its
    first change to the lake; whether that was before its end.
    """
    folder = Path(where.uri) / (table.name if table else "")
    known = names(folder)
    with running(command(None, *MAINTAIN, "--lake", where.uri)) as process:
        while process.poll() is None:
            found = names(folder)
            if known - found if table else known != found:
                break
        time.sleep(wait_s)
        process.kill()
        done = ended(process)
    assert done.code in {0, -9}, done.err
    return done.code != 0


def names(folder: Path) -> set[str]:
    """The names of all files below a folder: looked for in a millisecond."""
    return {name for _, _, found in os.walk(folder) for name in found}


def data_files(where: Lake, table: Table) -> set[str]:
    """Whatever is in a table's folder and not of its log."""
    folder = Path(where.uri) / table.name
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != "_delta_log"}


def needed_files(where: Lake, table: Table) -> set[str]:
    snapshot = where.snapshot(table)
    newest = {file.path for file in snapshot.files}
    store = filesystem(snapshot.uri, {})
    return newest if table in CURATED else newest | needed(snapshot, store, commit_files(store))
