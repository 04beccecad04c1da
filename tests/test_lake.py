"""Opening and reading a lake on disk."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from lake import Lake
from lake import open as open_lake
from lake.errors import LakeError
from lake.history.fingerprint import fingerprint
from lake.properties.table_properties import VERSION
from lake.tables import CANDLES, INSTRUMENTS, QUARANTINE, RAW_CANDLES, TABLES
from lake.time.intervals import MINUTE
from tests.lakes import LINEAGE, append_to, ask, fill, mark_built
from tests.strategies import T0, batch, candles, instruments, minute


def test_an_empty_lake_has_every_table_and_view_without_rows(at: Lake) -> None:
    at.replace(at.snapshot(INSTRUMENTS), INSTRUMENTS.empty(), LINEAGE)
    connection = at.duckdb()
    for name, table in TABLES.items():
        frame = at.scan(name).collect()
        assert (frame.height, frame.schema) == (0, table.polars_schema)
        seen = connection.execute(f"SELECT * FROM {name}")
        assert [column[0] for column in seen.description] == table.names
        assert seen.fetchall() == []
    assert connection.execute("SELECT count(*) FROM unmatched").fetchone() == (0,)


READS: Mapping[str, Callable[[Lake], object]] = {
    "scan": lambda at: at.scan("basis"),
    "read": lambda at: at.read(INSTRUMENTS),
    "sql": lambda at: at.sql("SELECT 1"),
    "duckdb": lambda at: at.duckdb(),
    "fingerprint": lambda at: fingerprint(at, 1),
    "state": lambda at: at.state().scan("basis"),
    "as_of": lambda at: open_lake(at.uri, as_of=1).scan("instruments"),
}


@pytest.mark.parametrize("name", READS)
def test_where_no_lake_is_reading_is_an_error_and_makes_nothing(at: Lake, name: str) -> None:
    other = open_lake(str(Path(at.uri).parent))
    for lake in (at, other):
        with pytest.raises(LakeError, match=f"There is no lake at {lake.uri}: it has no tables"):
            READS[name](lake)
    assert list(Path(other.uri).iterdir()) == []
    assert at.snapshot(INSTRUMENTS).read().is_empty()
    ask(at, append_to(at, "A", candles(1)), ("A", T0, T0 + MINUTE, "present"))
    assert at.scan("basis").collect().is_empty()
    READS[name](at)


def test_the_views_have_the_declared_types_and_unmatched_lists_what_has_no_basis(at: Lake) -> None:
    at.replace(at.snapshot(INSTRUMENTS), instruments("A"), LINEAGE)
    rows = candles(2).with_columns(pl.lit("A").alias("instrument"), traded=True, suspect=False)
    fill(at, CANDLES, rows)
    fill(at, QUARANTINE, rows.head(1).with_columns(rules=pl.Series([["a", "b"]])))
    mark_built(at)
    connection = at.duckdb()
    kinds = connection.execute("SELECT typeof(ts), typeof(open) FROM candles LIMIT 1").fetchone()
    assert kinds == ("TIMESTAMP WITH TIME ZONE", "DOUBLE")
    assert connection.execute("SELECT rules FROM quarantine").fetchone() == (["a", "b"],)
    unmatched = connection.execute("SELECT instrument, ts FROM unmatched ORDER BY ts").fetchall()
    assert unmatched == [("A", minute(0)), ("A", minute(1))]


def test_a_view_stays_at_the_version_it_was_opened_at(at: Lake) -> None:
    append_to(at, "A", candles(2))
    connection = at.duckdb()
    base = at.snapshot(RAW_CANDLES)
    at.commit(base, [], LINEAGE, removing=base.files)
    assert connection.execute("SELECT count(*) FROM raw_candles").fetchone() == (2,)


def test_a_null_in_a_column_that_has_none_is_not_written(at: Lake) -> None:
    bad = candles(2).with_columns(ts=pl.Series([T0, None], dtype=pl.Datetime("us", "UTC")))
    with pytest.raises(ValueError, match=r"raw_candles\.ts holds a null"):
        at.write(RAW_CANDLES, batch(bad), "A")


@pytest.mark.parametrize("version", [-1, 2, 99])
def test_a_version_that_is_not_there_is_a_lake_error(at: Lake, version: int) -> None:
    append_to(at, "A", candles(1))
    with pytest.raises(LakeError):
        at.snapshot(RAW_CANDLES, version)


def test_an_unknown_table_is_a_lake_error(at: Lake) -> None:
    with pytest.raises(LakeError, match="There is no table 'trades'"):
        at.scan("trades")


def test_a_table_of_an_earlier_layout_is_refused_and_left_alone(at: Lake) -> None:
    at.replace(at.snapshot(INSTRUMENTS), instruments("A"), LINEAGE)
    first = Path(at.uri, INSTRUMENTS.name, "_delta_log", f"{0:020}.json")
    text = first.read_text()
    earlier = text.replace(f'"basislake.schema":"{VERSION}"', '"basislake.schema":"2"')
    assert earlier != text
    first.write_text(earlier)
    reopened = open_lake(at.uri)
    for read in (lambda: reopened.read(INSTRUMENTS), reopened.duckdb):
        with pytest.raises(LakeError, match=r"lacks columns that this version needs\. Nothing was"):
            read()
    assert first.read_text() == earlier


def test_a_candle_takes_at_most_ten_and_a_half_bytes(at: Lake) -> None:
    """Shaped like the recorded futures: half untraded, in bursts; a third of the others flat."""
    draw = random.Random(7)  # noqa: S311  (prices, not secrets)
    tick, price, busy, rows = 2.5, 60_000.0, True, []
    for i in range(60_000):
        first, top, bottom, cost = price, price, price, 0.0
        if draw.random() < 0.1:
            busy = draw.random() < 0.5
        if draw.random() < (0.85 if busy else 0.15):
            first = price = price + tick * round(draw.gauss(0, 8))
            cost = max(1, round(draw.lognormvariate(6.1, 1.7))) * 10.0
            if draw.random() < 0.63:
                price = first + tick * round(draw.gauss(0, 12))
            top = max(first, price) + tick * max(0, round(draw.gauss(0, 2)))
            bottom = min(first, price) - tick * max(0, round(draw.gauss(0, 2)))
        volume = round(cost / price, 8)
        rows.append((minute(i), first, top, bottom, price, volume, cost))
    schema = RAW_CANDLES.empty().drop("instrument", "batch").schema
    file = at.write(
        RAW_CANDLES,
        batch(pl.DataFrame(rows, schema=schema, orient="row")),
        "BTC-28JUN19",
    )
    assert 0.45 < sum(row[-1] == 0 for row in rows) / len(rows) < 0.55
    assert file.bytes / file.rows <= 10.5
    assert file.bytes == (Path(at.uri) / "raw_candles" / file.path).stat().st_size
