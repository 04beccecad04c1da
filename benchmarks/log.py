"""Measures what a log that grows by the minute costs: a build with nothing new, and checkpoints.

    python -m benchmarks.log [DAYS...]

16 instruments, and for 1, 3 and 10 days up to now, unless told otherwise, a commit a minute and a
compaction an hour, as `follow` makes them. They are written into the log of raw candles as the
library writes them, which would take it ten minutes; of the files that they name only the first are
there, and nothing here reads others.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
import polars as pl

import lake
from basislake import PROGRAM
from basislake.curate import curate
from benchmarks.build_lake import START, future_name, record
from benchmarks.rehearsal import machine
from ingest.batches import Outcome, store
from ingest.replies import Page
from lake import Lake, schema
from lake.actions import LOG, commit_file
from lake.compaction import groups
from lake.files import DataFile, add_action_fields
from lake.log import IDENTITY, UPKEEP
from lake.pieces import LISTED, listed
from lake.spans import MINUTE, Span
from lake.tables import CURATED, RAW_CANDLES
from lake.transaction import mark

NAMES = ("BTC-PERPETUAL", "ETH-PERPETUAL", *map(future_name, range(14)))
MINUTES_A_DAY, MINUTES_AN_UPKEEP = 1440, 60
_FOREVER_MINUTES = 10_000_000
_KEPT = "delta.deletedFileRetentionDuration"
_TRIES = 5
_SINCE_CHECKPOINT = timedelta(minutes=30)


class _Change(NamedTuple):
    """What a commit says, and the files that go and come."""

    lineage: Mapping[str, Any]
    gone: list[DataFile]
    come: list[DataFile]


def main() -> None:
    """Print what logs of some lengths cost."""
    print(machine())
    for days in map(int, sys.argv[1:] or ("1", "3", "10")):
        with tempfile.TemporaryDirectory() as folder:
            where = lake.open(folder)
            _begin(where)
            _follow(where, days * MINUTES_A_DAY, datetime.now(UTC) - _SINCE_CHECKPOINT)
            _say_commits(where, days)
            _checkpoint(where)
            _follow(where, _SINCE_CHECKPOINT // MINUTE, datetime.now(UTC))
            _take_as_built(where)
            _measure(where)


def _begin(where: Lake) -> None:
    """Store a first minute of every instrument, and build."""
    record(where, dict.fromkeys(NAMES, (START, _FOREVER_MINUTES)))
    prices = {name: [1.0] for name in ("open", "high", "low", "close", "volume", "cost")}
    page = Page(pl.DataFrame({"ts": [START], **prices}), 0, Span(START, START + MINUTE))
    store(where, [Outcome(name, page.asked, page) for name in NAMES], PROGRAM)
    curate(where)


def _follow(where: Lake, minutes: int, until: datetime) -> None:
    """Write the commits of so many minutes."""
    base = where.snapshot(RAW_CANDLES)
    version = base.version or 0
    for change, at in _changes(base.by_partition(), until - minutes * MINUTE, minutes):
        version += 1
        (Path(base.uri) / commit_file(version)).write_bytes(_text(change, version, at))


def _say_commits(where: Lake, days: int) -> None:
    sizes = [path.stat().st_size for path in _log(where).glob("*.json")]
    print(f"{days} days, {len(sizes):,} commits, {sum(sizes) / days / 1e6:.1f} MB a day")


def _log(where: Lake) -> Path:
    return Path(where.uri) / RAW_CANDLES.name / LOG


def _checkpoint(where: Lake) -> None:
    """Write one that names what was compacted in the last week, and one as basislake has them."""
    for kept in ("interval 1 week", schema.PROPERTIES.get(_KEPT)):
        if kept:
            mark(where.snapshot(RAW_CANDLES), {_KEPT: kept}, {UPKEEP: "marked"})
            where.snapshot(RAW_CANDLES).opened.create_checkpoint()
            newest = max(_log(where).glob("*.checkpoint.parquet"))
            print(f"  checkpoint, {kept}: {newest.stat().st_size / 1e6:.2f} MB")


def _take_as_built(where: Lake) -> None:
    """Let the curated tables say that they are made from the newest raw candles."""
    version = where.snapshot(RAW_CANDLES).version
    for table in CURATED:
        newest = where.history(table, 1)[0].lineage
        made = {**newest["made_from"], RAW_CANDLES.name: version}
        where.commit(where.snapshot(table), [], {**newest, "made_from": made})


def _changes(
    held: Mapping[str, tuple[DataFile, ...]], began: datetime, minutes: int
) -> Iterator[tuple[_Change, datetime]]:
    files = {name: list(own) for name, own in held.items()}
    for minute in range(1, minutes + 1):
        at, ts = began + minute * MINUTE, START + minute * MINUTE
        came = [_file(name, 1, ts, ts) for name in NAMES]
        for name, file in zip(NAMES, came, strict=True):
            files[name].append(file)
        asked = {name: [[minute, minute + 1]] for name in NAMES}
        yield _Change({"windows": len(NAMES), "asked": asked, "duplicates": {}}, [], came), at
        if minute % MINUTES_AN_UPKEEP == 0:
            yield _compaction(files), at


def _compaction(files: dict[str, list[DataFile]]) -> _Change:
    swaps = [(group, _joined(group)) for own in files.values() for group in groups(own)]
    for group, file in swaps:
        own = files[file.partition or ""]
        own[:] = [*(old for old in own if old not in group), file]
    gone = [old for group, _ in swaps for old in group]
    lineage = {UPKEEP: "compaction", LISTED: listed(swaps)}
    return _Change(lineage, gone, [file for _, file in swaps])


def _joined(group: tuple[DataFile, ...]) -> DataFile:
    rows, name = sum(old.rows for old in group), group[0].partition or ""
    return _file(name, rows, group[0].first or START, group[-1].last or START)


def _file(name: str, rows: int, first: datetime, last: datetime) -> DataFile:
    path = f"instrument={name}/{uuid4().hex}{uuid4().hex}-{uuid4().hex[:8]}.parquet"
    return DataFile(path, name, rows, 2_000 + 10 * rows, first, last)


def _text(change: _Change, version: int, at: datetime) -> bytes:
    """A commit as the library writes it."""
    at_ms = int(at.timestamp() * 1000)
    told = {"program": PROGRAM, IDENTITY: uuid4().hex, **change.lineage}
    gone = {"dataChange": False, "deletionTimestamp": at_ms, "extendedFileMetadata": True}
    actions: list[Mapping[str, Any]] = [
        {"commitInfo": {"timestamp": at_ms, "operation": "WRITE", **told}},
        *({"remove": {"path": f.path, "size": f.bytes, **gone, **_values(f)}} for f in change.gone),
        *({"add": _added(file, at_ms)} for file in change.come),
        *({"txn": {"appId": name, "version": version}} for name in NAMES),
    ]
    return b"\n".join(map(orjson.dumps, actions))


def _added(file: DataFile, at_ms: int) -> dict[str, Any]:
    told = add_action_fields(RAW_CANDLES, file)
    return {
        "path": file.path,
        "size": file.bytes,
        **_values(file),
        "modificationTime": at_ms,
        "dataChange": True,
        "stats": told["stats"],
    }


def _values(file: DataFile) -> dict[str, Any]:
    return {"partitionValues": {"instrument": file.partition}}


def _measure(where: Lake) -> None:
    for what, act in (
        ("opening the table", lambda: where.snapshot(RAW_CANDLES)),
        ("reading the whole log", lambda: where.history(RAW_CANDLES)),
        ("build, nothing new", lambda: _built(where)),
    ):
        print(f"  {what}: {min(_timed(act) for _ in range(_TRIES)):.3f} s", flush=True)


def _built(where: Lake) -> None:
    if curate(where).rebuilt:
        raise SystemExit("Something was built, so this is not what was to be measured.")


def _timed(act: Callable[[], object]) -> float:
    start_s = time.monotonic()
    act()
    return time.monotonic() - start_s


if __name__ == "__main__":
    main()
