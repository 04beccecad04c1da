"""Months as the partitions of a load: which are sent, and which stay unchanged."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from deltalake import DeltaTable

from lake.files.slices import slices
from lake.tables import BASIS, CANDLES, INSTRUMENTS
from load.preview import preview
from tests.loading import FUTURE, OTHER, PERPETUAL, Target, candles, partition, put

# Four minutes of May and four of June.
END_OF_MAY = datetime(2019, 5, 31, 23, 56, tzinfo=UTC)
AUGUST = datetime(2019, 8, 1, tzinfo=UTC)
MAY, JUNE, JULY = (partition(FUTURE, f"2019-0{number}") for number in (5, 6, 7))
BEFORE = pl.concat([candles(start=END_OF_MAY), candles(3, start=AUGUST - timedelta(minutes=3))])


@pytest.fixture
def monthly(target: Target) -> Target:
    """A loaded lake whose future has candles of three months, at both ends of them."""
    put(target.lake, CANDLES, FUTURE, BEFORE)
    target.load()
    return target


def entries(target: Target) -> dict[str, tuple[int, str]]:
    """What the ledger knows of the candles of the future: rows and digest, by partition."""
    sql = 'SELECT partition, rows, digest FROM lake_loads WHERE "table" = $1 AND partition LIKE $2'
    found = target.query(sql, "futures_ohlcv", f"{FUTURE}%")
    return {name: (rows, digest) for name, rows, digest in found}


def writers(target: Target) -> dict[str, set[str]]:
    """The transactions that wrote the rows of the future, by month."""
    month = "to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM')"
    sql = f"SELECT {month}, xmin::text FROM futures_ohlcv WHERE instrument = $1"
    found: dict[str, set[str]] = {}
    for name, xmin in target.query(sql, FUTURE):
        found.setdefault(partition(FUTURE, name), set()).add(xmin)
    return found


def test_each_month_of_an_instrument_is_a_partition(monthly: Target) -> None:
    assert {name: rows for name, (rows, _) in entries(monthly).items()} == {
        MAY: 4,
        JUNE: 4,
        JULY: 3,
    }
    assert monthly.compare().equal
    assert monthly.load().partitions_loaded == 0


@pytest.mark.parametrize(
    ("now", "sent", "action"),
    [
        # The first and the last minute of a month, each with another value.
        (BEFORE.with_columns(open=pl.col("open") + (pl.row_index() == 3)), {MAY: 4}, "replace"),
        (BEFORE.with_columns(open=pl.col("open") + (pl.row_index() == 4)), {JUNE: 4}, "replace"),
        (BEFORE.with_columns(open=pl.col("open") + (pl.row_index() == 10)), {JULY: 3}, "replace"),
        # A minute at the end of one month; more at its beginning; a month that was not there.
        (
            pl.concat([BEFORE[:8], candles(9, start=END_OF_MAY)[8:], BEFORE[8:]]),
            {JUNE: 1},
            "append",
        ),
        (pl.concat([candles(1), BEFORE]), {MAY: 5}, "replace"),
        (pl.concat([BEFORE, candles(2, start=AUGUST)]), {partition(FUTURE, "2019-08"): 2}, "load"),
    ],
    ids=["last minute", "first minute", "last of all", "a minute more", "one before", "a month"],
)
def test_only_a_month_that_changed_is_sent(
    monthly: Target, now: pl.DataFrame, sent: dict[str, int], action: str
) -> None:
    before, held = writers(monthly), entries(monthly)
    put(monthly.lake, CANDLES, FUTURE, now)
    shown = preview(monthly.lake, monthly.uri, schema=monthly.schema)
    assert shown.steps == [("futures_ohlcv", name, action, rows) for name, rows in sent.items()]
    result = monthly.load()
    assert (result.partitions_loaded, result.rows_loaded) == (1, sum(sent.values()))
    assert result.partitions_appended == (action == "append")
    assert monthly.compare().equal
    for name in {*held} - {*sent}:
        assert (writers(monthly)[name], entries(monthly)[name]) == (before[name], held[name])
    assert result.tables["futures_ohlcv"].loaded == 1


@pytest.mark.parametrize("full", [False, True])
def test_a_month_that_the_lake_no_longer_has_is_removed(monthly: Target, *, full: bool) -> None:
    before = writers(monthly)
    put(monthly.lake, CANDLES, FUTURE, pl.concat([BEFORE[:4], BEFORE[8:]]))
    result = monthly.load(full=full)
    assert result.partitions_removed == 1
    assert entries(monthly).keys() == {MAY, JULY}
    assert writers(monthly) == {MAY: before[MAY], JULY: before[JULY]}
    assert monthly.compare().equal


def test_months_that_another_program_put_into_one_file_are_not_sent_again(monthly: Target) -> None:
    for table in (CANDLES, BASIS):
        DeltaTable(f"{monthly.lake.uri}/{table.name}").optimize.compact()
    held = slices(monthly.lake.snapshot(CANDLES), [FUTURE])
    assert len({own.files for own in held}) == 1
    assert monthly.load().partitions_loaded == 0
    assert monthly.compare().equal
    put(monthly.lake, CANDLES, FUTURE, BEFORE[1:])
    assert monthly.load().partitions_loaded == 1
    assert monthly.compare().equal


def test_a_ledger_that_has_a_row_for_each_instrument_is_brought_up_to_date(monthly: Target) -> None:
    """So older versions of the program wrote it."""
    months = "DELETE FROM lake_loads WHERE partition LIKE '%/%' AND partition NOT LIKE '%/2019-05'"
    names = "UPDATE lake_loads SET partition = split_part(partition, '/', 1)"
    monthly.execute(months, names)
    put(monthly.lake, CANDLES, FUTURE, BEFORE[1:])
    result = monthly.load()
    assert (result.partitions_removed, result.partitions_loaded) == (4, 6)
    assert monthly.compare().equal
    (found,) = monthly.query("SELECT count(*) FROM lake_loads WHERE partition NOT LIKE '%/____-__'")
    assert found == (1,)  # of instruments


def test_an_instrument_without_rows_is_removed_in_all_its_months(monthly: Target) -> None:
    put(monthly.lake, CANDLES, FUTURE)
    assert monthly.load().partitions_removed == 3
    names = {row[0] for row in monthly.rows("futures_ohlcv", "instrument")}
    assert (names, entries(monthly)) == ({OTHER}, {})
    assert monthly.compare().equal
    assert set(monthly.lake.read(INSTRUMENTS)["instrument"]) == {FUTURE, OTHER, PERPETUAL}
