"""Changes between two batches, and the periods of instruments that they can affect."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.time.intervals import MINUTE, Span
from transforms.periods import period_of, period_of_rows, period_span, periods_in
from transforms.staleness import AFTER, BEFORE, Life, changed_coins, moved, reached

LISTED = datetime(2023, 1, 1, tzinfo=UTC)
# Of periods, the first instants; and of the time around them.
EIGHTH, FIRST, SECOND, THIRD, FOURTH = PERIODS = (
    datetime(2024, 1, 25, tzinfo=UTC),
    *(datetime(2024, 2, day, tzinfo=UTC) for day in (1, 5, 9, 13)),
)
HALF = timedelta(days=2)


def life(base: str, expires_at: datetime | None = None) -> Life:
    return Life("future" if expires_at else "perpetual", base, LISTED, expires_at)


LIVES = {
    "BTC-PERPETUAL": life("BTC"),
    "BTC-2FEB24": life("BTC", datetime(2024, 2, 2, 8, tzinfo=UTC)),
    "BTC-9FEB24": life("BTC", datetime(2024, 2, 9, 8, tzinfo=UTC)),
    "ETH-9FEB24": life("ETH", datetime(2024, 2, 9, 8, tzinfo=UTC)),
}
HELD = {
    "BTC-PERPETUAL": Span(EIGHTH, FOURTH + HALF),
    "BTC-2FEB24": Span(FIRST, FIRST + HALF),
    "BTC-9FEB24": Span(EIGHTH + HALF, THIRD + MINUTE),
    "ETH-9FEB24": Span(SECOND, THIRD + MINUTE),
}


def of(name: str, *minutes: datetime) -> dict[str, list[Span]]:
    """Candles of an instrument that came."""
    rows = [{"instrument": name, "ts": minute} for minute in minutes]
    return moved(pl.DataFrame(rows, schema_overrides={"ts": pl.Datetime("us", "UTC")}))


def periods(*wanted: datetime) -> dict[str, tuple[datetime, ...]]:
    """The stored periods of the coin, from these."""
    held = {
        name: tuple(p for p in wanted if period_span(p).meets(own))
        for name, own in HELD.items()
        if name.startswith("BTC")
    }
    return {name: own for name, own in held.items() if own}


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ({}, {}),
        (of("BTC-2FEB24", FIRST + timedelta(days=1)), periods(FIRST)),
        (of("ETH-9FEB24", SECOND + timedelta(days=1)), {"ETH-9FEB24": (SECOND,)}),
        (of("BTC-PERPETUAL", SECOND + timedelta(days=1)), periods(SECOND)),
        (of("BTC-9FEB24", SECOND + BEFORE), periods(SECOND)),
        (of("BTC-9FEB24", SECOND + BEFORE - MINUTE), periods(FIRST, SECOND)),
        (of("BTC-9FEB24", THIRD - AFTER - MINUTE), periods(SECOND)),
        (of("BTC-9FEB24", THIRD - AFTER), periods(SECOND, THIRD)),
        # What came in two periods says nothing of the one between them.
        (
            of("BTC-PERPETUAL", FIRST + timedelta(days=1), THIRD + timedelta(days=1)),
            periods(FIRST, THIRD),
        ),
        # A period that holds no row is not made.
        (of("BTC-PERPETUAL", FOURTH + timedelta(days=20)), {}),
    ],
)
def test_a_build_makes_the_periods_again_that_candles_can_reach(
    came: Mapping[str, list[Span]], expected: Mapping[str, tuple[datetime, ...]]
) -> None:
    assert reached(LIVES, HELD, changed_coins(LIVES, LIVES, came, HELD)) == expected


FUTURE = LIVES["ETH-9FEB24"]
OF_ETH = {"ETH-9FEB24": (SECOND, THIRD)}
# Of the future that has other candles than before, and as far as that reaches.
NEAR = periods(EIGHTH, FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        (
            "BTC-2FEB24",
            replace(LIVES["BTC-2FEB24"], listed_at=FIRST),
            periods(EIGHTH, FIRST, SECOND),
        ),
        ("BTC-PERPETUAL", replace(LIVES["BTC-PERPETUAL"], listed_at=FIRST), periods(*PERIODS)),
        ("ETH-9FEB24", replace(FUTURE, expires_at=SECOND), OF_ETH),
        # Those of the coin that it was of were judged with it as well.
        ("ETH-9FEB24", replace(FUTURE, base="BTC"), {**periods(FIRST, SECOND, THIRD), **OF_ETH}),
        ("BTC-9FEB24", replace(LIVES["BTC-9FEB24"], base="ETH"), {**NEAR, **OF_ETH}),
    ],
    ids=["listed later", "the perpetual's", "expires earlier", "now of the coin", "no more of it"],
)
def test_another_record_has_all_of_its_instrument_made_again_and_what_is_beside_it(
    name: str, now: Life, expected: Mapping[str, tuple[datetime, ...]]
) -> None:
    later = {**LIVES, name: now}
    assert reached(later, HELD, changed_coins(LIVES, later, {}, HELD)) == expected


@pytest.mark.parametrize(("is_new", "wanted"), [(True, (EIGHTH, FIRST, SECOND)), (False, (FIRST,))])
def test_an_instrument_that_one_of_two_batches_lacks_has_those_judged_beside_it_made_again(
    wanted: tuple[datetime, ...], *, is_new: bool
) -> None:
    """A build as of the older one has none of its rows, and affects the known rows of others;
    where rows are stored, all periods around them.
    """
    name = "BTC-2FEB24"
    fewer = {n: life for n, life in LIVES.items() if n != name}
    came = of(name, FIRST + timedelta(days=1))
    lives = LIVES if is_new else fewer
    held = {n: HELD[n] for n in lives}
    changed = changed_coins(fewer, LIVES, came, held)
    expected = {n: own for n, own in periods(*wanted).items() if n in lives}
    assert reached(lives, held, changed) == expected


def test_what_came_is_a_span_for_each_period() -> None:
    found = of("A", FIRST, SECOND - MINUTE, SECOND, THIRD + 3 * MINUTE)
    assert found == {
        "A": [
            Span(FIRST, SECOND),
            Span(SECOND, SECOND + MINUTE),
            Span(THIRD + 3 * MINUTE, THIRD + 4 * MINUTE),
        ]
    }


@given(
    start=st.datetimes(datetime(2016, 1, 1), datetime(2032, 1, 1)),  # noqa: DTZ001
    minutes=st.integers(1, 200_000),
)
def test_every_minute_is_in_one_period_of_its_month(start: datetime, minutes: int) -> None:
    start = start.replace(second=0, microsecond=0, tzinfo=UTC)
    span = Span(start, start + minutes * MINUTE)
    found = [period_span(period) for period in periods_in(span)]
    assert found[0].start <= span.start
    assert found[-1].end >= span.end
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
    for period in found:
        last = period.end - MINUTE
        assert (period.start.year, period.start.month) == (last.year, last.month)
        assert timedelta(days=4) <= period.end - period.start <= timedelta(days=7)
        rows = pl.DataFrame({"ts": [period.start, last]}).select(period_of_rows())
        assert rows.to_series().to_list() == [period.start] * 2 == [period_of(last)] * 2
