import re
from pathlib import Path

import pytest

from lake.errors import UsageError
from lake.table import Column, Table, Type
from load.database_address import connectable, secrets, shown
from load.ddl import (
    SQL_TYPES,
    add_key_sql,
    comments_sql,
    create_table_sql,
    literal,
    quoted,
    range_index_sql,
)
from load.schema_check import Found, FoundColumn, differences
from load.tables import FUTURES_OHLCV, TABLES

ODD = Table(
    name='odd"table',
    row="a thing it's",
    columns=(
        Column("timestamp", Type.TIME, "when", "UTC"),
        Column('a"b', Type.TEXT, "the name"),
        Column("tags", Type.TEXTS, "tags", nullable=True),
        Column("day", Type.DATE, "day", nullable=True),
        Column("count", Type.INT, "how many", nullable=True),
        Column("price", Type.FLOAT, "price", "USD", nullable=True),
        Column("on", Type.BOOL, "whether", nullable=True),
    ),
    key=('a"b', "timestamp"),
    order=("timestamp",),
)

FUTURES_COLUMNS = {
    "instrument": "text",
    "timestamp": "timestamp with time zone",
    "expiry_date": "date",
    "open": "double precision",
    "high": "double precision",
    "low": "double precision",
    "close": "double precision",
    "volume": "double precision",
    "cost": "double precision",
}
KEY = (frozenset({"instrument", "timestamp"}),)


def column(
    name: str, type_: str, *, not_null: bool = True, has_default: bool = False
) -> FoundColumn:
    return FoundColumn(name, type_, not_null, has_default)


def relation(
    *extra: FoundColumn, unique: tuple[frozenset[str], ...] = KEY, **changed: str | None
) -> Found:
    types = {**FUTURES_COLUMNS, **changed}
    columns = [column(name, type_) for name, type_ in types.items() if type_]
    return Found("r", (*columns, *extra), unique)


def test_a_table_is_declared_with_every_identifier_quoted_and_its_key_as_primary_key() -> None:
    assert create_table_sql(ODD, 'my"schema') == (
        'CREATE TABLE "my""schema"."odd""table" (\n'
        '    "timestamp" timestamp with time zone NOT NULL,\n'
        '    "a""b" text NOT NULL,\n'
        '    "tags" text[],\n'
        '    "day" date,\n'
        '    "count" bigint,\n'
        '    "price" double precision,\n'
        '    "on" boolean,\n'
        '    PRIMARY KEY ("a""b", "timestamp") WITH (fillfactor = 100)\n'
        ")"
    )


def test_a_large_table_stores_its_columns_without_padding_and_gets_its_key_with_the_rows() -> None:
    sql = create_table_sql(FUTURES_OHLCV, "s", keyed=False)
    assert re.findall(r'^    "(\w+)"', sql, re.MULTILINE) == [
        "timestamp", "open", "high", "low", "close", "volume", "cost", "expiry_date", "instrument",
    ]  # fmt: skip
    assert "PRIMARY KEY" not in sql
    assert add_key_sql(FUTURES_OHLCV, "s") == (
        'ALTER TABLE "s"."futures_ohlcv" ADD PRIMARY KEY ("instrument", "timestamp") '
        "WITH (fillfactor = 100)"
    )


def test_an_index_of_ranges_quotes_its_names() -> None:
    assert range_index_sql(ODD, 'my"schema', ['a"b', "day"]) == (
        'CREATE INDEX ON "my""schema"."odd""table" USING brin ("a""b", "day") '
        "WITH (pages_per_range = 16)"
    )


def test_comments_carry_meanings_and_units_with_quotes_doubled() -> None:
    comments = comments_sql(ODD, "s")
    assert comments[0] == """COMMENT ON TABLE "s"."odd""table" IS 'One row is a thing it''s.'"""
    assert """COMMENT ON COLUMN "s"."odd""table"."price" IS 'price [USD]'""" in comments


def test_a_text_constant_with_a_backslash_is_read_literally() -> None:
    assert literal("a\\b'c") == "E'a\\\\b''c'"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_no_identifier_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be an identifier"):
        quoted(name)


def test_the_declared_columns_are_those_of_the_contract() -> None:
    assert {name: table.names for name, table in TABLES.items() if name != "instruments"} == {
        "futures_ohlcv": list(FUTURES_COLUMNS),
        "perpetuals_ohlcv": [name for name in FUTURES_COLUMNS if name != "expiry_date"],
        "futures_basis_spread": [
            "timestamp", "instrument", "expiry_date", "futures_price", "perpetual_price",
            "basis_spread", "basis_spread_pct", "days_to_expiry", "market_structure",
            "annualised_pct",
        ],
        "funding_rates": ["instrument", "timestamp", "index_price", "interest_1h", "interest_8h"],
        "delivery_prices": ["index_name", "date", "delivery_price"],
        "settlements": [
            "instrument", "settled_at", "type", "position", "mark_price", "index_price",
        ],
        "carry_daily": [
            "coin", "instrument", "term", "expires_at", "timestamp", "days_to_expiry",
            "future_close", "perpetual_close", "perpetual_basis_pct", "perpetual_apr_pct",
            "index_price", "index_basis_pct", "index_apr_pct", "funding_7d_pct", "funding_30d_pct",
            "less_funding_7d_pct", "less_funding_30d_pct", "open_interest", "future_traded",
            "suspect", "reason",
        ],
        "lake_loads": ["table", "partition", "digest", "rows", "lake_version", "loaded_at"],
    }  # fmt: skip


def test_a_table_of_the_declared_shape_has_no_differences() -> None:
    assert differences(FUTURES_OHLCV, relation()) == []


def test_columns_of_the_user_are_fine_where_they_may_be_null_or_have_a_default() -> None:
    note = column("note", "text", not_null=False)
    serial = column("id", "bigint", has_default=True)
    assert differences(FUTURES_OHLCV, relation(note, serial)) == []


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        (relation(open="bigint"), "futures_ohlcv.open is bigint, not double precision."),
        (relation(open="real"), "futures_ohlcv.open is real, not double precision."),
        (
            relation(timestamp="timestamp without time zone"),
            "futures_ohlcv.timestamp is timestamp without time zone, not timestamp with time zone.",
        ),
        (relation(cost=None), "futures_ohlcv.cost (double precision) is missing."),
        (
            relation(column("must", "text")),
            "futures_ohlcv.must, a column of yours, is NOT NULL and has no default.",
        ),
        (
            relation(unique=()),
            "futures_ohlcv has no unique index on (instrument, timestamp).",
        ),
        (
            relation(unique=(frozenset({"timestamp"}),)),
            "futures_ohlcv has no unique index on (instrument, timestamp).",
        ),
        (Found("v", (), ()), "futures_ohlcv is a view, not a table."),
        (Found("m", (), ()), "futures_ohlcv is a materialized view, not a table."),
    ],
)
def test_each_difference_is_told_in_one_sentence(there: Found, sentence: str) -> None:
    assert differences(FUTURES_OHLCV, there) == [sentence]


def test_a_column_that_may_be_null_with_us_must_be_nullable_there() -> None:
    table = TABLES["futures_basis_spread"]
    typed = tuple(column(c.name, SQL_TYPES[c.type]) for c in table.columns)
    assert differences(table, Found("r", typed, KEY)) == [
        "futures_basis_spread.annualised_pct is NOT NULL, but must accept nulls."
    ]


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (
            "postgresql://bob:s3cret@db.example:5433/market?sslmode=require",
            "db.example:5433/market",
        ),
        ("postgres://bob@[::1]:5432/market", "[::1]:5432/market"),
        (
            "postgresql:///market?host=/run/a%20b&password=s3cret",
            "the socket /run/a b/.s.PGSQL.5432 (database market)",
        ),
        ("postgresql://bob@%2Frun%2Fpg:5433", "the socket /run/pg/.s.PGSQL.5433"),
        ("postgresql://", "the socket /tmp/.s.PGSQL.5432"),
        ("postgresql://:5433/x", "the socket /tmp/.s.PGSQL.5433 (database x)"),
        ("postgresql:///x?service=prod&password=s3cret", "the service prod (database x)"),
        ("postgresql://db,db2/x?hostaddr=&port=1", "db,db2/x"),
        ("postgresql://bob:s3@cret@db/x", "a PostgreSQL address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_user_and_password(uri: str, host: str) -> None:
    assert shown(uri, {}) == host


@pytest.mark.parametrize(
    ("environment", "uri", "place"),
    [
        ({"PGHOST": "elsewhere"}, "postgresql:///x", "elsewhere/x"),
        ({"PGHOST": "/run/pg", "PGPORT": "6"}, "postgresql://", "the socket /run/pg/.s.PGSQL.6"),
        ({"PGHOST": "elsewhere"}, "postgresql://db/x", "db/x"),
        ({"PGHOSTADDR": "10.0.0.5"}, "postgresql://db/x", "db (10.0.0.5)/x"),
        ({"PGHOSTADDR": "10.0.0.5"}, "postgresql:///x?hostaddr=&host=db", "db/x"),
        ({"PGSERVICE": "prod", "PGHOST": "elsewhere"}, "postgresql://", "the service prod"),
        ({"PGSERVICE": "prod"}, "postgresql://db/x", "db/x"),
    ],
)
def test_an_address_is_shown_where_libpq_looks_for_it(
    environment: dict[str, str], uri: str, place: str
) -> None:
    assert shown(uri, environment) == place


def test_the_socket_of_a_distributions_server_is_found(tmp_path: Path) -> None:
    (tmp_path / ".s.PGSQL.5433").touch()
    found = f"&host={tmp_path}"
    for uri in ("postgresql:///x?port=5433", "postgresql://:5433/x", "postgresql://bob@:5433"):
        assert connectable(uri, {}, tmp_path).endswith(found)
    assert connectable("postgresql:///x", {"PGPORT": "5433"}, tmp_path).endswith(found)
    for environment in (
        {},
        {"PGPORT": "5433", "PGHOST": "db"},
        {"PGSERVICE": "a", "PGPORT": "5433"},
    ):
        assert "host=" not in connectable("postgresql:///x", environment, tmp_path)
    assert "&host=" not in connectable("postgresql://db:5433/x", {}, tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://bob:s3%cret@db/x",  # libpq would quote the token it cannot decode
        "postgresql://bob:s3 cret@db/x",
        "postgresql://bob:@s3cret@db/x",
        "postgresql://bob:s3cret/@db/x",
        "postgresql://bob:s3cret",  # reads as a port
        "host=db password=s3cret",
        "s3cret",
        "",
    ],
)
def test_an_address_that_libpq_could_misread_is_refused_without_quoting_it(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        connectable(uri)
    assert "cret" not in str(caught.value)


def test_connecting_is_limited_in_time_unless_the_address_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    assert connectable("postgresql://db/x").startswith("postgresql://db/x?connect_timeout=10&")
    assert "x?a=b&connect_timeout=10&keepalives_idle=30" in connectable("postgresql://db/x?a=b")
    assert "&tcp_user_timeout=60000" in connectable("postgresql://db/x")
    own = "postgresql://db/x?connect_timeout=2&keepalives_idle=5"
    assert connectable(own).startswith(f"{own}&keepalives_interval=10")
    assert connectable(own).count("connect_timeout") == 1
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert "connect_timeout" not in connectable("postgresql://db/x")


def test_passwords_are_known_as_written_and_as_meant() -> None:
    assert secrets("postgresql://bob:a%40b@db/x?sslpassword=c") == {"a%40b", "a@b", "c"}
