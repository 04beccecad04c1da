"""Rows that differ between a lake as of two batches, or between two lakes."""

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake import open as open_lake
from lake.history.difference import COMPARED, Difference, compare, differences
from lake.tables import CANDLES, RAW_CANDLES
from tests.lakes import LINEAGE, begin
from tests.market import basislake
from tests.staged import Staged
from tests.strategies import candles


def test_the_difference_of_two_batches_is_counted_by_instrument_and_table(staged: Staged) -> None:
    a, b = (open_lake(staged.lake.uri, as_of=stage.batch) for stage in (staged.first, staged.last))
    found = {(d.instrument, d.table): (d.only_a, d.only_b, d.changed) for d in differences(a, b)}
    expected: dict[tuple[str, str], tuple[int, int, int]] = {}
    for table in (table.name for table in COMPARED):
        old, new = staged.first.content[table], staged.last.content[table]
        more = new.join(old, on=["instrument", "ts"], how="anti").group_by("instrument").len()
        expected |= {(name, table): (0, count, 0) for name, count in more.iter_rows()}
    assert found == expected
    assert {(d.only_a, d.only_b) for d in differences(b, a)} == {
        (n, 0) for _, n, _ in expected.values()
    }
    assert differences(a, a) == []


def test_the_command_tells_differences_and_says_when_there_are_none(
    staged: Staged, lake: Lake, tmp_path: Path
) -> None:
    at = ("--lake", staged.lake.uri)
    first, last = staged.first.batch, staged.last.batch
    done = basislake(None, "diff", first, last, *at, "--json")
    assert done.code == 0, done.err
    assert (done.json["a"], done.json["b"], done.json["equal"]) == (first, last, False)
    assert {d["table"] for d in done.json["differences"]} == {"raw_candles", "candles", "basis"}
    shown = basislake(None, "diff", first, *at)
    assert shown.code == 0
    assert all(d["instrument"] in shown.out for d in done.json["differences"])
    assert shown.out.startswith(f"A is as of batch {first}, B of batch {last}, the newest.\n")
    assert basislake(None, "diff", first, *at, "--json").json["b"] == last

    same = basislake(None, "diff", last, last, *at, "--other", lake.uri)
    sides = f"A is as of batch {last}, B of batch {last} of {lake.uri}, the newest.\n"
    none_told = "No difference in raw_candles, candles, basis.\n"
    assert (same.code, same.out) == (0, sides + none_told)
    none = basislake(None, "diff", last, last, *at, "--other", tmp_path / "none")
    assert (none.code, "There is no lake at" in none.err) == (1, True)


def test_a_is_an_argument_or_an_option_and_not_both(staged: Staged) -> None:
    at, first = ("--lake", staged.lake.uri), staged.first.batch
    by_option = basislake(None, "diff", *at, "--as-of", first)
    assert (by_option.code, by_option.out) == (0, basislake(None, "diff", *at, first).out)
    for a in (first, staged.last.batch):
        both = basislake(None, "diff", *at, a, "--as-of", first)
        assert (both.code, both.out) == (2, "")
        assert "Give either A or --as-of" in both.err


def test_rows_of_a_batch_that_is_still_being_stored_are_no_difference(
    staged: Staged, lake: Lake
) -> None:
    begin(lake, "BTC-PERPETUAL")
    last = staged.last.batch
    found = basislake(None, "diff", last, "--lake", lake.uri, "--json").json
    assert (found["a"], found["b"], found["differences"]) == (last, last, [])


def test_a_changed_row_is_told_as_changed(staged: Staged, lake: Lake) -> None:
    base = lake.snapshot(CANDLES)
    name = min(base.by_partition())
    rows = base.rows_of(base.of(name)).sort("ts")
    first = pl.int_range(pl.len()) == 0
    other = rows.with_columns(
        close=pl.when(first).then(pl.col("close") + 1).otherwise("close"),
        # Negative zero is another value than zero.
        volume=pl.when(pl.col("volume") == 0).then(-0.0).otherwise("volume"),
    )
    added = [lake.write(CANDLES, other, name)]
    lake.commit(base, added, LINEAGE, removing=base.of(name))
    zeros = int((rows["volume"] == 0).sum())
    changed = zeros + (rows["volume"][0] != 0)
    assert differences(staged.lake, lake) == [Difference(name, "candles", 0, 0, changed)]


@given(
    st.dictionaries(st.integers(0, 9), st.sampled_from([1.0, 0.0, -0.0, None])),
    st.dictionaries(st.integers(0, 9), st.sampled_from([1.0, 0.0, -0.0, None])),
)
def test_a_comparison_counts_keys_and_values(
    one: dict[int, float | None], other: dict[int, float | None]
) -> None:
    a, b = (
        pl.concat([candles(0), *(candles(1, minute).with_columns(
            close=pl.lit(value, dtype=pl.Float64)) for minute, value in side.items())])
        for side in (one, other)
    )  # fmt: skip
    both = one.keys() & other.keys()
    changed = sum(repr(one[minute]) != repr(other[minute]) for minute in both)
    expected = Difference("A", "raw_candles", len(one) - len(both), len(other) - len(both), changed)
    assert compare(RAW_CANDLES, "A", a, b) == expected
