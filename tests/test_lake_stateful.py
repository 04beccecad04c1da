"""Any history of backfills, builds, maintenance by any program and copies, against a plain model:
the content of the lake as of each batch never changes.
"""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from basislake import PROGRAM
from basislake.simulator.universe import weekly_universe
from ingest.plan.selection import select
from lake import open as open_lake
from lake.backup.copy import copy
from lake.batches import newest_batch
from lake.history.as_of import past
from lake.history.fingerprint import fingerprint
from lake.maintenance.maintain import maintain
from lake.tables import TABLES
from tests.histories import History, histories
from tests.market import NOW, fetch
from tests.staged import built, content, is_same

OPENED = NOW - timedelta(days=9)
UNIVERSE = weekly_universe(11, OPENED, NOW, currencies=("BTC",), until=NOW + timedelta(days=9))
LISTED = [
    name for name, contract in UNIVERSE.contracts.items() if contract.is_listed(UNIVERSE.now_ms)
]
RAW = ("raw_candles", "asks", "records")
MAINTENANCE = {
    "compact": lambda table: table.optimize.compact(),
    "vacuum": lambda table: table.vacuum(
        0, dry_run=False, enforce_retention_duration=False, full=True
    ),
    "clean up": lambda table: table.cleanup_metadata(),
    "checkpoint": lambda table: table.create_checkpoint(),
}
some_times = st.integers(0, 9 * 24).map(lambda hours: OPENED + timedelta(hours=hours))


class Lives(History):
    """A lake, what it was as of each batch, and as of which it was built last."""

    def __init__(self) -> None:
        super().__init__(UNIVERSE)
        self.model: dict[int, dict[str, pl.DataFrame]] = {}
        self.built: int | None = None
        self.places = 0

    @initialize()
    def begin(self) -> None:
        fetch(self.server, self.lake, select((), (LISTED[-1],), NOW - timedelta(hours=5), None))
        self.take_note()

    @rule(name=st.none() | st.sampled_from(LISTED), since=some_times, hours=st.integers(1, 100))
    def backfill(self, name: str | None, since: datetime, hours: int) -> None:
        chosen = select((), (name,) if name else (), since, since + timedelta(hours=hours))
        fetch(self.server, self.lake, chosen)
        self.take_note()

    @rule(minutes=st.sampled_from([1, 3, 600]))
    def time_passes(self, minutes: int) -> None:
        self.clock.advance(minutes * 60)
        newest = select((), (LISTED[-1],), NOW - timedelta(hours=5), None)
        fetch(self.server, self.lake, newest)
        self.take_note()

    @rule(choice=st.integers(0, 99))
    def build(self, choice: int) -> None:
        """As of the newest batch, or of any."""
        numbers = [None, *self.model]
        number = numbers[choice % len(numbers)]
        built(self.lake, as_of=number)
        self.built = number or max(self.model)

    @rule(kind=st.sampled_from(sorted(MAINTENANCE)), names=st.sets(st.sampled_from([*TABLES])))
    def let_another_program_maintain(self, kind: str, names: set[str]) -> None:
        for name in names or TABLES:
            uri = f"{self.lake.uri}/{name}"
            if DeltaTable.is_deltatable(uri):
                MAINTENANCE[kind](DeltaTable(uri))

    @rule()
    def maintain(self) -> None:
        maintain(self.lake, PROGRAM, timedelta(0), unsafe=True)

    @rule()
    def go_on_in_a_copy(self) -> None:
        self.places += 1
        target = open_lake(str(Path(self.folder.name) / f"copy {self.places}"))
        assert copy(self.lake, target, PROGRAM, 2).is_equal
        assert copy(self.lake, target, PROGRAM, 2).files == 0
        self.lake = target

    @invariant()
    def the_lake_is_as_of_each_batch_what_it_was(self) -> None:
        for number, rows in self.model.items():
            then = past(self.lake, number)
            for name, expected in rows.items():
                assert then.scan(name).collect().sort(pl.all()).equals(expected), (number, name)

    def take_note(self) -> None:
        newest = newest_batch(self.lake)
        self.model[newest] = {
            name: self.lake.scan(name).collect().sort(pl.all())
            for name in (*RAW, "instruments", "coverage")
        }

    def teardown(self) -> None:
        try:
            if self.built is not None:
                self.curated_rows_are_those_of_a_full_build()
        finally:
            super().teardown()

    def curated_rows_are_those_of_a_full_build(self) -> None:
        """In another folder, as of the same batch."""
        found = content(self.lake)
        with tempfile.TemporaryDirectory() as folder:
            other = open_lake(folder)
            copy(self.lake, other, PROGRAM, 2)
            built(other, full=True, as_of=self.built)
            expected = content(other)
            assert is_same(found, expected), [n for n in found if not found[n].equals(expected[n])]
            assert fingerprint(self.lake, 2) == fingerprint(other, 2)


TestLives = pytest.mark.slow(Lives.TestCase)
TestLives.settings = histories(4, steps=8)
