"""Lakes for tests: small ones of given rows, and one that the pipeline built of a small market."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from basislake import PROGRAM
from basislake.simulator.server import SimulatedExchange
from ingest.backfill import asks
from ingest.plan.selection import Selection
from lake import TABLES, Lake, batches
from lake import open as open_lake
from lake.batches import commit_batch
from lake.contract_terms import term_of
from lake.errors import ConflictError, LakeError
from lake.snapshot import Snapshot
from lake.state import BUILD
from lake.table import BATCH, Table
from lake.tables import (
    ASKS,
    BASIS,
    BUILDS,
    CANDLES,
    COVERAGE,
    CURATED,
    INSTRUMENTS,
    RAW_CANDLES,
    RECORDS,
)
from lake.time.intervals import MINUTE
from tests.market import NOW, fetch
from transforms.build import build

LINEAGE = {"program": "test"}
LISTED_AT = datetime.fromisoformat("2020-01-01T00:00:00Z")

Row = Mapping[str, Any]


class Killed(Lake):
    """A lake to which a build commits until it is killed before it commits to one table."""

    def __init__(self, lake: Lake, before: Table) -> None:
        super().__init__(lake.uri)
        self._before = before

    def commit(self, base: Snapshot, *args: Any, **kwargs: Any) -> Snapshot:  # noqa: ANN401
        if base.table is self._before:
            raise LakeError("killed")
        return super().commit(base, *args, **kwargs)


def lake_of(folder: Path, **tables: Sequence[Row]) -> Lake:
    """A lake that holds these rows of these tables, each committed once: its first batch, and its
    first build.
    """
    lake = open_lake(str(folder))
    for name, rows in tables.items():
        table = TABLES[name]
        of: Row = {"dataset": "candles"} if "dataset" in table.names else {}
        frame = pl.DataFrame([{**of, **row} for row in rows], schema_of(table), orient="row")
        fill(lake, table, frame)
    mark_built(lake)
    return lake


def schema_of(table: Table) -> pl.Schema:
    """The columns of a table without its batch, which `fill` knows."""
    return pl.Schema({n: t for n, t in table.polars_schema.items() if n != BATCH})


def fill(lake: Lake, table: Table, frame: pl.DataFrame) -> None:
    """Add rows to a table, or replace the rows of one in one piece, as the next batch or as the
    newest build.
    """
    base = lake.snapshot(table)
    name = BUILD if table in CURATED else BATCH
    number = base.counter(name) + 1
    if BATCH in table.names and BATCH not in frame.columns:
        frame = frame.with_columns(pl.lit(number, pl.Int64).alias(BATCH))
    if table in (ASKS, RECORDS):
        lake.commit(base, [lake.write(table, frame)], LINEAGE, counters={name: number})
    elif not table.partition:
        lake.replace(base, frame, LINEAGE, {name: number})
    else:
        parts = frame.partition_by(table.partition, as_dict=True).items()
        added = [lake.write(table, part, str(name)) for (name,), part in parts]
        lake.commit(base, added, LINEAGE, counters={name: number})


def curate(lake: Lake, table: Table, rows: Sequence[Row]) -> None:
    """Add rows to a curated table, or replace those of one in one piece, as the next build."""
    fill(lake, table, pl.DataFrame(rows, schema=table.polars_schema, orient="row"))
    mark_built(lake)


def append(lake: Lake, parts: Mapping[str, Sequence[pl.DataFrame]]) -> int:
    """Commit raw candles as the next batch, each frame a file; return its number. Nobody is said
    to have asked for them.
    """
    base = lake.snapshot(RAW_CANDLES)
    number = base.counter(BATCH) + 1
    batch = pl.lit(number, pl.Int64).alias(BATCH)
    files = [
        lake.write(RAW_CANDLES, frame.with_columns(batch), name)
        for name, frames in parts.items()
        for frame in frames
    ]
    return commit_batch(lake, base, files, LINEAGE)


def append_to(lake: Lake, name: str, frame: pl.DataFrame) -> int:
    """Commit raw candles of one instrument as the next batch; return its number."""
    return append(lake, {name: [frame]})


def stored(commit: Callable[[], int]) -> int:
    """What a commit returns that starts over as often as another writer is in its way."""
    while True:
        with suppress(ConflictError):
            return commit()


def held(lake: Lake) -> pl.DataFrame:
    """All raw candles."""
    return lake.scan("raw_candles").collect().sort("instrument", "ts")


def answer(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    """The rows that a query finds."""
    return lake.sql(query).rows()


def names(lake: Lake) -> list[str]:
    """The instruments on record."""
    return lake.read(INSTRUMENTS)["instrument"].to_list()


def begin(lake: Lake, name: str) -> int:
    """Store the next minute of an instrument as the next batch, which is not complete; return its
    number.
    """
    last = lake.read(RAW_CANDLES).filter(instrument=name).tail(1).drop(BATCH)
    return append(lake, {name: [last.with_columns(pl.col("ts") + MINUTE)]})


def ask(lake: Lake, number: int, *tiles: tuple[str, datetime, datetime, str], **of: Any) -> None:  # noqa: ANN401
    """Add rows of `asks` to a batch, see `asked`, and bring `coverage` up to date."""
    batches.append(lake, ASKS, asked(*tiles, **of), number, LINEAGE)
    asks.update(lake, "test")


def asked(*tiles: tuple[str, datetime, datetime, str], **of: Any) -> pl.DataFrame:  # noqa: ANN401
    """Rows of `asks` without their batch: instrument, start, end and status, each of a window of
    its own.
    """
    rows = [
        {
            "dataset": "candles",
            "instrument": name,
            "start": start,
            "end": end,
            "status": status,
            "window_start": start,
            "window_end": end,
            "duplicates": 0,
            "run": "test",
            "program": "test",
            "at": NOW,
            **of,
        }
        for name, start, end, status in tiles
    ]
    return pl.DataFrame(rows, schema=schema_of(ASKS), orient="row")


def record(lake: Lake, rows: Sequence[Row]) -> int:
    """Store records of instruments as the next batch, and `instruments`; return its number."""
    frame = pl.DataFrame(rows, schema=INSTRUMENTS.polars_schema, orient="row")
    number = commit_batch(lake, lake.snapshot(RAW_CANDLES), (), LINEAGE)
    text = frame.with_columns(program=pl.lit("test"), at=pl.lit(NOW))
    number, _ = batches.append(lake, RECORDS, text, number, LINEAGE)
    lake.replace(lake.snapshot(INSTRUMENTS), frame, LINEAGE, {BATCH: number})
    return number


def mark_built(lake: Lake) -> None:
    """Add the row of a build that made the curated tables what they are."""
    bases = {table.name: lake.snapshot(table) for table in CURATED}
    number = max(base.counter(BUILD) for base in bases.values())
    if not number:
        return
    row = {
        "build": number,
        "batch": lake.snapshot(RAW_CANDLES).counter(BATCH),
        "rules": "test",
        "settings": "{}",
        "asks": 0,
        "records": 0,
        **{f"{name}_version": base.version or 0 for name, base in bases.items()},
        "program": "test",
        "at": NOW,
    }
    frame = pl.DataFrame([row], schema=BUILDS.polars_schema, orient="row")
    base = lake.snapshot(BUILDS)
    lake.commit(base, [lake.write(BUILDS, frame)], LINEAGE, counters={BUILD: number})


def built_lake(folder: Path, server: SimulatedExchange) -> Lake:
    """All that the exchange has, fetched and built."""
    lake = open_lake(str(folder))
    fetch(server, lake, Selection())
    with ThreadPoolExecutor(2) as executor:
        build(lake, executor, PROGRAM)
    return lake


def copied(lake: Lake, folder: Path) -> Lake:
    """A copy of a lake on disk, in another folder, to be changed."""
    return open_lake(str(shutil.copytree(lake.uri, folder / "copy")))


def instrument(name: str, expires_at: datetime | None = None) -> Row:
    """A row of `instruments`: a future where it expires, else a perpetual."""
    row = {
        "instrument": name,
        "kind": "future" if expires_at else "perpetual",
        "base": name[:3],
        "quote": "USD",
        "settlement": name[:3],
        "contract_type": "inverse",
        "listed_at": LISTED_AT,
        "expires_at": expires_at,
        "tick_size": 0.5,
        "contract_size": 10.0,
        "active": False,
        "price_index": f"{name[:3]}_usd".lower(),
        "term": term_of(expires_at),
    }
    assert set(row) == set(INSTRUMENTS.names)
    return row


def candle(name: str, ts: datetime, close: float, **others: Any) -> Row:  # noqa: ANN401
    """A row of `candles`, flat at its close and untraded unless said otherwise."""
    row = {
        "instrument": name,
        "ts": ts,
        "open": close,
        "high": close,
        "low": close,
        "close": close,
        "volume": 0.0,
        "cost": 0.0,
        "traded": False,
        "suspect": False,
        **others,
    }
    assert set(row) == set(CANDLES.names)
    return row


def basis_row(name: str, ts: datetime, expires_at: datetime, pct: float, **others: Any) -> Row:  # noqa: ANN401
    """A row of `basis` against a perpetual at 100, traded on both sides unless said otherwise."""
    days = (expires_at - ts).total_seconds() / 86_400
    row = {
        "instrument": name,
        "ts": ts,
        "future_close": 100 + pct,
        "perpetual_close": 100.0,
        "basis": pct,
        "basis_pct": pct,
        "days_to_expiry": days,
        "annualised_pct": pct * 365 / days if days > 1 / 24 else None,
        "market_structure": "contango" if pct > 0 else "backwardation" if pct < 0 else "flat",
        "future_traded": True,
        "perpetual_traded": True,
        "suspect": False,
        **others,
    }
    assert set(row) == set(BASIS.names)
    return row


def interval(name: str, start: datetime, end: datetime, status: str) -> Row:
    """A row of `coverage`, of candles."""
    row = {
        "instrument": name,
        "start": start,
        "end": end,
        "minutes": int((end - start).total_seconds() // 60),
        "status": status,
        "dataset": "candles",
    }
    assert set(row) == set(COVERAGE.names)
    return row
