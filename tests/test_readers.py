"""Other engines read a lake as it is, and raw tables as of any batch; docs/engines.md shows the
same calls.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from lake import Lake
from lake import open as open_lake
from lake.carry_tables import RAW_FUNDING_TOTALS, REJECTED
from lake.query import duck
from lake.table import Table
from lake.tables import RAW, TABLES
from tests.market import ROOT
from tests.processes import finished
from tests.staged import Staged, built

PANDAS = ROOT / ".venv" / "pandas"
WITH_DASK = """
import json, sys
import dask.dataframe as frames

def counts(column, uris):
    read = frames.read_parquet(uris, columns=[column])
    counted = read.groupby(column, observed=True).size().compute()
    return {str(value): int(count) for value, count in counted.items()}

print(json.dumps([counts(column, uris) for column, uris in json.load(sys.stdin)]))
"""

# Rows of a table by the first column of its key.
Counts = dict[Any, int]
Reader = Callable[[Table, DeltaTable], Counts]


@pytest.fixture(scope="module")
def lake(staged: Staged, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    copy = staged.copy(tmp_path_factory.mktemp("readers"))
    # So that files of older versions are next to those of the newest.
    built(copy, full=True)
    return copy


def with_polars(table: Table, delta: DeltaTable) -> Counts:
    found = pl.scan_delta(delta).group_by(table.key[0]).len().collect()
    return dict(found.iter_rows())


def with_duckdb(table: Table, delta: DeltaTable) -> Counts:
    if not delta.file_uris():
        return {}
    rows = "read_parquet($1, hive_partitioning = true)"
    query = f"SELECT {table.key[0]}, count(*) FROM {rows} GROUP BY 1"
    return dict(duckdb.connect().execute(query, [delta.file_uris()]).fetchall())


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="pip install pyspark, and Java, to run this")
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.parametrize("read", [with_polars, with_duckdb])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_version_of_every_table_has_the_same_rows_to_every_reader(
    lake: Lake, table: Table, read: Reader
) -> None:
    for version in _versions(lake, table):
        found = read(table, _delta(lake, table, version))
        assert found == _expected(lake, table, version)


@pytest.mark.parametrize("table", RAW, ids=lambda table: table.name)
def test_raw_rows_as_of_a_batch_are_a_filter_in_any_engine(
    staged: Staged, lake: Lake, table: Table
) -> None:
    rows = f"read_parquet({_delta(lake, table).file_uris()!r}, hive_partitioning = true)"
    for batch in (staged.first.batch, staged.unbuilt.batch, staged.last.batch):
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            seen = duck.rows(connection, f"FROM {rows} WHERE batch <= {batch}")
        found = table.cast(seen).sort(table.key)
        expected = open_lake(lake.uri, as_of=batch).read(table).sort(table.key)
        assert found.equals(expected)
    first = open_lake(lake.uri, as_of=staged.first.batch).read(table)
    assert expected.height >= first.height > 0
    # Of the market's days one whole month has ended, before the first stage.
    assert expected.height > first.height or table is RAW_FUNDING_TOTALS


@pytest.mark.slow
def test_dask_counts_the_same_rows(lake: Lake) -> None:
    if not PANDAS.exists():
        pytest.skip("`make test-slow` installs pandas for this, where nothing else finds it")
    tables = (table for table in TABLES.values() if table.key[0] == "instrument")
    asked = [(table, version) for table in tables for version in _versions(lake, table)]
    expected = [counts for each in asked if (counts := _expected(lake, *each))]
    uris = [("instrument", u) for each in asked if (u := _delta(lake, *each).file_uris())]
    env = {**os.environ, "PYTHONPATH": str(PANDAS)}
    done = finished(sys.executable, "-c", WITH_DASK, env=env, given=json.dumps(uris))
    assert done.code == 0, done.err
    assert done.json == expected


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_spark_reads_the_files_of_a_version(lake: Lake, spark: Any, table: Table) -> None:  # noqa: ANN401
    for version in (1, lake.snapshot(table).version):
        assert version is not None
        delta = _delta(lake, table, version)
        expected = _expected(lake, table, version)
        if not expected:
            continue
        frame = spark.read.option("basePath", delta.table_uri).parquet(*delta.file_uris())
        counted = frame.groupBy(table.key[0]).count().collect()
        assert {row[table.key[0]]: row["count"] for row in counted} == expected
        # Every column, which Spark has to decode.
        columns = lake.snapshot(table, version).scan().select(pl.all().count()).collect()
        found = frame.agg(dict.fromkeys(frame.columns, "count")).collect()[0].asDict()
        assert {f"count({c})": n for c, n in columns.row(0, named=True).items()} == found


def _versions(lake: Lake, table: Table) -> list[int]:
    newest = lake.snapshot(table).version
    if table is REJECTED and newest is None:  # no row was ever rejected
        return []
    assert newest is not None
    return sorted({1, newest // 2, newest})


def _delta(lake: Lake, table: Table, version: int | None = None) -> DeltaTable:
    return DeltaTable(f"{lake.uri}/{table.name}", version=version)


def _expected(lake: Lake, table: Table, version: int) -> Counts:
    rows = lake.snapshot(table, version).scan().group_by(table.key[0]).len().collect()
    return dict(rows.iter_rows())
