from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.datasets import DATASETS
from ingest.datasets.candles import candles_of
from ingest.datasets.dataset import lives
from ingest.deribit.replies import CLOSING_LAG as LAG
from ingest.plan.windows import make_plan, minutes_of
from lake.time.intervals import Span, merge, subtract
from lake.time.steps import MINUTES
from tests.strategies import T0, minute, minutes_in, span, spans

SECOND = timedelta(seconds=1)
A = candles_of("A")
wide = st.integers(0, 30_000)


@given(wide, wide)
def test_windows_tile_one_needed_span_exactly_with_the_fewest_calls(start: int, count: int) -> None:
    tiles = MINUTES.windows([span(start, start + count)])
    assert minutes_in(tiles) == list(range(start, start + count))
    assert len(tiles) == -(-count // MINUTES.longest)


@given(st.lists(st.tuples(wide, st.integers(0, 12_000)), max_size=6))
def test_windows_hold_every_needed_minute_once_and_none_is_too_long(
    pairs: list[tuple[int, int]],
) -> None:
    needed = [span(start, start + count) for start, count in pairs]
    tiles = MINUTES.windows(needed)
    assert subtract(needed, tiles) == []
    assert all(a.end <= b.start for a, b in pairwise(tiles))
    assert all(0 < tile.minutes <= MINUTES.longest for tile in tiles)
    edges = {minute for tile in tiles for minute in (tile.start, tile.end - timedelta(minutes=1))}
    assert all(any(s.start <= edge < s.end for s in needed) for edge in edges)
    # The fewest: each window starts at the first needed minute that the one before could not hold.
    longest = timedelta(minutes=MINUTES.longest)
    left, fewest = merge(needed), 0
    while left:
        left = subtract(left, [Span(left[0].start, left[0].start + longest)])
        fewest += 1
    assert len(tiles) == fewest


@given(spans(), st.none() | st.tuples(st.integers(-50, 250), st.integers(-50, 250)))
def test_a_plan_holds_what_is_selected_of_the_life_and_not_held(
    held: list[Span], selected: tuple[int, int] | None
) -> None:
    lived = span(20, 180)
    chosen = span(*selected) if selected else None
    plan = make_plan(A, [lived], held, chosen)
    needed = set(minutes_in([lived])) - set(minutes_in(held))
    if chosen:
        needed &= set(minutes_in([chosen]))
    assert needed <= set(minutes_in(plan.windows)) <= set(minutes_in(plan.wanted))
    assert bool(plan.windows) == bool(needed)
    assert plan.rows == len(minutes_in(plan.windows))


def test_a_selection_within_minutes_means_the_minutes_that_start_in_it() -> None:
    selected = Span(minute(2) + SECOND, minute(4) + SECOND)
    assert make_plan(A, [span(0, 9)], [], selected).windows == (span(3, 5),)


@pytest.mark.parametrize(
    ("expires_at", "lived"),
    [
        (None, span(0, 100)),
        (minute(40), span(0, 40)),
        (minute(40) + SECOND, span(0, 41)),
        (minute(400), span(0, 100)),
    ],
)
def test_a_life_ends_at_expiry_or_at_the_last_closed_minute(
    expires_at: datetime | None, lived: Span
) -> None:
    assert lives_of([("P", T0 + 9 * SECOND, expires_at, False)], minute(100)) == {"P": [lived]}


def lives_of(
    rows: Sequence[tuple[str, datetime, datetime | None, bool]], until: datetime
) -> dict[str, list[Span]]:
    """The lives of instruments of one coin by name, listing, expiry and whether each comes for
    others' sake.
    """
    columns = ["instrument", "listed_at", "expires_at", "is_companion"]
    schema = {"expires_at": pl.Datetime("us", "UTC")}
    chosen = pl.DataFrame(rows, columns, schema_overrides=schema, orient="row")
    return lives(chosen.with_columns(base=pl.lit("BTC")), MINUTES, until + LAG, LAG)


def test_a_perpetual_that_comes_for_its_futures_sake_lives_while_they_do() -> None:
    found = lives_of(
        [
            ("P", minute(0), None, True),
            ("F", minute(10), minute(30), False),
            ("G", minute(90), minute(130), False),
        ],
        minute(100),
    )
    assert found == {"P": [*found["F"], *found["G"]], "F": [span(10, 30)], "G": [span(90, 100)]}


def test_an_instrument_that_is_yet_to_be_listed_needs_nothing() -> None:
    (lived,) = lives_of([("P", minute(50), None, False)], minute(10))["P"]
    assert lived.minutes == 0
    assert make_plan(A, [lived], []).windows == ()


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2024, 3, number, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "selected", "steps"),
    [
        # What is labelled by its end is selected by it.
        ("funding", Span(day(2), day(3)), Span(day(2), day(3))),
        ("settlements", Span(day(2), day(3)), Span(day(1, 8), day(2, 8))),
        ("deliveries", Span(day(2, 8), day(3, 8)), Span(day(2, 8), day(3, 8))),
        ("funding_totals", Span(day(2) - timedelta(days=2), day(31)), Span(day(1), day(1))),
    ],
)
def test_a_selection_means_the_rows_that_are_labelled_in_it(
    name: str, selected: Span, steps: Span
) -> None:
    assert DATASETS[name].steps.selected(selected) == steps


def test_the_exchange_is_asked_for_the_first_and_the_last_minute_in_milliseconds() -> None:
    start_ms, end_ms = minutes_of(span(0, 5_000))
    assert start_ms == 1_704_067_200_000
    assert end_ms - start_ms == 4_999 * 60_000
