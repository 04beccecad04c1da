"""What changed between two batches, and which months of which instruments that can reach."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lake.spans import MINUTE, Span
from transforms.changes import REACH, Life, changed_coins, moved, reached

LISTED = datetime(2023, 1, 1, tzinfo=UTC)
MONTHS = {number: datetime(2024, number, 1, tzinfo=UTC) for number in range(1, 7)}
JANUARY, FEBRUARY, MARCH, APRIL = (MONTHS[number] for number in range(1, 5))


def life(base: str, expires_at: datetime | None = None) -> Life:
    return Life("future" if expires_at else "perpetual", base, LISTED, expires_at)


LIVES = {
    "BTC-PERPETUAL": life("BTC"),
    "BTC-26JAN24": life("BTC", datetime(2024, 1, 26, 8, tzinfo=UTC)),
    "BTC-29MAR24": life("BTC", datetime(2024, 3, 29, 8, tzinfo=UTC)),
    "ETH-29MAR24": life("ETH", datetime(2024, 3, 29, 8, tzinfo=UTC)),
}
HELD = {
    "BTC-PERPETUAL": (JANUARY, FEBRUARY, MARCH, APRIL),
    "BTC-26JAN24": (JANUARY,),
    "BTC-29MAR24": (JANUARY, FEBRUARY, MARCH),
    "ETH-29MAR24": (FEBRUARY, MARCH),
}
# All that is held of the coin.
BTC = {name: months for name, months in HELD.items() if name.startswith("BTC")}


def of(name: str, *minutes: datetime) -> dict[str, list[Span]]:
    """Candles of an instrument that came."""
    rows = [{"instrument": name, "ts": minute} for minute in minutes]
    return moved(pl.DataFrame(rows, schema_overrides={"ts": pl.Datetime("us", "UTC")}))


def in_month(*months: datetime) -> dict[str, tuple[datetime, ...]]:
    """The months that are held of the coin, of these."""
    held = {name: tuple(m for m in own if m in months) for name, own in BTC.items()}
    return {name: own for name, own in held.items() if own}


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ({}, {}),
        (of("BTC-26JAN24", JANUARY + timedelta(days=15)), in_month(JANUARY)),
        (of("BTC-PERPETUAL", FEBRUARY + timedelta(days=15)), in_month(FEBRUARY)),
        (of("ETH-29MAR24", MARCH + timedelta(days=15)), {"ETH-29MAR24": (MARCH,)}),
        (of("BTC-29MAR24", FEBRUARY), in_month(JANUARY, FEBRUARY)),
        (of("BTC-29MAR24", FEBRUARY - MINUTE), in_month(JANUARY, FEBRUARY)),
        (of("BTC-29MAR24", FEBRUARY + REACH), in_month(FEBRUARY)),
        (of("BTC-29MAR24", FEBRUARY + REACH - MINUTE), in_month(JANUARY, FEBRUARY)),
        (of("BTC-29MAR24", MARCH - REACH - MINUTE), in_month(FEBRUARY)),
        (of("BTC-29MAR24", MARCH - REACH), in_month(FEBRUARY, MARCH)),
        # What came in two months says nothing of the one between them.
        (
            of("BTC-PERPETUAL", JANUARY + timedelta(days=9), MARCH + timedelta(days=9)),
            in_month(JANUARY, MARCH),
        ),
        # A month that holds no row is not made.
        (of("BTC-PERPETUAL", MONTHS[6]), {}),
    ],
)
def test_a_build_makes_the_months_again_that_candles_can_reach(
    came: Mapping[str, list[Span]], expected: Mapping[str, tuple[datetime, ...]]
) -> None:
    assert reached(LIVES, HELD, changed_coins(LIVES, LIVES, came, HELD)) == expected


FUTURE = LIVES["ETH-29MAR24"]


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        (
            "BTC-26JAN24",
            replace(LIVES["BTC-26JAN24"], listed_at=JANUARY),
            in_month(JANUARY, FEBRUARY),
        ),
        ("BTC-PERPETUAL", replace(LIVES["BTC-PERPETUAL"], listed_at=JANUARY), BTC),
        ("ETH-29MAR24", replace(FUTURE, expires_at=MARCH), {"ETH-29MAR24": (FEBRUARY, MARCH)}),
        # Those of the coin that it was of were judged with it as well.
        (
            "ETH-29MAR24",
            replace(FUTURE, base="BTC"),
            {**BTC, "ETH-29MAR24": (FEBRUARY, MARCH)},
        ),
        (
            "BTC-29MAR24",
            replace(LIVES["BTC-29MAR24"], base="ETH"),
            {**in_month(JANUARY, FEBRUARY, MARCH, APRIL), "ETH-29MAR24": (FEBRUARY, MARCH)},
        ),
    ],
    ids=["listed later", "the perpetual's", "expires earlier", "now of the coin", "no more of it"],
)
def test_another_record_has_all_months_of_its_instrument_made_again_and_those_beside_them(
    name: str, now: Life, expected: Mapping[str, tuple[datetime, ...]]
) -> None:
    later = {**LIVES, name: now}
    assert reached(later, HELD, changed_coins(LIVES, later, {}, HELD)) == expected


@pytest.mark.parametrize(("is_new", "months"), [(True, (JANUARY, FEBRUARY)), (False, (JANUARY,))])
def test_an_instrument_that_one_of_two_batches_lacks_has_those_judged_beside_it_made_again(
    months: tuple[datetime, ...], *, is_new: bool
) -> None:
    """A build as of the older one has none of its rows, and reaches what they are known to; where
    they are held, all around their months.
    """
    name = "BTC-26JAN24"
    fewer = {n: life for n, life in LIVES.items() if n != name}
    came = of(name, JANUARY + timedelta(days=15))
    lives = LIVES if is_new else fewer
    held = {n: HELD[n] for n in lives}
    changed = changed_coins(fewer, LIVES, came, held)
    expected = {n: own for n, own in in_month(*months).items() if n in lives}
    assert reached(lives, held, changed) == expected


def test_what_came_is_a_span_for_each_month() -> None:
    found = of("A", JANUARY, FEBRUARY - MINUTE, FEBRUARY, MARCH + 3 * MINUTE)
    assert found == {
        "A": [
            Span(JANUARY, FEBRUARY),
            Span(FEBRUARY, FEBRUARY + MINUTE),
            Span(MARCH + 3 * MINUTE, MARCH + 4 * MINUTE),
        ]
    }
