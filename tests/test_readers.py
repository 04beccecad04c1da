"""Other engines read a lake as it is, at any version; docs/engines.md shows the same calls."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from lake import Lake
from lake.tables import TABLES
from tests.market import ROOT
from tests.staged import Staged, built

PANDAS = ROOT / ".venv" / "pandas"
WITH_DASK = """
import json, sys
import dask.dataframe as frames

def counts(uris):
    read = frames.read_parquet(uris, columns=["instrument"])
    counted = read.groupby("instrument", observed=True).size().compute()
    return {str(name): int(count) for name, count in counted.items()}

print(json.dumps([counts(uris) for uris in json.load(sys.stdin)]))
"""

# Rows of a table by instrument.
Counts = dict[str, int]
Reader = Callable[[DeltaTable], Counts]


@pytest.fixture(scope="module")
def where(staged: Staged, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    copy = staged.copy(tmp_path_factory.mktemp("readers"))
    # So that files of older versions lie beside those of the newest.
    built(copy, full=True)
    return copy


def with_polars(delta: DeltaTable) -> Counts:
    found = pl.scan_delta(delta).group_by("instrument").len().collect()
    return dict(found.iter_rows())


def with_duckdb(delta: DeltaTable) -> Counts:
    if not delta.file_uris():
        return {}
    query = "SELECT instrument, count(*) FROM read_parquet($1, hive_partitioning = true) GROUP BY 1"
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
@pytest.mark.parametrize("name", TABLES)
def test_every_version_of_every_table_has_the_same_rows_to_every_reader(
    where: Lake, name: str, read: Reader
) -> None:
    for version in _versions(where, name):
        assert read(_delta(where, name, version)) == _expected(where, name, version)


@pytest.mark.slow
def test_dask_counts_the_same_rows(where: Lake) -> None:
    if not PANDAS.exists():
        pytest.skip("`make test-slow` installs pandas for this, where nothing else finds it")
    asked = [(name, version) for name in TABLES for version in _versions(where, name)]
    expected = [counts for each in asked if (counts := _expected(where, *each))]
    uris = [files for each in asked if (files := _delta(where, *each).file_uris())]
    done = subprocess.run(
        [sys.executable, "-c", WITH_DASK],
        env={**os.environ, "PYTHONPATH": str(PANDAS)},
        input=json.dumps(uris),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("name", TABLES)
def test_spark_reads_the_files_of_a_version(where: Lake, spark: Any, name: str) -> None:  # noqa: ANN401
    for version in (1, where.snapshot(TABLES[name]).version):
        assert version is not None
        delta = _delta(where, name, version)
        expected = _expected(where, name, version)
        if not expected:
            continue
        frame = spark.read.option("basePath", delta.table_uri).parquet(*delta.file_uris())
        counted = frame.groupBy("instrument").count().collect()
        assert {row["instrument"]: row["count"] for row in counted} == expected
        # Every column, which Spark has to decode.
        columns = where.scan(name, version).select(pl.all().count()).collect()
        found = frame.agg(dict.fromkeys(frame.columns, "count")).collect()[0].asDict()
        assert {f"count({c})": n for c, n in columns.row(0, named=True).items()} == found


def _versions(where: Lake, name: str) -> list[int]:
    newest = where.snapshot(TABLES[name]).version
    assert newest is not None
    return sorted({1, newest // 2, newest})


def _delta(where: Lake, name: str, version: int) -> DeltaTable:
    return DeltaTable(f"{where.uri}/{name}", version=version)


def _expected(where: Lake, name: str, version: int) -> Counts:
    rows = where.scan(name, version).group_by("instrument").len().collect()
    return dict(rows.iter_rows())
