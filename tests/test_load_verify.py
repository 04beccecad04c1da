"""Figures of the same rows, computed by the database and by us, and every cell read back."""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.table import Column, Table, Type
from lake.tables import BASIS, CANDLES, INSTRUMENTS
from load.compare_cells import difference
from load.ddl import create_schema_sql, create_table_sql, literal, qualified
from load.postgres import Database
from load.tables import FUTURES_BASIS_SPREAD, FUTURES_OHLCV
from load.verify import bits, figures, figures_sql, mismatches
from tests.loading import FUTURE, OTHER, PERPETUAL, Target, candles, partition, put
from tests.market import basislake
from tests.profiles import SHARING, examples
from tests.tiers import slow_but

# Every type that PostgreSQL's tables have, nulls where they may be.
EVERYTHING = Table(
    name="everything",
    row="a row of all types",
    columns=(
        Column("instrument", Type.TEXT, "name"),
        Column("timestamp", Type.TIME, "when", "UTC"),
        Column("text", Type.TEXT, "text", nullable=True),
        Column("time", Type.TIME, "time", "UTC", nullable=True),
        Column("day", Type.DATE, "day", nullable=True),
        Column("price", Type.FLOAT, "price", nullable=True),
        Column("count", Type.INT, "count", nullable=True),
        Column("flag", Type.BOOL, "flag", nullable=True),
    ),
    key=("instrument", "timestamp"),
    order=("timestamp",),
    partition="instrument",
)
TABLES = [FUTURES_OHLCV, FUTURES_BASIS_SPREAD, EVERYTHING]
# PostgreSQL's times end in the year 294276, Python's in 9999; before 4714 BC there is none.
EDGES = ("0001-01-01", "1969-12-31T23:59:59.999999", "2000-01-01", "9999-12-31T23:59:59.999998")
AT_EDGES = [datetime.fromisoformat(edge) for edge in EDGES]
TIMES = st.datetimes(max_value=AT_EDGES[-1]) | st.sampled_from(AT_EDGES)
# What chooses all of an instrument, as `load.tables.all_parameters` chooses months.
OF_ALL_TIME = (
    ["all"],
    [FUTURE],
    [datetime.min.replace(tzinfo=UTC)],
    [datetime.max.replace(tzinfo=UTC)],
)
VALUES: dict[Type, st.SearchStrategy[Any]] = {
    Type.TEXT: st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    Type.TIME: TIMES.map(lambda time: time.replace(tzinfo=UTC)),
    Type.DATE: st.dates() | st.sampled_from([date.min, date.max, date(2000, 1, 1)]),
    Type.FLOAT: st.floats()
    | st.integers(-(10**6), 10**6).map(float)
    | st.sampled_from([-0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**53 + 2]),
    Type.INT: st.integers(-(2**63), 2**63 - 1),
    Type.BOOL: st.booleans(),
}


def rows_of(
    table: Table, time: str, times: st.SearchStrategy[Any] = VALUES[Type.TIME]
) -> st.SearchStrategy[pl.DataFrame]:
    """Rows of one partition of a table, in order of their times, which are distinct."""
    columns = [c for c in table.columns if c.name != table.partition]
    values = [
        times if c.name == time else VALUES[c.type] | st.none() if c.nullable else VALUES[c.type]
        for c in columns
    ]
    place = [c.name for c in columns].index(time)
    rows = st.lists(st.tuples(*values), min_size=1, max_size=12, unique_by=lambda row: row[place])
    schema = {c.name: c.type.polars for c in columns}
    return rows.map(lambda listed: pl.DataFrame(listed, schema, orient="row").sort(time))


def drawn(data: st.DataObject, table: Table) -> pl.DataFrame:
    """Such rows of a table of PostgreSQL."""
    frame = data.draw(rows_of(table, "timestamp"))
    return table.cast(frame.with_columns(instrument=pl.lit(FUTURE)))


@pytest.fixture(scope="module", params=slow_but(["postgres"], ["postgres", "older_postgres"]))
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A connection, to a schema `proof` with tables of ours."""
    with Database(request.getfixturevalue(request.param)) as database:
        database.execute(create_schema_sql("proof"))
        for table in TABLES:
            database.execute(create_table_sql(table, "proof"))
        database.commit()
        yield database
        database.execute("DROP SCHEMA proof CASCADE")
        database.commit()


@contextmanager
def holding(database: Database, table: Table, frame: pl.DataFrame) -> Iterator[None]:
    """The rows are in the table as long as the block lasts."""
    try:
        database.ingest("proof", table.name, [table.to_arrow(frame)], table.arrow_schema)
        yield
    finally:
        database.rollback()


def read_back(database: Database, table: Table) -> pl.DataFrame:
    names = ", ".join(f'"{name}"' for name in table.names)
    rows = database.fetch(f"SELECT {names} FROM {qualified(table, 'proof')}")
    return table.cast(pl.DataFrame(rows))


def same_bits(one: pl.DataFrame, other: pl.DataFrame, table: Table) -> bool:
    """Compared value by value, by Python's own means."""

    def plain(frame: pl.DataFrame) -> list[list[Any]]:
        return [
            [struct.pack("<d", v) if isinstance(v, float) else v for v in frame[name].to_list()]
            for name in table.names
        ]

    return plain(one) == plain(other)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@examples(15, suppress_health_check=SHARING)
@given(data=st.data())
def test_extreme_rows_come_back_bit_for_bit_and_with_equal_figures(
    database: Database, table: Table, data: st.DataObject
) -> None:
    frame = drawn(data, table)
    expected = figures(table, frame, database.version)
    with holding(database, table, frame):
        got = database.query(figures_sql(table, "proof", expected), OF_ALL_TIME)[0][1:]
        assert mismatches(expected, got) == []
        back = read_back(database, table)
    assert same_bits(back, frame, table)
    assert difference(table, FUTURE, frame, back) is None


# Times that every format of files can hold.
YEARS = st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2261-01-01"))
LAKE_TIMES = (YEARS | st.sampled_from(AT_EDGES[1:3])).map(lambda time: time.replace(tzinfo=UTC))
OF_CANDLES, OF_BASIS = (rows_of(table, "ts", LAKE_TIMES) for table in (CANDLES, BASIS))


@examples(5, suppress_health_check=SHARING)
@given(candles=OF_CANDLES, more=OF_CANDLES, spread=OF_BASIS)
def test_what_the_lake_holds_comes_back_from_postgres_bit_for_bit(
    target: Target, candles: pl.DataFrame, more: pl.DataFrame, spread: pl.DataFrame
) -> None:
    renamed = {"timestamp": "ts", "futures_price": "future_close", "basis_spread": "basis"}
    renamed |= {"perpetual_price": "perpetual_close", "basis_spread_pct": "basis_pct"}
    put(target.lake, BASIS, FUTURE, spread)
    for rows in (candles, more):
        put(target.lake, CANDLES, FUTURE, rows)
        target.load()
        for table, expected in (("futures_ohlcv", rows), ("futures_basis_spread", spread)):
            with Database(target.uri) as database:
                sql = f"SELECT * FROM {table} WHERE instrument = $1 ORDER BY timestamp"
                back = pl.DataFrame(database.fetch(sql, (FUTURE,))).rename(renamed, strict=False)
            for name in set(back.columns) & set(expected.columns):
                ours, theirs = expected[name], back[name].cast(expected[name].dtype)
                if ours.dtype == pl.Float64:
                    ours, theirs = bits(ours), bits(theirs)
                assert ours.equals(theirs, check_names=False), name
    assert target.compare().equal


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@examples(15, suppress_health_check=SHARING)
@given(data=st.data())
def test_one_altered_cell_is_found_by_the_figures_and_named_by_the_comparison(
    database: Database, table: Table, data: st.DataObject
) -> None:
    frame = drawn(data, table)
    columns = [column for column in table.columns if column.name not in table.key]
    column = data.draw(st.sampled_from(columns))
    place = data.draw(st.integers(0, frame.height - 1))
    before = frame[column.name].to_list()
    value = data.draw(VALUES[column.type])
    changed = pl.Series(
        column.name, [*before[:place], value, *before[place + 1 :]], column.type.polars
    )
    altered = frame.with_columns(changed)
    if same_bits(altered, frame, table):
        return
    with holding(database, table, altered):
        expected = figures(table, frame, database.version)
        got = database.query(figures_sql(table, "proof", expected), OF_ALL_TIME)[0][1:]
        assert any(f"of {column.name} is" in message for message in mismatches(expected, got))
        found = difference(table, FUTURE, frame, read_back(database, table))
    assert found is not None
    assert (found.missing, found.extra, found.cells) == (0, 0, {column.name: 1})
    assert found.first["timestamp"] == frame["timestamp"][place]
    assert set(found.first["lake"]) == {column.name}


def test_negative_zero_and_zero_differ_and_so_do_neighbours() -> None:
    pairs = pl.Series([0.0, -0.0, 1.0, 1.0000000000000002])
    assert bits(pairs).n_unique() == 4


def test_an_equal_database_is_told_to_be_so(target: Target) -> None:
    target.load()
    found = target.compare()
    assert (found.equal, found.partitions, found.rows, found.differences) == (True, 5, 30, [])
    done = basislake(None, "load", "--verify", *target.options)
    assert (done.code, done.out.strip()) == (0, "The database and the lake are equal.")


@pytest.mark.slow
def test_every_way_to_differ_is_found_and_nothing_is_changed(target: Target) -> None:
    target.load()
    target.execute(
        "UPDATE futures_ohlcv SET low = '-0', volume = 3 "
        f"WHERE instrument = '{FUTURE}' AND timestamp = '2019-05-01 00:03Z'",
        f"UPDATE futures_ohlcv SET low = 0 WHERE instrument = '{OTHER}'",
        "DELETE FROM perpetuals_ohlcv WHERE timestamp < '2019-05-01 00:02Z'",
        "UPDATE futures_basis_spread SET instrument = 'BTC-1JAN20'",
        "UPDATE instruments SET kind = 'option' WHERE instrument = 'BTC-PERPETUAL'",
    )
    before = {name: target.query(f"SELECT xmin::text FROM {name}") for name in target.tables()}
    found = {(each.table, each.partition): each for each in target.compare().differences}
    assert set(found) == {
        ("futures_basis_spread", partition(FUTURE)),
        ("futures_basis_spread", partition("BTC-1JAN20")),
        ("futures_ohlcv", partition(FUTURE)),
        ("futures_ohlcv", partition(OTHER)),
        ("instruments", "all"),
        ("perpetuals_ohlcv", partition(PERPETUAL)),
    }
    cell = found["futures_ohlcv", partition(FUTURE)]
    assert cell.cells == {"low": 1, "volume": 1}
    assert cell.first["timestamp"] == candles()["ts"][3]
    assert (cell.first["lake"], cell.first["database"]) == (
        {"low": 1.5, "volume": 1.5},
        {"low": -0.0, "volume": 3.0},
    )
    assert found["futures_ohlcv", partition(OTHER)].cells == {"low": 8}
    gone = found["perpetuals_ohlcv", partition(PERPETUAL)]
    assert (gone.missing, gone.extra, gone.cells) == (2, 0, {})
    assert gone.first["database"] is None
    assert found["futures_basis_spread", partition(FUTURE)].missing == 3
    assert found["futures_basis_spread", partition("BTC-1JAN20")].extra == 3
    assert found["instruments", "all"].cells == {"kind": 1}
    assert {name: target.query(f"SELECT xmin::text FROM {name}") for name in before} == before
    # Nothing in the lake is new, so a load that trusts its ledger sends nothing; this one does.
    target.load(full=True)
    assert [each.partition for each in target.compare().differences] == [partition("BTC-1JAN20")]


def test_the_command_exits_with_1_and_names_what_differs(target: Target) -> None:
    target.load()
    target.execute("UPDATE perpetuals_ohlcv SET cost = 1 WHERE timestamp = '2019-05-01'")
    done = basislake(None, "load", "--verify", "--json", *target.options)
    assert done.code == 1
    (found,) = done.json["differences"]
    assert (found["table"], found["partition"]) == ("perpetuals_ohlcv", partition(PERPETUAL))
    assert found["cells"] == {"cost": 1}
    shown = basislake(None, "load", "--verify", *target.options)
    assert "perpetuals_ohlcv" in shown.out
    assert "cost: 1" in shown.out


def test_the_command_compares_with_no_embedded_server_that_was_never_made(target: Target) -> None:
    lake = target.lake.uri
    done = basislake(None, "load", "--verify", "--lake", lake, "--postgres", "embedded")
    assert (done.code, done.out) == (1, "")
    assert "was never loaded into" in done.err
    assert f"load --lake {lake}` loads it" in done.err
    assert not (Path(lake) / "postgres").exists()


def test_nothing_loaded_and_something_new_in_the_lake_differ(target: Target) -> None:
    assert len(target.compare().differences) == 5
    assert target.tables() == set()
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(10))
    (found,) = target.compare().differences
    assert (found.partition, found.missing, found.lake_rows) == (partition(FUTURE), 2, 10)
    status = basislake(None, "status", "--json", *target.options)
    assert status.code == 1
    assert status.json["database"]["futures_ohlcv"] == {
        "lake": 18,
        "ledger": 16,
        "database": 16,
        "counted": False,
        "behind": 1,
        "equal": False,
    }


def test_status_counts_by_the_ledger_and_exactly_in_the_tables(target: Target) -> None:
    target.load()
    target.execute("DELETE FROM futures_ohlcv WHERE timestamp = '2019-05-01T00:01Z'")  # two rows
    quick = basislake(None, "status", "--json", *target.options)
    exact = basislake(None, "status", "--exact", "--json", *target.options)
    same = {"lake": 16, "ledger": 16, "behind": 0}
    of_quick, of_exact = (done.json["database"] for done in (quick, exact))
    counted = {"database": 14, "counted": True, "equal": False}
    assert of_quick["futures_ohlcv"] == same | {"database": 16, "counted": False, "equal": True}
    assert of_exact["futures_ohlcv"] == same | counted
    assert (quick.code, exact.code) == (0, 1)
    shown = basislake(None, "status", "--exact", *target.options).out
    assert re.findall(r"(\w+) has (\d+) rows fewer than were loaded", shown) == [
        ("futures_ohlcv", "2")
    ]


def test_a_table_in_one_piece_is_compared_by_its_key(target: Target) -> None:
    ours = INSTRUMENTS.cast(target.lake.read(INSTRUMENTS))
    theirs = ours.with_columns(pl.col("listed_at") + timedelta(microseconds=1))[1:]
    found = difference(INSTRUMENTS, "all", ours, theirs)
    assert found is not None
    assert (found.missing, found.cells) == (1, {"listed_at": 2})
    assert found.first["instrument"] == FUTURE


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("expiry_date = 'infinity'", {"expiry_date": "infinity"}),
        ("expiry_date = '-infinity'", {"expiry_date": "-infinity"}),
        ("expiry_date = '0044-03-15 BC'", {"expiry_date": "0044-03-15 BC"}),
        (
            "open = 'NaN', high = 'infinity', low = '-infinity', close = '-0'",
            {"open": "NaN", "high": "Infinity", "low": "-Infinity", "close": -0.0},
        ),
    ],
)
def test_values_that_python_or_json_lack_are_shown_as_postgres_shows_them(
    target: Target, change: str, shown: dict[str, Any]
) -> None:
    target.load()
    target.execute(f"UPDATE futures_ohlcv SET {change} WHERE timestamp = '2019-05-01 00:07Z'")
    done = basislake(None, "load", "--verify", "--json", *target.options)
    assert done.code == 1, done.err
    for each in done.json["differences"]:
        assert {name: each["first"]["database"][name] for name in shown} == shown
        assert (each["missing"], each["extra"]) == (0, 0)
    assert target.load(full=True).verified
    assert target.compare().equal


MONTHS = [
    ("2019-04-30 23:59Z", "2019-04"),
    ("infinity", "other"),
    ("2019-06-01", "2019-06"),
    ("0999-05-31 12:00Z", "0999-05"),
    ("2019-05-01 00:07Z BC", "other"),
    ("20000-02-29 12:00Z", "other"),
    ("-infinity", "other"),
]


@pytest.mark.parametrize(("time", "month"), slow_but(MONTHS[:2], MONTHS))
def test_rows_of_a_month_that_neither_lake_nor_ledger_knows_are_named_with_what_deletes_them(
    target: Target, time: str, month: str
) -> None:
    target.load()
    moved = f"timestamp = '{time}' WHERE instrument = '{FUTURE}'"
    target.execute(f"UPDATE futures_ohlcv SET {moved} AND timestamp = '2019-05-01 00:07Z'")
    assert target.load(full=True).verified
    (found,) = target.compare().differences
    assert (found.partition, found.lake_rows) == (partition(FUTURE, month), 0)
    assert (found.missing, found.extra) == (0, 1)
    target.execute(found.remedy)
    assert target.compare().equal


NAMES = ["it's mine", "BTC-28JUN19/2019-05", "BTC-28JUN19/"]


@pytest.mark.parametrize("name", slow_but(NAMES[:1], NAMES))
def test_rows_of_an_instrument_that_neither_lake_nor_ledger_knows_are_named_too(
    target: Target, name: str
) -> None:
    target.load()
    target.execute("UPDATE futures_basis_spread SET instrument = " + literal(name))
    target.load(full=True)
    (found,) = target.compare().differences
    assert (found.partition, found.extra) == (partition(name), 3)
    shown = basislake(None, "load", "--verify", *target.options)
    assert found.remedy in shown.out
    status = basislake(None, "status", "--exact", "--json", *target.options)
    assert [step["verb"] for step in status.json["next"]][-1] == "load --verify"
    target.execute(found.remedy)
    assert target.compare().equal
