"""A lake at one moment, during writes."""

from datetime import timedelta
from pathlib import Path

from lake import Lake
from lake.snapshot import Snapshot
from lake.state import State
from lake.table import BATCH, Table
from lake.tables import ASKS, COVERAGE, INSTRUMENTS, RAW_CANDLES, RECORDS
from lake.time.intervals import MINUTE
from tests.lakes import append, ask, instrument, record
from tests.strategies import candles, minute

NAME = "BTC-PERPETUAL"


class Busy(State):
    """Of a lake to which a batch of candles and one of records are written before a table is
    opened.
    """

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        others, start = Lake(self.uri, self.options), minute(len(self._opened))
        number = append(others, {NAME: [candles(1, len(self._opened))]})
        ask(others, number, (NAME, start, start + MINUTE, "present"))
        future = instrument(f"BTC-{1 + len(self._opened)}MAR24", start + timedelta(days=9))
        record(others, [instrument(NAME), future])
        return super().snapshot(table, version)


def test_no_table_knows_of_a_row_that_another_lacks(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    record(lake, [instrument(NAME)])
    of = (COVERAGE, INSTRUMENTS, ASKS, RECORDS, RAW_CANDLES)
    # By name of the table, not in the order in which it asks for them.
    found = Busy(lake).snapshots(sorted(table.name for table in of))
    raw, asks, records = (found[table.name] for table in (RAW_CANDLES, ASKS, RECORDS))
    coverage, instruments = found[COVERAGE.name], found[INSTRUMENTS.name]
    covered = coverage.read().filter(status="present")["minutes"].sum()
    assert 0 < covered <= asks.rows <= raw.rows
    assert coverage.counter(BATCH) <= asks.counter(BATCH) <= raw.counter(BATCH)
    assert set(instruments.read()["instrument"]) <= set(records.read()["instrument"])
    assert records.counter(BATCH) <= raw.counter(BATCH)
