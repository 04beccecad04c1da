"""Additional tables for the queries of the report: the lake's files and fingerprints, records of
backfills, and the database. Each is a frame with declared columns.
"""

from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import polars as pl

from basislake.settings.database_target import Target
from ingest.backfill.run_records import GOING_ON, KEPT, runs
from ingest.plan.planner import spans_in_scope
from ingest.plan.scope import scope_of
from lake import TABLES, Lake
from lake.coverage import IS_CANDLES
from lake.history.fingerprint import fingerprint
from lake.table import Column, Table, Type
from lake.tables import COVERAGE, INSTRUMENTS
from load.preview import parity

_TABLE_NAME = Column("table_name", Type.TEXT, "name of the table")


def _table(name: str, row: str, *columns: Column) -> Table:
    return Table(name, row, columns, key=(columns[0].name,), order=(columns[0].name,))


def _counts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Type.INT, name.replace("_", " "), nullable=True) for name in names)


LAKE_FILES = _table(
    "lake_files",
    "a Parquet file of a table",
    _TABLE_NAME,
    Column("partition", Type.TEXT, "instrument, if the table has partitions", nullable=True),
    *_counts("rows", "bytes"),
)

LAKE_CONTENT = _table(
    "lake_content",
    "a table of the lake, or the lake in one",
    _TABLE_NAME,
    Column("place", Type.INT, "order of the tables"),
    Column("rows", Type.INT, "in it", "rows"),
    Column("sha256", Type.TEXT, "of the content, see `lake.history.fingerprint`"),
)

SCOPE = _table(
    "in_scope",
    "minutes of an instrument's life, past or future, that are in the lake's scope",
    Column("instrument", Type.TEXT, "the exchange's name of the instrument"),
    Column("start", Type.TIME, "first minute", "UTC"),
    Column("end", Type.TIME, "end, exclusive", "UTC"),
)

CANDLE_COVERAGE = _table("candle_coverage", "see `coverage`; of candles alone", *COVERAGE.columns)

RUNS = _table(
    "runs",
    "a backfill that ended",
    Column("run", Type.TEXT, "sorts by the time it started"),
    Column("state", Type.TEXT, "how it ended"),
    Column("started_at", Type.TIME, "start", "UTC"),
    Column("seconds", Type.INT, "from the start to the last update of its record", "seconds"),
    *_counts(
        "planned_calls", "calls", "planned_candles", "candles", "candles_written", "retries",
        "throttled", "empty", "failed",
    ),
)  # fmt: skip

RUN_FAILURES = _table(
    "run_failures",
    "an instrument that the newest backfill that ended could not complete",
    Column("instrument", Type.TEXT, "the exchange's name of the instrument"),
    Column("reason", Type.TEXT, "why"),
)

DATABASE_TABLES = _table(
    "database_tables",
    "a table of PostgreSQL",
    _TABLE_NAME,
    *_counts("lake_rows", "database_rows", "database_bytes"),
    Column("behind", Type.INT, "whose content is not what was loaded last", "partitions"),
    Column("is_equal", Type.BOOL, "as many rows, and no partition behind"),
    Column("loaded_at", Type.TIME, "last load into it", "UTC", nullable=True),
)


def lake_frames(lake: Lake, threads: int) -> dict[str, pl.DataFrame]:
    """Return the files of the tables, their fingerprints, and the lake's scope.

    Args:
        lake: the lake at one moment.
        threads: partitions read at once, if the fingerprint has to read any.

    Raises:
        LakeError: the lake cannot be read.
    """
    return {
        LAKE_FILES.name: file_frame(lake),
        LAKE_CONTENT.name: _content(lake, threads),
        **scope_frames(lake),
    }


def scope_frames(lake: Lake) -> dict[str, pl.DataFrame]:
    """Return the minutes in the lake's scope (see `basislake scope`), and their coverage.

    Raises:
        LakeError: the lake cannot be read.
    """
    spans = spans_in_scope(lake.read(INSTRUMENTS), scope_of(lake))
    rows = [(name, span.start, span.end) for name, own in spans.items() for span in own]
    return {
        SCOPE.name: pl.DataFrame(rows, SCOPE.polars_schema, orient="row"),
        CANDLE_COVERAGE.name: lake.read(COVERAGE).filter(IS_CANDLES),
    }


def file_frame(lake: Lake) -> pl.DataFrame:
    """Return the files of the tables.

    Raises:
        LakeError: the lake cannot be read.
    """
    listed = [
        (name, file.partition, file.rows, file.bytes)
        for name, table in TABLES.items()
        for file in lake.snapshot(table).files
    ]
    return pl.DataFrame(listed, LAKE_FILES.polars_schema, orient="row")


def run_frames(lake: Lake, made_at: datetime, newest: int) -> dict[str, pl.DataFrame]:
    """Return the backfills that had ended at a time, and what the last of them could not complete.

    A record is a file that anybody may have changed, so a cell of a wrong type is left empty.

    Args:
        lake: to read.
        made_at: the time, UTC.
        newest: at most so many backfills.
    """
    ended = [
        record
        for record in runs(lake, KEPT, made_at)
        if record["state"] not in GOING_ON
        and datetime.fromisoformat(record["updated_at"]) <= made_at
    ][:newest]
    failures = _failures(ended[0]) if ended else []
    return {
        RUNS.name: pl.DataFrame(
            [_run(record) for record in ended], RUNS.polars_schema, orient="row"
        ),
        RUN_FAILURES.name: pl.DataFrame(failures, RUN_FAILURES.polars_schema, orient="row"),
    }


def database_frames(lake: Lake, loaded: Target | None) -> dict[str, pl.DataFrame]:
    """Return the database's tables compared with those of the lake; no rows without a database.

    Raises:
        LakeError: the lake cannot be read.
        LoadError: the database cannot be read.
    """
    if loaded is None:
        return {DATABASE_TABLES.name: DATABASE_TABLES.empty()}
    cells = attrgetter(
        "table", "lake_rows", "database_rows", "bytes", "behind", "is_equal", "loaded_at"
    )
    found = parity(lake, loaded.postgres, loaded.schema, loaded.lock_wait_s, exact=True)
    listed = [cells(row) for row in found]
    frame = pl.DataFrame(listed, DATABASE_TABLES.polars_schema, orient="row")
    return {DATABASE_TABLES.name: frame}


def _content(lake: Lake, threads: int) -> pl.DataFrame:
    found = fingerprint(lake, threads)
    rows = [
        (name, place, found.rows[name], digest)
        for place, (name, digest) in enumerate(found.tables.items())
    ]
    rows.append(("the lake", len(rows), sum(found.rows.values()), found.lake))
    return pl.DataFrame(rows, LAKE_CONTENT.polars_schema, orient="row")


def _run(record: Mapping[str, Any]) -> tuple[object, ...]:
    started, updated = (
        datetime.fromisoformat(record[name]) for name in ("started_at", "updated_at")
    )
    plan = record["plan"] if isinstance(record["plan"], dict) else {}
    return (
        str(record["run"]),
        str(record["state"]),
        started,
        round((updated - started).total_seconds()),
        _whole(plan.get("calls")),
        _whole(record.get("calls")),
        _whole(plan.get("candles")),
        *(_whole(record.get(n)) for n in ("candles", "candles_written", "retries", "throttled")),
        *(_length(record.get(name)) for name in ("empty", "failed")),
    )


def _failures(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = record.get("failed")
    found = {
        str(failure["instrument"]): str(failure["reason"])
        for failure in (listed if isinstance(listed, list) else [])
        if isinstance(failure, dict) and failure.keys() >= {"instrument", "reason"}
    }
    return sorted(found.items())


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, list) else None
