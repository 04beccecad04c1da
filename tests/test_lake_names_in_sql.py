"""A query opens only what it names; its answer, or its error, is that with everything open."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from lake import Lake
from lake.errors import LakeError, UsageError
from lake.query import duck
from lake.query.names_in_sql import ALL, named, with_sources
from lake.query.views import VIEWS
from lake.tables import BASIS
from tests.lakes import basis_row, instrument, lake_of
from tests.strategies import T0, minute

EXPIRY = T0 + timedelta(days=2)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(
        tmp_path_factory.mktemp("named"),
        instruments=[instrument("BTC-3JAN24", EXPIRY)],
        basis=[basis_row("BTC-3JAN24", minute(0), EXPIRY, 1.0)],
    )


@pytest.fixture(scope="module")
def everything(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with lake.duckdb() as connection:
        yield connection


def outcome(ask: Lake | duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame | str:
    try:
        return ask.sql(query) if isinstance(ask, Lake) else duck.rows(ask, query)
    except UsageError as exc:
        return str(exc)


@pytest.mark.parametrize(
    "query",
    [
        'SELECT count(*) FROM "BASIS" -- and a note',
        "FROM constant_maturity_by(1)",
        "WITH basis AS (SELECT 1) FROM basis",
        "TABLE instruments",
        "PIVOT basis ON instrument USING sum(basis)",
        # What there is.
        "DESC",
        "WITH views AS (DESC) FROM views",
        "/* all */ SHOW TABLES",
        "SELECT 1 AS name UNION ALL BY NAME DESCRIBE",
        "DESCRIBE basis",
        "SELECT table_name FROM Information_Schema.tables ORDER BY 1",
        "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1",
        "SELECT name FROM sqlite_master ORDER BY 1",
        "SELECT relname FROM pg_class ORDER BY 1",
        "PRAGMA show_tables",
        "CALL pragma_table_info('candles')",
        "SELECT 1; SHOW TABLES",
        # Names that are worked out.
        "SELECT count(*) FROM query_table('ba' || 'sis')",
        "FROM query('SHOW ' || 'TABLES')",
        "FROM json_execute_serialized_sql(json_serialize_sql('SHOW ' || 'TABLES'))",
        # Errors, which suggest similar names.
        "FROM baisis",
        "SELECT count(*) FROM basis JOIN candels USING (instrument)",
        "FROM term_strukture('2024-01-01')",
        "FROM term_structure()",
        "SELECT basiss FROM basis",
        "SELECT gaps.start FROM basis",
        "CREATE VIEW basis AS SELECT 1",
        "SELEC 1",
        "",
    ],
)
def test_a_query_gets_what_it_gets_where_everything_is_open(
    lake: Lake, everything: duckdb.DuckDBPyConnection, query: str
) -> None:
    here, there = outcome(lake, query), outcome(everything, query)
    if isinstance(here, pl.DataFrame) and isinstance(there, pl.DataFrame):
        assert here.equals(there)
    else:
        assert here == there


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT 1", set()),
        ("SELECT count(*) FROM Basis ORDER BY 1 DESC", {"basis"}),
        ("FROM rolls SEMI JOIN instruments USING (instrument)", {"rolls", "instruments"}),
        ("SELECT quality FROM basis", {"basis", "quality"}),
        ("SELECT 1; FROM basis", ALL),
        ("COPY basis TO 'x.csv'", ALL),
    ],
)
def test_the_names_in_a_query(
    everything: duckdb.DuckDBPyConnection, query: str, names: set[str]
) -> None:
    assert named(everything, query) == names


def test_a_view_comes_with_all_that_it_reads(lake: Lake) -> None:
    assert with_sources(["candles"]) == {"candles"}
    expected = {"constant_maturity", "constant_maturity_by", "basis", "instruments"}
    expected |= {"index_hourly", "funding", "candles"}
    assert with_sources(["constant_maturity"]) == expected
    for view in VIEWS:
        with lake.duckdb([view.name]) as connection:
            connection.execute(f"FROM {view.call}")
    with lake.duckdb(["gaps"]) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("coverage",), ("gaps",)]


def test_a_table_that_is_not_named_is_not_opened(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, instruments=[instrument("A")], basis=[])
    for entry in (tmp_path / BASIS.name / "_delta_log").iterdir():
        entry.write_text("no log")
    assert lake.sql("SELECT count(*) FROM instruments").item() == 1
    with pytest.raises(LakeError, match="basis cannot be read"):
        lake.sql("SELECT count(*) FROM basis")
