"""Effects of a load on unchanged rows, and on tables of the user that refer to ours."""

import polars as pl
import pytest

from lake.errors import LoadError
from lake.tables import CANDLES
from tests.loading import (
    FUTURE,
    OTHER,
    PERPETUAL,
    Target,
    candles,
    instruments,
    put,
    record,
)
from tests.tiers import slow_but

KEY = "(instrument, timestamp)"


def own_tables(target: Target, action: str, *, deferred: str = "") -> None:
    """Tables of the user: one row for an instrument, and one for each candle of a future; and a
    foreign key between two of ours.
    """
    target.execute(
        f"CREATE TABLE notes (instrument text REFERENCES instruments ON DELETE {action} {deferred},"
        " note text)",
        f"INSERT INTO notes VALUES ('{FUTURE}', 'mine'), ('{PERPETUAL}', 'mine too')",
        "CREATE TABLE trades (instrument text, timestamp timestamptz, "
        f"FOREIGN KEY {KEY} REFERENCES futures_ohlcv {KEY} ON DELETE {action} {deferred})",
        "INSERT INTO trades SELECT instrument, timestamp FROM futures_ohlcv",
        "ALTER TABLE futures_ohlcv ADD FOREIGN KEY (instrument) REFERENCES instruments "
        f"ON DELETE {action} {deferred}",
    )


@pytest.mark.parametrize(
    "action", slow_but(["CASCADE"], ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
)
def test_rows_that_refer_to_rows_that_stay_are_never_touched(target: Target, action: str) -> None:
    target.load()
    own_tables(target, action)
    queries = ["SELECT * FROM notes ORDER BY 1, 2", "SELECT * FROM trades ORDER BY 1, 2"]
    before = list(map(target.query, queries))
    known = instruments(FUTURE, OTHER, PERPETUAL, "BTC-27SEP19")
    record(target.lake, known.with_columns(active=pl.lit(value=True)))
    put(target.lake, CANDLES, FUTURE, candles(8, shift=1.0))
    put(target.lake, CANDLES, OTHER, candles(12))
    put(target.lake, CANDLES, "BTC-27SEP19", candles(3))
    result = target.load()
    assert (result.partitions_loaded, result.partitions_appended) == (4, 1)
    assert target.compare().equal
    assert list(map(target.query, queries)) == before
    assert target.load(full=True).partitions_loaded == 6
    assert list(map(target.query, queries)) == before


@pytest.mark.parametrize(
    "deferred", slow_but([""], ["", "DEFERRABLE INITIALLY DEFERRED"]), ids=["", "deferred"]
)
@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("CASCADE", r'Rows of ".*"."trades" \(8\) refer to rows deleted'),
        pytest.param(
            "SET NULL",
            r'Rows of ".*"."trades" \(8\) refer to rows deleted',
            marks=pytest.mark.slow,
        ),
        ("NO ACTION", 'violates foreign key constraint "trades_instrument_timestamp_fkey"'),
    ],
)
def test_a_deletion_that_rows_of_the_user_depend_on_is_refused_by_name(
    target: Target, action: str, says: str, deferred: str
) -> None:
    target.load()
    own_tables(target, action, deferred=deferred)
    put(target.lake, CANDLES, OTHER)
    with pytest.raises(LoadError, match=says):
        target.load()
    put(target.lake, CANDLES, OTHER, candles(8))
    put(target.lake, CANDLES, FUTURE, candles(7))
    with pytest.raises(LoadError, match=says.replace("(8", "(1").replace("8", "1")):
        target.load()
    assert target.query("SELECT count(*), count(timestamp) FROM trades") == [(16, 16)]
    assert len(target.rows("futures_ohlcv")) == 16
    target.execute(f"DELETE FROM trades WHERE instrument = '{FUTURE}'")
    target.load()
    assert target.query("SELECT count(*) FROM trades") == [(8,)]
    assert target.compare().equal


def test_a_key_on_one_partition_of_a_table_that_the_user_partitioned_counts_too(
    target: Target,
) -> None:
    target.load()
    target.execute(
        "ALTER TABLE futures_ohlcv RENAME TO plain",
        "CREATE TABLE futures_ohlcv (LIKE plain INCLUDING ALL) PARTITION BY LIST (instrument)",
        f"CREATE TABLE f_btc PARTITION OF futures_ohlcv FOR VALUES IN ('{FUTURE}')",
        f"CREATE TABLE f_eth PARTITION OF futures_ohlcv FOR VALUES IN ('{OTHER}')",
        "INSERT INTO futures_ohlcv SELECT * FROM plain",
        "DROP TABLE plain",
        f"CREATE TABLE trades (instrument text, timestamp timestamptz, FOREIGN KEY {KEY} "
        f"REFERENCES f_btc {KEY} ON DELETE CASCADE)",
        "INSERT INTO trades SELECT instrument, timestamp FROM f_btc",
    )
    put(target.lake, CANDLES, FUTURE, candles(7))
    with pytest.raises(LoadError, match=r'"trades" \(1\) refer to rows deleted'):
        target.load()
    assert target.query("SELECT count(*) FROM trades") == [(8,)]


def test_only_rows_that_changed_are_written_and_columns_of_the_user_keep_their_values(
    target: Target,
) -> None:
    target.load()
    target.execute(
        "ALTER TABLE futures_ohlcv ADD note text",
        "UPDATE futures_ohlcv SET note = 'kept ' || to_char(timestamp, 'MI')",
    )
    writers = "SELECT xmin::text, note FROM futures_ohlcv WHERE instrument = $1 ORDER BY timestamp"
    before = target.query(writers, FUTURE)
    # -0.0 is in the first row: equal to 0.0 by number, not by bytes.
    changed = candles(8).with_columns(
        cost=pl.when(pl.row_index() == 0).then(0.0).otherwise("cost"),
        close=pl.when(pl.row_index() == 3).then(2.5).otherwise("close"),
    )
    put(target.lake, CANDLES, FUTURE, pl.concat([changed[:5], changed[6:]]))
    target.load()
    after = target.query(writers, FUTURE)
    assert [note for _, note in after] == [f"kept {minute:02}" for minute in (0, 1, 2, 3, 4, 6, 7)]
    same = [row for row in after if row in before]
    assert [note for _, note in same] == [f"kept {minute:02}" for minute in (1, 2, 4, 6, 7)]
    assert target.compare().equal


def test_a_trigger_that_undoes_at_the_commit_what_was_loaded_is_noticed(target: Target) -> None:
    target.load()
    target.execute(
        "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "DELETE FROM futures_ohlcv WHERE instrument = NEW.instrument AND timestamp = NEW.timestamp;"
        " RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER undo AFTER INSERT ON futures_ohlcv "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION undo()",
    )
    put(target.lake, CANDLES, FUTURE, candles(12))
    with pytest.raises(LoadError, match="count is 8 in the database and 12 in the lake"):
        target.load()
    assert len(target.rows("futures_ohlcv")) == 16


def test_rows_that_a_policy_hides_from_the_role_are_an_error_and_not_absent(target: Target) -> None:
    target.load()
    role = f"r{target.schema}"
    target.execute(
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {target.schema} TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {target.schema} TO {role}",
        "ALTER TABLE futures_ohlcv ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY few ON futures_ohlcv USING (instrument = '{FUTURE}')",
    )
    theirs = Target(target.uri.replace("postgres@", f"{role}@"), target.schema, target.lake)
    try:
        with pytest.raises(LoadError, match="row-level security policy"):
            theirs.compare()
    finally:
        target.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_the_isolation_that_a_server_has_by_default_does_not_keep_loads_from_each_other(
    target: Target, level: str
) -> None:
    option = f"%20-cdefault_transaction_isolation%3D{level.replace(' ', '%5C%20')}"
    strict = Target(f"{target.uri}{option}", target.schema, target.lake)
    for round_ in range(4):
        for name in (FUTURE, OTHER, PERPETUAL):
            put(target.lake, CANDLES, name, candles(8 + round_, shift=float(round_)))
        assert strict.load().partitions_loaded == (5 if round_ == 0 else 3)
    assert strict.compare().equal
