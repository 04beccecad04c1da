"""Loads into a real PostgreSQL: the result, and what is refused."""

import shutil
import struct
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from lake import Lake
from lake.errors import LakeError, LoadError, UsageError
from lake.tables import BASIS, CANDLES
from load.loader import load
from load.preview import parity, preview
from load.results import LoadProgress
from load.tables import FUTURES_BASIS_SPREAD
from tests.lakes import append
from tests.loading import (
    EXPIRY,
    FUTURE,
    ODD,
    OTHER,
    PERPETUAL,
    START,
    Target,
    basis,
    candles,
    instruments,
    partition,
    put,
    record,
)


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def test_what_the_lake_holds_is_in_postgres_bit_for_bit(target: Target) -> None:
    result = target.load()
    assert (result.partitions_loaded, result.partitions_unchanged) == (5, 0)
    assert (result.rows_loaded, result.verified) == (3 + 3 * 8 + 3, True)
    rows = target.query(
        "SELECT timestamp, expiry_date, cost FROM futures_ohlcv WHERE instrument = $1 ORDER BY 1",
        FUTURE,
    )
    assert [row[0] for row in rows] == candles()["ts"].to_list()
    assert {row[1] for row in rows} == {EXPIRY.date()}
    assert bits([row[2] for row in rows]) == bits(ODD)
    assert bits([cost for (cost,) in target.rows("perpetuals_ohlcv", "cost")]) == bits(ODD)


def test_the_basis_and_the_instruments_are_loaded_with_their_nulls(target: Target) -> None:
    target.load()
    columns = ", ".join(FUTURES_BASIS_SPREAD.names)
    assert target.rows("futures_basis_spread", columns)[:2] == [
        (START, FUTURE, EXPIRY.date(), *[0.1 + 0.2] * 5, "contango", None),
        (START + timedelta(minutes=1), FUTURE, EXPIRY.date(), *[0.1 + 0.2] * 5, "contango", 1 / 3),
    ]
    found = target.query("SELECT instrument, kind, expires_at FROM instruments ORDER BY 1")
    assert found == [
        (FUTURE, "future", EXPIRY),
        (PERPETUAL, "perpetual", None),
        (OTHER, "future", EXPIRY),
    ]


def test_loading_again_changes_no_row(target: Target) -> None:
    target.load()
    versions = "SELECT xmin::text, ctid::text, tableoid::regclass::text FROM {}"
    names = sorted(target.tables())
    before = [target.query(versions.format(name)) for name in names]
    result = target.load()
    assert (result.partitions_loaded, result.partitions_unchanged, result.rows_loaded) == (0, 5, 0)
    assert [target.query(versions.format(name)) for name in names] == before


def test_a_changed_expiry_date_replaces_the_rows_that_carry_it(target: Target) -> None:
    target.load()
    later = instruments(FUTURE, OTHER, PERPETUAL, expires_at=EXPIRY + timedelta(days=1))
    record(target.lake, later)
    assert target.load().partitions_loaded == 4
    dates = target.query("SELECT DISTINCT expiry_date FROM futures_ohlcv")
    assert dates == [((EXPIRY + timedelta(days=1)).date(),)]


def test_the_same_rows_in_two_files_are_not_sent_again(target: Target) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles()[:3], candles()[3:])
    assert target.load().partitions_loaded == 0


def test_a_lake_without_a_table_takes_no_row_of_it_out_of_a_database(
    target: Target, tmp_path: Path
) -> None:
    target.load()
    with pytest.raises(LakeError, match="There is no lake at"):
        load(Lake(str(tmp_path / "typo")), target.uri, schema=target.schema)
    shutil.rmtree(Path(target.lake.uri) / CANDLES.name)
    for ask in (load, preview):
        with pytest.raises(LoadError, match="no table candles, which was loaded"):
            ask(target.lake, target.uri, schema=target.schema)
    assert len(target.rows("futures_ohlcv")) == 16


@pytest.mark.parametrize("knows", [False, True], ids=["nothing of it", "its record"])
def test_another_lake_takes_no_row_out_of_a_database(
    target: Target, tmp_path: Path, *, knows: bool
) -> None:
    target.load()
    other = Lake(str(tmp_path / "other"))
    names = (FUTURE, OTHER, PERPETUAL) if knows else (FUTURE, PERPETUAL)
    record(other, instruments(*names))
    for name in (FUTURE, PERPETUAL):
        append(other, {name: [candles(40).drop("traded", "suspect")]})
        put(other, CANDLES, name, candles(40))
    put(other, BASIS, FUTURE, basis(40))
    for full in (False, True):
        with pytest.raises(LoadError, match=f"loaded from another lake: it has {OTHER}, for which"):
            load(other, target.uri, schema=target.schema, full=full)
    assert len(target.rows("futures_ohlcv")) == 16
    assert load(target.lake, target.uri, schema=target.schema).partitions_loaded == 0


def test_a_table_that_somebody_dropped_or_emptied_is_loaded_again(target: Target) -> None:
    target.load()
    target.execute("DROP TABLE perpetuals_ohlcv", "DELETE FROM futures_basis_spread")
    assert target.load().partitions_loaded == 2
    assert all(
        row.lake_rows == row.database_rows for row in parity(target.lake, target.uri, target.schema)
    )


def test_a_full_load_mends_what_was_changed_by_hand(target: Target) -> None:
    target.load()
    before = target.rows("futures_ohlcv")
    target.execute(
        "UPDATE futures_ohlcv SET close = 0",
        "DELETE FROM futures_ohlcv WHERE ctid = (SELECT min(ctid) FROM futures_ohlcv)",
    )
    assert target.load().partitions_loaded == 0
    target.load(full=True)
    assert target.rows("futures_ohlcv") == before


def test_a_full_load_that_was_stopped_is_finished_by_the_next_load(target: Target) -> None:
    target.load()
    for name in ("futures_ohlcv", "perpetuals_ohlcv", "futures_basis_spread"):
        number = "close" if "ohlcv" in name else "basis_spread"
        target.execute(f"UPDATE {name} SET {number} = 0 WHERE timestamp = '2019-05-01'")

    def stop(progress: LoadProgress) -> None:
        if progress.done == 3:
            raise MemoryError

    with pytest.raises(MemoryError):
        load(target.lake, target.uri, schema=target.schema, full=True, report=stop)
    assert not target.compare().equal
    assert target.load().partitions_loaded > 0
    assert target.compare().equal
    assert target.load().partitions_loaded == 0


def test_the_database_itself_refuses_a_second_row_of_a_minute(target: Target) -> None:
    target.load()
    with pytest.raises(LoadError, match="duplicate key"):
        target.execute("INSERT INTO futures_ohlcv SELECT * FROM futures_ohlcv LIMIT 1")


def test_a_table_of_another_shape_is_refused_and_nothing_is_touched(target: Target) -> None:
    target.execute(
        f"CREATE SCHEMA {target.schema}",
        "CREATE TABLE futures_ohlcv (instrument text, timestamp timestamptz, open bigint)",
        "INSERT INTO futures_ohlcv VALUES ('mine', now(), 7)",
    )
    with pytest.raises(LoadError) as caught:
        target.load()
    assert "futures_ohlcv.open is bigint, not double precision." in str(caught.value)
    assert "no unique index on (instrument, timestamp)" in str(caught.value)
    assert target.tables() == {"futures_ohlcv"}
    assert target.query("SELECT instrument, open FROM futures_ohlcv") == [("mine", 7)]


def test_a_table_made_by_the_user_in_our_shape_is_used_with_its_own_columns(target: Target) -> None:
    columns = ", ".join(
        f"{name} float8" for name in ("cost", "open", "high", "low", "close", "volume")
    )
    target.execute(
        f"CREATE SCHEMA {target.schema}",
        f"CREATE TABLE perpetuals_ohlcv (id bigserial, note text, {columns}, "
        "timestamp timestamptz, instrument text, UNIQUE (timestamp, instrument))",
    )
    target.load()
    found = target.rows("perpetuals_ohlcv", "note, instrument, cost")
    assert found == [(None, PERPETUAL, value) for value in ODD]


def test_rows_that_the_database_alters_are_noticed_and_rolled_back(target: Target) -> None:
    target.load()
    target.execute(
        "CREATE FUNCTION nudge() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.close := NEW.close + 1e-9; RETURN NEW; END $$",
        "CREATE TRIGGER nudge BEFORE INSERT ON futures_ohlcv FOR EACH ROW EXECUTE FUNCTION nudge()",
    )
    put(target.lake, CANDLES, FUTURE, candles(minutes=12))
    with pytest.raises(LoadError) as caught:
        target.load()
    assert f"The partition {partition(FUTURE)} of futures_ohlcv was not loaded" in str(caught.value)
    assert "sum of close is" in str(caught.value)
    assert len(target.rows("futures_ohlcv")) == 16
    target.execute("DROP TRIGGER nudge ON futures_ohlcv")
    assert target.load().partitions_loaded == 1


def test_numbers_that_add_up_to_infinity_are_loaded_and_verified(target: Target) -> None:
    huge = candles(minutes=3).with_columns(cost=pl.lit(1.7e308))
    put(target.lake, CANDLES, FUTURE, huge)
    assert target.load().verified


def test_many_rows_are_summed_alike_on_both_sides(target: Target) -> None:
    minutes = 50_000
    noise = (pl.int_range(minutes, eager=True).hash(1) % 10**9).cast(pl.Float64) / 7e5
    frame = candles(minutes).with_columns(open=noise, high=noise / 3, low=noise.exp() / 1e9)
    put(target.lake, CANDLES, FUTURE, frame.filter(pl.col("low").is_finite()))
    assert target.load().verified


def test_candles_of_an_unknown_instrument_stop_the_load_by_name(target: Target) -> None:
    put(target.lake, CANDLES, "BTC-27SEP19", candles())
    with pytest.raises(LoadError, match="rows of BTC-27SEP19, but the table instruments has"):
        target.load()
    assert target.tables() == set()


def test_what_was_not_sent_was_not_verified_and_the_ledger_knows_when_it_was(
    target: Target,
) -> None:
    first = target.load()
    assert (first.verified, first.unchanged_since) == (True, None)
    target.execute("DELETE FROM futures_ohlcv WHERE timestamp = '2019-05-01'")
    again = target.load()
    ((oldest,),) = target.query("SELECT min(loaded_at) FROM lake_loads")
    assert (again.verified, again.unchanged_since) == (None, oldest)


def test_progress_is_told_after_every_partition(target: Target) -> None:
    message: list[LoadProgress] = []
    load(target.lake, target.uri, schema=target.schema, report=message.append)
    assert [(step.done, step.total) for step in message] == [(i, 5) for i in range(1, 6)]
    assert message[-1].rows == 30


def test_parity_counts_both_sides_before_and_after_a_load(target: Target) -> None:
    before = parity(target.lake, target.uri, target.schema, exact=True)
    carry = ("funding_rates", "delivery_prices", "settlements", "carry_daily")
    assert [tuple(row) for row in before] == [
        ("instruments", 3, 0, 0, 1, 0, None),
        ("perpetuals_ohlcv", 8, 0, 0, 1, 0, None),
        ("futures_ohlcv", 16, 0, 0, 2, 0, None),
        ("futures_basis_spread", 3, 0, 0, 1, 0, None),
        *((name, 0, 0, 0, 0, 0, None) for name in carry),
    ]
    target.load()
    after = parity(target.lake, target.uri, target.schema)
    assert all(row.is_equal and row.bytes for row in after)
    times = dict(target.query('SELECT "table", max(loaded_at) FROM lake_loads GROUP BY 1'))
    assert {row.table: row.loaded_at for row in after if row.lake_rows} == times
    put(target.lake, CANDLES, FUTURE, candles(shift=1.0))  # as many rows, of other content
    behind = {row.table: row.behind for row in parity(target.lake, target.uri, target.schema)}
    assert {name for name, count in behind.items() if count} == {"futures_ohlcv"}


def test_the_ledger_says_what_was_loaded_from_which_batch(target: Target) -> None:
    append(target.lake, {FUTURE: [candles().drop("traded", "suspect")]})
    put(target.lake, CANDLES, FUTURE, candles())
    append(target.lake, {FUTURE: [candles().drop("traded", "suspect")]})  # not built yet
    target.load()
    rows = target.query(
        'SELECT "table", partition, rows, lake_version, length(digest), loaded_at <= now() '
        "FROM lake_loads WHERE partition = $1 ORDER BY rows",
        partition(FUTURE),
    )
    assert rows == [
        ("futures_basis_spread", partition(FUTURE), 3, 1, 64, True),
        ("futures_ohlcv", partition(FUTURE), 8, 1, 64, True),
    ]


def test_a_schema_with_an_odd_name_is_made_and_used(target: Target) -> None:
    odd = f'{target.schema} "Odd"'
    assert load(target.lake, target.uri, schema=odd).partitions_loaded == 5
    target.execute(f"DROP SCHEMA {chr(34)}{odd.replace(chr(34), chr(34) * 2)}{chr(34)} CASCADE")


@pytest.mark.parametrize("name", ["", "a\0b", "ü" * 32])
def test_a_name_that_no_schema_can_have_is_refused(target: Target, name: str) -> None:
    with pytest.raises(UsageError, match="No schema can be called"):
        load(target.lake, target.uri, schema=name)
