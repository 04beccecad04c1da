"""Lakes for tests: small ones of given rows, and one that the pipeline built of a small market."""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

import lake
from basislake import PROGRAM
from basislake.exchange.server import SimulatedExchange
from lake import Lake
from lake.tables import BASIS, CANDLES, COVERAGE, INSTRUMENTS, Table
from tests.market import fetch
from transforms.build import build

LINEAGE = {"program": "test"}
LISTED_AT = datetime.fromisoformat("2020-01-01T00:00:00Z")
DAY_US = 86_400_000_000

Row = Mapping[str, Any]


def lake_of(folder: Path, **tables: Sequence[Row]) -> Lake:
    """A lake that holds these rows of these tables, each committed once."""
    where = lake.open(str(folder))
    for name, rows in tables.items():
        table = lake.TABLES[name]
        _fill(where, table, pl.DataFrame(rows, schema=table.polars_schema, orient="row"))
    return where


def built_lake(folder: Path, server: SimulatedExchange) -> Lake:
    """All that the exchange has, fetched and built."""
    where = lake.open(str(folder))
    fetch(server, where)
    with ThreadPoolExecutor(2) as executor:
        build(where, executor, PROGRAM)
    return where


def copied(where: Lake, folder: Path) -> Lake:
    """A copy of a lake on disk, in another folder, to be changed."""
    return lake.open(str(shutil.copytree(where.uri, folder / "copy")))


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
    """A row of `coverage`."""
    minutes = int((end - start).total_seconds() // 60)
    row = {"instrument": name, "start": start, "end": end, "minutes": minutes, "status": status}
    assert set(row) == set(COVERAGE.names)
    return row


def _fill(where: Lake, table: Table, frame: pl.DataFrame) -> None:
    if not table.partition:
        where.replace(where.snapshot(table), frame, LINEAGE)
        return
    parts = frame.partition_by(table.partition, as_dict=True).items()
    added = [where.write(table, part, str(name)) for (name,), part in parts]
    where.commit(where.snapshot(table), added, LINEAGE)
