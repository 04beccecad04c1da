"""Raw candles that arrive bit by bit, as a backfill commits them, and what builds make of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import polars as pl

from lake import Lake
from lake.tables import (
    BASIS,
    CANDLES,
    COVERAGE,
    INSTRUMENTS,
    QUALITY,
    QUARANTINE,
    RAW_CANDLES,
    WARNINGS,
)
from tests.spiked import EXPIRIES, START

PROGRAM = "basislake test"


def prepare(where: Lake, raw: Mapping[str, pl.DataFrame]) -> None:
    """Records of all instruments and the coverage of these, complete from the first; no candles."""
    records = [
        {
            "instrument": name,
            "kind": "future" if expires_at else "perpetual",
            "base": "BTC",
            "quote": "USD",
            "settlement": "BTC",
            "contract_type": "inverse",
            "listed_at": START,
            "expires_at": expires_at,
            "active": False,
        }
        for name, expires_at in EXPIRIES.items()
    ]
    asked = [
        {
            "instrument": name,
            "start": START,
            "end": frame["ts"][-1],
            "minutes": frame.height - 1,
            "status": "present",
        }
        for name, frame in raw.items()
    ]
    for table, rows in ((INSTRUMENTS, records), (COVERAGE, asked)):
        frame = pl.DataFrame(rows, schema=table.polars_schema)
        where.replace(where.snapshot(table), frame, {"program": PROGRAM})


def append(
    where: Lake, parts: Mapping[str, list[pl.DataFrame]], repeats: Mapping[str, int] | None = None
) -> None:
    """Commit a file for each frame, as a backfill does whose replies held these repeats."""
    lineage = {"program": PROGRAM, "duplicates": dict(repeats or {})}
    files = [
        where.write(RAW_CANDLES, part, name) for name, frames in parts.items() for part in frames
    ]
    where.commit(where.snapshot(RAW_CANDLES), files, lineage, counting=list(parts))


def contents(where: Lake) -> dict[str, object]:
    """All that a build makes, by content."""
    parts = {
        table.name: {file.partition: file.digest for file in where.snapshot(table).files}
        for table in (CANDLES, BASIS)
    }
    whole = {table.name: where.read(table).rows() for table in (QUARANTINE, WARNINGS, QUALITY)}
    return {**parts, **whole}


@contextmanager
def new_lake(raw: Mapping[str, pl.DataFrame]) -> Iterator[Lake]:
    """A prepared lake, gone afterwards; see `prepare`."""
    with TemporaryDirectory() as folder:
        where = Lake(folder)
        prepare(where, raw)
        yield where
