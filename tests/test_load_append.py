"""Later loads: what is sent again, what is appended, and what readers see meanwhile."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.table import Table
from lake.tables import BASIS, CANDLES
from load.loader import load
from load.postgres import Database
from tests.loading import (
    EXPIRY,
    FUTURE,
    OTHER,
    PERPETUAL,
    Target,
    basis,
    candles,
    fresh_target,
    instruments,
    partition,
    put,
    record,
    small_lake,
)
from tests.profiles import examples


def writers(target: Target, table: str, instrument: str) -> list[str]:
    """The transactions that wrote the rows, in the order of time."""
    sql = f"SELECT xmin::text FROM {table} WHERE instrument = $1 ORDER BY timestamp"
    return [xmin for (xmin,) in target.query(sql, instrument)]


@pytest.mark.parametrize(
    ("source", "instrument", "table", "make"),
    [
        (CANDLES, FUTURE, "futures_ohlcv", candles),
        (CANDLES, PERPETUAL, "perpetuals_ohlcv", candles),
        (BASIS, FUTURE, "futures_basis_spread", basis),
    ],
)
def test_new_minutes_at_the_end_are_appended_and_older_rows_untouched(
    target: Target,
    source: Table,
    instrument: str,
    table: str,
    make: Callable[[int], pl.DataFrame],
) -> None:
    target.load()
    before = writers(target, table, instrument)
    put(target.lake, source, instrument, make(20))
    result = target.load()
    new = 20 - len(before)
    assert (result.partitions_loaded, result.partitions_appended, result.rows_loaded) == (1, 1, new)
    after = writers(target, table, instrument)
    assert after[: len(before)] == before
    assert len(after) == 20
    assert len({*after[len(before) :]} - {*before}) == 1
    assert target.compare().equal
    (entry,) = target.query(
        'SELECT rows FROM lake_loads WHERE "table" = $1 AND partition = $2',
        table,
        partition(instrument),
    )
    assert entry[0] == 20
    again = target.load()
    assert (again.partitions_loaded, again.rows_loaded) == (0, 0)
    assert writers(target, table, instrument) == after


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        (
            candles(),
            candles(12).with_columns(
                close=pl.when(pl.row_index() == 3).then(2.5).otherwise("close")
            ),
        ),
        (candles(), candles(12)[1:]),
        (candles(), pl.concat([candles(5), candles(13)[6:]])),
        (candles()[1:], candles(13)),
    ],
    ids=["a value", "a minute less", "a minute moved", "a minute before"],
)
def test_a_change_before_the_end_replaces_the_partition(
    target: Target, before: pl.DataFrame, changed: pl.DataFrame
) -> None:
    put(target.lake, CANDLES, FUTURE, before)
    target.load()
    put(target.lake, CANDLES, FUTURE, changed)
    result = target.load()
    assert (result.partitions_loaded, result.partitions_appended) == (1, 0)
    assert result.rows_loaded == changed.height
    assert target.compare().equal


def test_another_expiry_date_replaces_although_only_minutes_are_new(target: Target) -> None:
    target.load()
    later = instruments(FUTURE, OTHER, PERPETUAL, expires_at=EXPIRY + timedelta(days=1))
    record(target.lake, later)
    put(target.lake, CANDLES, FUTURE, candles(12))
    assert target.load().partitions_appended == 0
    assert target.compare().equal


def copied_to(time: str) -> str:
    """The statement that adds rows at a time."""
    values = "expiry_date, open, high, low, close, volume, cost"
    return (
        f"INSERT INTO futures_ohlcv (instrument, timestamp, {values}) SELECT instrument, '{time}', "
        f"{values} FROM futures_ohlcv WHERE timestamp = '2019-05-01'"
    )


@pytest.mark.parametrize(
    "by_hand",
    [
        "UPDATE futures_ohlcv SET close = 7 WHERE timestamp = '2019-05-01 00:02Z'",
        "DELETE FROM futures_ohlcv WHERE timestamp = '2019-05-01 00:02Z'",
        "UPDATE futures_ohlcv SET expiry_date = 'infinity' WHERE timestamp = '2019-05-01 00:02Z'",
        copied_to("2019-05-01 00:09Z"),
    ],
    ids=["changed", "deleted", "no date", "added"],
)
def test_an_append_to_rows_that_were_changed_by_hand_replaces_them(
    target: Target, by_hand: str
) -> None:
    target.load()
    target.execute(by_hand)
    put(target.lake, CANDLES, FUTURE, candles(12))
    result = target.load()
    assert (result.partitions_appended, result.rows_loaded) == (0, 12)
    target.execute(f"DELETE FROM futures_ohlcv WHERE instrument = '{OTHER}'")
    found = {each.partition for each in target.compare().differences}
    assert found == {partition(OTHER)}  # nobody asked for its rows


def test_months_of_a_table_that_grew_are_one_transaction_unless_somebody_changed_one(
    target: Target,
) -> None:
    target.load()
    for minutes, appended in ((12, 2), (14, 0)):
        for name in (FUTURE, OTHER):
            put(target.lake, CANDLES, name, candles(minutes))
        result = target.load()
        assert (result.partitions_loaded, result.partitions_appended) == (2, appended)
        assert target.compare().equal
        newest = [writers(target, "futures_ohlcv", name)[-1] for name in (FUTURE, OTHER)]
        assert len({*newest}) == (1 if appended else 2)
        target.execute(f"DELETE FROM futures_ohlcv WHERE instrument = '{OTHER}'")


@pytest.mark.parametrize("time", ["2019-04-30 23:59Z", "2019-06-01", "20000-01-01", "infinity"])
def test_what_somebody_put_beside_a_month_neither_stops_an_append_to_it_nor_is_touched(
    target: Target, time: str
) -> None:
    target.load()
    target.execute(copied_to(time))
    put(target.lake, CANDLES, FUTURE, candles(12))
    result = target.load()
    assert (result.partitions_appended, result.rows_loaded) == (1, 4)
    found = target.compare().differences
    assert {(each.database_rows, each.lake_rows, each.extra) for each in found} == {(1, 0, 1)}


def test_a_full_load_appends_nothing(target: Target) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(12))
    assert target.load(full=True).partitions_appended == 0
    assert target.compare().equal


@pytest.mark.slow
def test_readers_see_the_old_rows_or_the_new_ones_and_never_a_mixture(target: Target) -> None:
    """Costs are shifted by a number that is the rows' own, so a mixture would show."""
    target.load()
    done = Event()

    def read() -> set[tuple[object, ...]]:
        seen = set()
        sql = "SELECT count(*), count(DISTINCT open), min(open), max(open) FROM futures_ohlcv"
        with Database(target.uri) as database:
            while not done.is_set():
                seen |= set(database.query(f"{sql} WHERE instrument = '{FUTURE}'"))
                database.commit()
        return seen

    expected = {(8, 1, 1.5, 1.5)}
    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(1, 7):
                rows = 3_000 + number
                frame = candles(rows).with_columns(open=pl.lit(float(number)))
                put(target.lake, CANDLES, FUTURE, frame)
                target.load()
                put(target.lake, CANDLES, FUTURE, _longer(frame))
                assert target.load().partitions_appended == 1
                expected |= {(rows, 1, number, number), (rows + 500, 1, number, number)}
        finally:
            done.set()
        seen = readers[0].result() | readers[1].result()
    assert seen <= expected
    assert len(seen) > 3


def _longer(frame: pl.DataFrame) -> pl.DataFrame:
    later = candles(frame.height + 500)[frame.height :]
    return pl.concat([frame, later.with_columns(open=pl.lit(frame["open"][0]))])


@pytest.mark.slow
def test_a_load_of_a_lake_that_grew_in_all_ways_comes_to_the_same_as_a_first_one(
    target: Target,
) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(30))
    put(target.lake, CANDLES, OTHER, candles(3, shift=2.0))
    put(target.lake, BASIS, OTHER, basis(4))
    put(target.lake, BASIS, FUTURE)
    target.load()
    names = ("futures_ohlcv", "perpetuals_ohlcv", "futures_basis_spread")
    after = [target.rows(name) for name in names]
    ledger = target.query('SELECT "table", partition, digest, rows FROM lake_loads ORDER BY 1, 2')
    target.execute(f"DROP SCHEMA {target.schema} CASCADE")
    load(target.lake, target.uri, schema=target.schema)
    assert [target.rows(name) for name in names] == after
    assert (
        target.query('SELECT "table", partition, digest, rows FROM lake_loads ORDER BY 1, 2')
        == ledger
    )


CHANGES = st.tuples(
    st.sampled_from([(CANDLES, FUTURE), (CANDLES, PERPETUAL), (BASIS, FUTURE), (BASIS, OTHER)]),
    st.sampled_from(["minutes", "withdrawn", "expiry", "two files"]),
    st.integers(1, 40),
    st.integers(0, 3),
)


@pytest.mark.slow
@examples(4)
@given(rounds=st.lists(st.lists(CHANGES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_after_any_changes_of_the_lake_a_load_makes_every_cell_equal(
    postgres: str, rounds: list[list[tuple[tuple[Table, str], str, int, int]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = fresh_target(postgres, small_lake(Path(folder) / "lake"))
        try:
            for changes in rounds:
                target.load()
                for (table, name), how, minutes, variant in changes:
                    _change(target.lake, table, name, how, minutes, variant)
                target.load()
                found = target.compare()
                assert found.equal, found.differences
                assert target.load().partitions_loaded == 0
        finally:
            target.execute(f"DROP SCHEMA IF EXISTS {target.schema} CASCADE")


def _change(lake: Lake, table: Table, name: str, how: str, minutes: int, variant: int) -> None:
    if how == "withdrawn":
        put(lake, table, name)
        return
    if how == "expiry":
        expires_at = EXPIRY + timedelta(days=variant)
        records = instruments(FUTURE, OTHER, PERPETUAL, expires_at=expires_at)
        record(lake, records)
        return
    # One variant differs from another in all rows, so of equal ones the longer is the shorter with
    # minutes at its end.
    frame = candles(minutes, shift=float(variant)) if table is CANDLES else basis(minutes)
    cut = minutes // 2 if how == "two files" else 0
    put(lake, table, name, *([frame[:cut], frame[cut:]] if cut else [frame]))
