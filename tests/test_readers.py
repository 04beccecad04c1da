"""Other engines read a lake as it is, at any version; docs/engines.md shows the same calls."""

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from lake.tables import TABLES
from tests.staged import Staged, built, make_staged

# Rows of a table by instrument.
Counts = dict[str, int]
Reader = Callable[[DeltaTable], Counts]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    made = make_staged(tmp_path_factory.mktemp("staged"))
    # So that files of older versions lie beside those of the newest.
    built(made.where, full=True)
    return made


def with_polars(delta: DeltaTable) -> Counts:
    found = pl.scan_delta(delta).group_by("instrument").len().collect()
    return dict(found.iter_rows())


def with_duckdb(delta: DeltaTable) -> Counts:
    if not delta.file_uris():
        return {}
    query = "SELECT instrument, count(*) FROM read_parquet($1, hive_partitioning = true) GROUP BY 1"
    return dict(duckdb.connect().execute(query, [delta.file_uris()]).fetchall())


def with_dask(delta: DeltaTable) -> Counts:
    frames = pytest.importorskip("dask.dataframe")
    if not delta.file_uris():
        return {}
    read = frames.read_parquet(delta.file_uris(), columns=["instrument"])
    counted = read.groupby("instrument", observed=True).size().compute()
    return {str(name): int(count) for name, count in counted.items()}


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


# Dask calls pandas in a way that pandas 3.1 is about to give up.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("read", [with_polars, with_duckdb, with_dask])
@pytest.mark.parametrize("name", TABLES)
def test_every_version_of_every_table_has_the_same_rows_to_every_reader(
    staged: Staged, name: str, read: Reader
) -> None:
    newest = staged.where.snapshot(TABLES[name]).version
    assert newest is not None
    for version in {1, newest // 2, newest}:
        assert read(_delta(staged, name, version)) == _expected(staged, name, version)


@pytest.mark.parametrize("name", TABLES)
def test_spark_reads_the_files_of_a_version(staged: Staged, spark: Any, name: str) -> None:  # noqa: ANN401
    for version in (1, staged.where.snapshot(TABLES[name]).version):
        assert version is not None
        delta = _delta(staged, name, version)
        expected = _expected(staged, name, version)
        if not expected:
            continue
        frame = spark.read.option("basePath", delta.table_uri).parquet(*delta.file_uris())
        counted = frame.groupBy("instrument").count().collect()
        assert {row["instrument"]: row["count"] for row in counted} == expected
        # Every column, which Spark has to decode.
        columns = staged.where.scan(name, version).select(pl.all().count()).collect()
        found = frame.agg(dict.fromkeys(frame.columns, "count")).collect()[0].asDict()
        assert {f"count({c})": n for c, n in columns.row(0, named=True).items()} == found


def _delta(staged: Staged, name: str, version: int) -> DeltaTable:
    return DeltaTable(f"{staged.where.uri}/{name}", version=version)


def _expected(staged: Staged, name: str, version: int) -> Counts:
    rows = staged.where.scan(name, version).group_by("instrument").len().collect()
    return dict(rows.iter_rows())
