from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.files.content_hash import LENGTH, frame_digest
from lake.table import Table
from lake.tables import BASIS, INSTRUMENTS, QUARANTINE, RAW_CANDLES
from tests.strategies import candles, frames

TABLES = st.sampled_from([INSTRUMENTS, QUARANTINE, BASIS])


@given(st.data())
def test_equal_content_has_one_digest_whatever_the_chunks_and_the_row_order(
    data: st.DataObject,
) -> None:
    table = data.draw(TABLES)
    frame = data.draw(frames(table))
    shuffled = [frame[i] for i in data.draw(st.permutations(range(frame.height)))]
    again = pl.concat(shuffled, rechunk=False).select(reversed(frame.columns))
    assert frame_digest(table, again) == frame_digest(table, frame)


@given(st.data())
def test_any_changed_cell_changes_the_digest(data: st.DataObject) -> None:
    table = data.draw(TABLES)
    frame, other = data.draw(frames(table)), data.draw(frames(table))
    content = [c for c in table.names if c not in {table.partition, *table.order}]
    column = data.draw(st.sampled_from(content))
    place = data.draw(st.integers(0, frame.height - 1))
    cells = frame[column].to_list()
    cells[place] = other[column].to_list()[0]
    changed = frame.with_columns(pl.Series(column, cells, dtype=frame[column].dtype))
    # Repr, because -0.0 == 0.0; sorted, because order is no content.
    is_same = repr(table.cast(changed).rows()) == repr(table.cast(frame).rows())
    assert (frame_digest(table, changed) == frame_digest(table, frame)) == is_same


@pytest.mark.parametrize(
    ("table", "column", "one", "other"),
    [
        (RAW_CANDLES, "open", None, 0.0),
        (RAW_CANDLES, "open", 0.0, -0.0),
        (RAW_CANDLES, "open", 1.0, 1.0000000000000002),
        (INSTRUMENTS, "active", True, False),
        (QUARANTINE, "rules", [], [""]),
        (QUARANTINE, "rules", ["ab", "c"], ["a", "bc"]),
    ],
)
def test_values_that_look_alike_have_their_own_digests(
    table: Table, column: str, one: object, other: object
) -> None:
    dtype = table.polars_schema[column]
    columns = {n: pl.Series([None], dtype=kind) for n, kind in table.polars_schema.items()}

    def digest(value: object) -> str:
        cell = pl.Series([value], dtype=dtype)
        return frame_digest(table, pl.DataFrame({**columns, column: cell}))

    assert digest(one) != digest(other)
    assert len(digest(one)) == LENGTH


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("base", ["ab", "c"], ["a", "bc"]),
        ("base", ["", "x"], ["x", ""]),
        ("tick_size", [None, 0.0], [0.0, None]),
    ],
)
def test_values_that_move_between_rows_change_the_digest(
    column: str, one: list[Any], other: list[Any]
) -> None:
    rest = {
        name: pl.Series([name[0], name[1]] if kind == pl.String else [None, None], dtype=kind)
        for name, kind in INSTRUMENTS.polars_schema.items()
    }
    kind = INSTRUMENTS.polars_schema[column]
    digests = {
        frame_digest(INSTRUMENTS, pl.DataFrame({**rest, column: pl.Series(cells, dtype=kind)}))
        for cells in (one, other)
    }
    assert len(digests) == 2


def test_rules_that_move_between_rows_change_the_digest() -> None:
    frame = candles(2).with_columns(instrument=pl.lit("A"))
    digests = {
        frame_digest(QUARANTINE, frame.with_columns(pl.Series("rules", rules)))
        for rules in ([["a"], ["b"]], [["a", "b"], []], [["ab"], []])
    }
    assert len(digests) == 3


def test_the_name_of_a_partition_is_not_its_content_but_rows_and_minutes_are() -> None:
    digest = frame_digest(RAW_CANDLES, candles(5))
    assert digest == frame_digest(RAW_CANDLES, candles(5).with_columns(instrument=pl.lit("A")))
    later = candles(5).with_columns(pl.col("ts") + timedelta(minutes=1))
    assert len({digest, *(frame_digest(RAW_CANDLES, f) for f in (later, candles(4)))}) == 3
