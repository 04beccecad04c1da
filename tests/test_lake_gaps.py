"""The views and figures of gaps."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.datasets.candles import candles_of
from lake import Lake
from lake.coverage import Coverage, to_table
from lake.tables import CANDLES, QUALITY
from lake.time.intervals import Span, merge
from tests.lakes import answer, candle, interval, lake_of
from tests.market import basislake
from tests.profiles import examples
from tests.strategies import minute, span
from transforms.quality import period_figures, quality


def test_gaps_are_what_comes_after_the_first_candle_and_is_not_present(tmp_path: Path) -> None:
    tiles = [(0, 5, "no_data"), (5, 9, "present"), (9, 12, "missing"), (12, 13, "failed")]
    tiles += [(13, 20, "present"), (20, 40, "never_asked"), (40, 41, "present")]
    rows = [interval("A", minute(start), minute(end), status) for start, end, status in tiles]
    lake = lake_of(tmp_path, coverage=[*rows, interval("B", minute(0), minute(9), "failed")])
    assert answer(lake, "FROM gaps") == [
        ("A", minute(9), minute(12), 3, "missing", None),
        ("A", minute(12), minute(13), 1, "failed", None),
        ("A", minute(20), minute(40), 20, "never_asked", None),
    ]


@pytest.mark.parametrize(
    ("others", "silent"),
    [
        ([], None),
        ([(0, 9, "failed")], None),
        ([(0, 9, "no_data")], None),
        ([(0, 5, "present"), (5, 7, "failed"), (7, 9, "present")], None),
        ([(0, 5, "present"), (5, 7, "missing"), (7, 9, "present")], True),
        ([(0, 6, "present"), (6, 9, "missing")], False),
        ([(0, 9, "present")], False),
    ],
)
def test_the_venue_was_silent_where_others_were_answered_without_a_candle(
    tmp_path: Path, others: list[tuple[int, int, str]], *, silent: bool | None
) -> None:
    own = [(0, 5, "present"), (5, 7, "missing"), (7, 9, "present")]
    lake = lake_of(
        tmp_path,
        coverage=[interval("A", minute(a), minute(b), status) for a, b, status in own]
        + [interval("B", minute(a), minute(b), status) for a, b, status in others],
    )
    found = answer(lake, "SELECT start, venue_silent FROM gaps WHERE instrument = 'A'")
    assert found == [(minute(5), silent)]


def test_gaps_of_a_lake_with_gaps_say_where_the_whole_venue_was_silent(gapped: Lake) -> None:
    found = gapped.sql("FROM gaps")
    assert set(found["status"]) == {"missing"}
    everywhere = found.filter(minutes=1)
    assert everywhere["start"].n_unique() == 1
    assert everywhere["venue_silent"].all()
    assert everywhere.height > 2
    alone = found.filter(minutes=15)
    assert (alone.height, alone["venue_silent"].to_list()) == (1, [False])
    assert alone.height + everywhere.height == found.height
    text = basislake(None, "sql", "@long-gaps", "--lake", gapped.uri, "--json").json
    assert [row["absent_minutes"] for row in text] == [15]


def test_gaps_and_quality_agree_in_a_lake_with_gaps(gapped: Lake) -> None:
    query = """
        SELECT instrument, sum(minutes) AS missing_minutes, count(*) AS gaps,
               count_if(minutes > 10) AS gaps_over_10m, max(minutes) AS longest_gap_minutes
        FROM gaps GROUP BY instrument ORDER BY instrument
    """
    by_view = gapped.sql(query)
    by_rows = gapped.scan("quality").filter(pl.col("gaps") > 0).sort("instrument").collect()
    assert by_view.height > 2
    assert by_view.equals(by_rows.select(by_view.columns))


@examples(30)
@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30), st.booleans()), max_size=6),
)
def test_gaps_that_touch_are_together_one_gap_of_quality(
    held: set[int], asks: list[tuple[int, int, bool]]
) -> None:
    """Whatever was asked, in whatever order, and answered or not, also where a month ends within a
    gap.
    """
    known = Coverage()
    came: set[int] = set()
    new_year = 30
    held = {m - new_year for m in held}
    for first, length, is_answered in [(min(held) + new_year, 1, True), *asks]:
        start = first - new_year
        asked = span(start, start + length)
        if is_answered:
            now = {m for m in held if start <= m < start + length}
            known.answer(asked, [span(m, m + 1) for m in now])
            came |= now
        else:
            known.fail(asked)
    coverage = to_table({candles_of("A"): known}, {"A": minute(-new_year)})
    raw = pl.DataFrame([candle("A", minute(m), 1.0) for m in sorted(came)], CANDLES.polars_schema)
    rows = period_figures(raw, raw, raw.clear())
    figures = quality(rows, {"A": coverage["end"].max()}, {})  # type: ignore[dict-item]
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_of(Path(folder), coverage=coverage.to_dicts(), quality=figures.to_dicts())
        found = answer(lake, 'SELECT start, "end" FROM gaps')
        (row,) = lake.read(QUALITY).to_dicts()
    runs = merge(Span(*times) for times in found)
    assert row["gaps"] == len(runs)
    assert row["missing_minutes"] == sum(run.minutes for run in runs)
    assert row["longest_gap_minutes"] == max((run.minutes for run in runs), default=0)
