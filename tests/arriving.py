"""Raw candles that arrive bit by bit, as a backfill commits them, and what builds make of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import polars as pl

from lake import Lake
from lake.slices import slices
from lake.tables import BASIS, CANDLES, QUALITY, QUARANTINE, WARNINGS
from tests.lakes import ask, instrument, record
from tests.spiked import EXPIRIES, START

PROGRAM = "basislake test"


def prepare(where: Lake, raw: Mapping[str, pl.DataFrame]) -> None:
    """Records of all instruments, and these asked for, complete from the first; no candles."""
    records = [
        {
            **instrument(name, expires_at),
            "base": "BTC",
            "listed_at": START,
        }
        for name, expires_at in EXPIRIES.items()
    ]
    number = record(where, records)
    ask(where, number, *((name, START, frame["ts"][-1], "present") for name, frame in raw.items()))


def contents(where: Lake) -> dict[str, object]:
    """All that a build makes, by content."""
    still = where.state()
    parts = {
        (table.name, own.name): own.digest()
        for table in (CANDLES, BASIS)
        for own in slices(still.snapshot(table))
    }
    whole = {table.name: still.read(table).rows() for table in (QUARANTINE, WARNINGS, QUALITY)}
    return {**parts, **whole}


@contextmanager
def new_lake(raw: Mapping[str, pl.DataFrame]) -> Iterator[Lake]:
    """A prepared lake, gone afterwards; see `prepare`."""
    with TemporaryDirectory() as folder:
        where = Lake(folder)
        prepare(where, raw)
        yield where
