"""The first load: tables created, filled and keyed in one transaction, and found again."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from lake import Lake
from lake.errors import LoadError
from lake.history.as_of import past
from lake.tables import BASIS, CANDLES
from load.postgres import Database
from load.preview import preview
from load.tables import RANGE_INDEXES, TABLES
from tests.lakes import fill, mark_built
from tests.loading import (
    FUTURE,
    OTHER,
    PERPETUAL,
    START,
    Target,
    basis,
    candles,
    fresh_target,
    instruments,
    partition,
    put,
    record,
)
from tests.market import basislake
from tests.staged import Staged, built

FUTURES = 40
MINUTES = 4_000
# Those of the users' guide, which follow there, are about every row.
PAGE = (Path(__file__).parent.parent / "docs" / "postgres.md").read_text()
QUESTIONS = re.findall(
    r"^```sql\n(.*?)^```",
    PAGE.partition("The queries of the users' guide:")[0],
    re.MULTILINE | re.DOTALL,
)
# The driver reads rows by COPY, which does not take EXPLAIN.
EXPLAINED_SQL = """
    CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END $$
"""


def name_of(number: int) -> str:
    return f"{'BTC' if number % 2 else 'ETH'}-{number + 1}JUN19"


@pytest.fixture(scope="module")
def many_futures(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Futures whose lives overlap as those of an exchange do, two to an expiry."""
    lake = Lake(str(tmp_path_factory.mktemp("many") / "lake"))
    lives = {name_of(n): timedelta(minutes=MINUTES // 4 * (n // 2)) for n in range(FUTURES)}
    for table, frame in ((CANDLES, candles(MINUTES)), (BASIS, basis(MINUTES))):
        moved = [
            frame.with_columns(pl.col("ts") + later, instrument=pl.lit(name))
            for name, later in lives.items()
        ]
        fill(lake, table, pl.concat(moved))
    mark_built(lake)
    records = [
        instruments(name, expires_at=START + later + timedelta(minutes=MINUTES))
        for name, later in lives.items()
    ]
    record(lake, pl.concat(records))
    return lake


@pytest.fixture(scope="module", params=["postgres", "older_postgres"])
def many(request: pytest.FixtureRequest, many_futures: Lake) -> Iterator[Target]:
    """The same, loaded."""
    target = fresh_target(request.getfixturevalue(request.param), many_futures)
    target.load()
    target.execute(EXPLAINED_SQL)
    yield target
    target.execute(f"DROP SCHEMA {target.schema} CASCADE")


@pytest.mark.slow
@pytest.mark.parametrize("table", ["futures_ohlcv", "futures_basis_spread"])
@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("instrument = 'BTC-10JUN19' AND timestamp >= '2019-05-04 12:00Z'", "{table}_pkey"),
        ("timestamp = '2019-05-04 12:00Z'", "{table}_timestamp_expiry"),
        ("timestamp >= '2019-05-04 12:00Z' AND timestamp < '2019-05-04 12:30Z'", "{table}_time"),
        ("expiry_date = '2019-05-08'", "{table}_timestamp_expiry"),
    ],
    ids=["an instrument over time", "all at a time", "all over a while", "by expiry"],
)
def test_the_obvious_questions_are_answered_by_an_index(
    many: Target, table: str, question: str, index: str
) -> None:
    lines = many.query("SELECT explained($1)", f"SELECT * FROM {table} WHERE {question}")
    plan = "\n".join(line for (line,) in lines)
    # From 18 on the key serves a time too, skipping from one of a few instruments to the next.
    skips = question.startswith("timestamp") and many.version >= 180_000
    assert index.format(table=table) in plan or (skips and f"{table}_pkey" in plan), plan
    assert "Seq Scan" not in plan
    (rows,) = many.query(f"SELECT count(*) FROM {table} WHERE {question}")
    (checked,) = many.query(f"SELECT count(*) FILTER (WHERE {question}) FROM {table}")
    assert 0 < rows[0] == checked[0] < FUTURES * MINUTES / 10


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_of_the_page_reads_no_whole_table(many: Target, question: str) -> None:
    plan = "\n".join(line for (line,) in many.query("SELECT explained($1)", question))
    assert not re.search("Seq Scan on (futures|perpetuals)", plan), plan


@pytest.mark.slow
def test_an_index_of_ranges_takes_next_to_no_room(many: Target) -> None:
    sizes = dict(
        many.query(
            "SELECT a.amname::text, sum(pg_relation_size(i.indexrelid))::bigint FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam "
            "WHERE i.indrelid = 'futures_ohlcv'::regclass GROUP BY 1"
        )
    )
    assert sizes["brin"] < 0.02 * sizes["btree"]


@pytest.mark.slow
def test_a_row_takes_at_most_141_bytes_with_its_key(target: Target) -> None:
    for name in (FUTURE, OTHER):
        put(target.lake, CANDLES, name, candles(87_500))
    target.load()
    (size,) = target.query("SELECT pg_total_relation_size('futures_ohlcv')")
    # 138, and the last pages of a table are made ahead of need.
    assert size[0] / 175_000 < 141


def test_a_first_load_that_fails_leaves_no_part_of_its_table(target: Target) -> None:
    (file,) = target.lake.snapshot(CANDLES).of(OTHER)
    path = Path(target.lake.uri) / "candles" / file.path
    content = path.read_bytes()
    path.write_bytes(content[:100])
    with pytest.raises(LoadError) as caught:
        target.load()
    assert "The table futures_ohlcv was not loaded" in str(caught.value)
    assert f"The partition {OTHER}" in str(caught.value)
    assert "futures_ohlcv" not in target.tables()
    path.write_bytes(content)
    target.load()
    assert target.compare().equal


def test_a_table_appears_with_all_its_rows_and_keys_at_once(target: Target) -> None:
    """Another session never sees a table of ours that holds less than the ledger says."""
    seen = []

    def look(_: object) -> None:
        seen.append("futures_ohlcv" in target.tables())

    from load.loader import load  # noqa: PLC0415

    load(target.lake, target.uri, schema=target.schema, report=look)
    assert not all(seen)
    assert target.query("SELECT count(*), count(DISTINCT instrument) FROM futures_ohlcv") == [
        (16, 2)
    ]


def test_a_dry_run_tells_the_ddl_and_the_rows_and_does_nothing(target: Target) -> None:
    before = preview(target.lake, target.uri, schema=target.schema)
    assert before.ddl[0] == f'CREATE SCHEMA "{target.schema}"'
    assert sum("CREATE TABLE" in sql for sql in before.ddl) == len(TABLES)
    assert sum("USING brin" in sql for sql in before.ddl) == len(RANGE_INDEXES)
    assert {step[:3] for step in before.steps} == {
        ("instruments", "all", "load"),
        ("perpetuals_ohlcv", partition(PERPETUAL), "load"),
        ("futures_ohlcv", partition(FUTURE), "load"),
        ("futures_ohlcv", partition(OTHER), "load"),
        ("futures_basis_spread", partition(FUTURE), "load"),
    }
    assert target.tables() == set()

    target.load()
    put(target.lake, CANDLES, FUTURE, candles(10))
    put(target.lake, CANDLES, OTHER, candles(10, shift=1.0))
    put(target.lake, BASIS, FUTURE)
    after = preview(target.lake, target.uri, schema=target.schema)
    assert (after.ddl, after.unchanged) == ([], 2)
    assert after.steps == [
        ("futures_basis_spread", partition(FUTURE), "remove", 0),
        ("futures_ohlcv", partition(FUTURE), "append", 2),
        ("futures_ohlcv", partition(OTHER), "replace", 10),
    ]
    assert len(target.rows("futures_ohlcv")) == 16


def test_the_ddl_of_a_dry_run_makes_what_the_load_would_have_made(target: Target) -> None:
    target.execute(*preview(target.lake, target.uri, schema=target.schema).ddl)
    assert preview(target.lake, target.uri, schema=target.schema).ddl == []
    target.load()
    assert target.compare().equal


def test_the_command_dry_runs_without_making_an_embedded_server(target: Target) -> None:
    done = basislake(
        None, "load", "--dry-run", "--json", "--lake", target.lake.uri, "--postgres", "embedded"
    )
    assert done.code == 0, done.err
    assert len(done.json["ddl"]) > 5
    assert sum(step["rows"] for step in done.json["partitions"]) == 30
    assert not (Path(target.lake.uri) / "postgres").exists()


def test_the_command_loads_into_a_schema_and_shows_what_it_would_do(target: Target) -> None:
    shown = basislake(None, "load", "--dry-run", *target.options)
    assert shown.code == 0, shown.err
    assert f'CREATE TABLE "{target.schema}"."futures_ohlcv" (' in shown.out
    assert "5 partitions would change and 0 not; 30 rows would be sent." in shown.out
    assert basislake(None, "load", *target.options).code == 0
    assert target.tables() == set(TABLES)
    status = basislake(None, "status", *target.options, "--json")
    assert all(row["equal"] for row in json.loads(status.out)["database"].values())


@pytest.mark.slow
def test_a_database_row_leads_to_the_batch_of_the_lake_that_it_was_made_from(
    postgres: str, staged: Staged, tmp_path: Path
) -> None:
    target = fresh_target(postgres, staged.copy(tmp_path))
    built(target.lake, as_of=staged.first.batch)
    target.load()
    built(target.lake)  # later, and not loaded
    rows = target.query(
        "SELECT f.instrument, f.timestamp, f.cost, l.lake_version "
        "FROM futures_ohlcv f JOIN lake_loads l ON l.\"table\" = 'futures_ohlcv' "
        "AND l.partition = f.instrument || to_char(f.timestamp AT TIME ZONE 'UTC', '/YYYY-MM') "
    )
    assert {batch for *_, batch in rows} == {staged.first.batch}
    then, now = (
        {*lake.read(CANDLES).select("instrument", "ts", "cost").iter_rows()}
        for lake in (past(target.lake, staged.first.batch), target.lake)
    )
    assert set() < {tuple(row) for *row, _ in rows} < then < now
    own = "SELECT lake_version FROM lake_loads WHERE \"table\" = 'instruments'"
    ((batch,),) = target.query(own)
    assert batch <= staged.last.batch
    target.execute(f"DROP SCHEMA {target.schema} CASCADE")


def test_a_table_that_the_user_partitioned_himself_is_loaded_and_kept(target: Target) -> None:
    columns = ", ".join(
        f"{name} float8 NOT NULL" for name in ("open", "high", "low", "close", "volume", "cost")
    )
    target.execute(
        f"CREATE SCHEMA {target.schema}",
        "CREATE TABLE futures_ohlcv (instrument text NOT NULL, timestamp timestamptz NOT NULL, "
        f"expiry_date date NOT NULL, {columns}, PRIMARY KEY (instrument, timestamp)) "
        "PARTITION BY LIST (instrument)",
        f"CREATE TABLE f_btc PARTITION OF futures_ohlcv FOR VALUES IN ('{FUTURE}')",
        f"CREATE TABLE f_eth PARTITION OF futures_ohlcv FOR VALUES IN ('{OTHER}')",
    )
    target.load()
    assert target.query("SELECT count(*) FROM f_btc") == [(8,)]
    put(target.lake, CANDLES, FUTURE, candles(12))
    assert target.load().partitions_appended == 1
    put(target.lake, CANDLES, OTHER, candles(5, shift=1.0))
    target.load()
    assert target.query("SELECT count(*) FROM f_eth") == [(5,)]
    assert target.compare().equal
    with pytest.raises(LoadError, match="duplicate key"):
        target.execute("INSERT INTO futures_ohlcv SELECT * FROM futures_ohlcv LIMIT 1")


@pytest.mark.slow
def test_an_older_server_takes_all_that_a_newer_one_does(
    older_postgres: str, target: Target
) -> None:
    older = fresh_target(older_postgres, target.lake)
    with Database(older.uri) as database:
        assert database.version < 180_000
    assert older.load().partitions_loaded == 5
    put(older.lake, CANDLES, FUTURE, candles(12))
    put(older.lake, CANDLES, OTHER, candles(4, shift=1.0))
    result = older.load()
    assert (result.partitions_loaded, result.partitions_appended) == (2, 1)
    assert older.compare().equal
    older.execute("UPDATE futures_ohlcv SET close = -close WHERE timestamp = '2019-05-01'")
    assert not older.compare().equal
