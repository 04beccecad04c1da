"""The arithmetic of the basis, the quality figures, and what makes a partition stale."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.files import DataFile
from lake.pieces import expand
from lake.tables import BASIS, CANDLES
from transforms.basis import basis
from transforms.inputs import Inputs, Source, stale
from transforms.quality import quality

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def candles(closes: dict[int, float], name: str = "BTC-28JUN24") -> pl.DataFrame:
    rows = [
        {
            "instrument": name,
            "ts": START + minute * MINUTE,
            **dict.fromkeys(("open", "high", "low", "close"), close),
            "volume": float(minute % 2),
            "cost": 0.0,
            "traded": minute % 2 == 1,
            "suspect": False,
        }
        for minute, close in sorted(closes.items())
    ]
    return pl.DataFrame(rows, schema=CANDLES.polars_schema)


def test_the_contracts_own_example() -> None:
    ts = datetime(2025, 12, 30, 17, 31, tzinfo=UTC)
    shift = (ts - START) // MINUTE
    expires_at = datetime(2026, 6, 26, 8, tzinfo=UTC)
    row = basis(candles({shift: 90447.5}), candles({shift: 88537.0}), expires_at).row(0, named=True)
    assert row["basis"] == 1910.5
    assert round(row["basis_pct"], 5) == 2.15785
    assert row["market_structure"] == "contango"
    assert row["days_to_expiry"] == pytest.approx(177.603472, abs=1e-6)
    assert row["annualised_pct"] == pytest.approx(2.15785 * 365 / 177.603472, rel=1e-5)


def test_nothing_is_annualised_in_the_last_hour() -> None:
    closes = dict.fromkeys(range(125), 100.0)
    rows = basis(candles(closes), candles(closes), START + 125 * MINUTE)
    assert rows["annualised_pct"].is_null().to_list() == [False] * 65 + [True] * 60
    assert rows["market_structure"].unique().to_list() == ["flat"]


def test_a_minute_without_its_perpetual_has_no_row_and_nothing_is_carried() -> None:
    rows = basis(
        candles({0: 5.0, 1: 6.0, 3: 7.0}), candles({0: 5.0, 2: 9.0, 3: 8.0}), START + 999 * MINUTE
    )
    assert rows["ts"].to_list() == [START, START + 3 * MINUTE]
    assert rows["market_structure"].to_list() == ["flat", "backwardation"]
    assert rows["future_traded"].to_list() == [False, True]


prices = st.floats(min_value=1e-9, max_value=1e9)


@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=50))
def test_the_formulas_hold_for_any_prices(pairs: list[tuple[float, float]]) -> None:
    expires_at = START + timedelta(days=30, seconds=7)
    futures = candles({i: future for i, (future, _) in enumerate(pairs)})
    perpetual = candles({i: price for i, (_, price) in enumerate(pairs)})
    rows = BASIS.cast(basis(futures, perpetual, expires_at))
    for row, (future, price) in zip(rows.iter_rows(named=True), pairs, strict=True):
        assert row["basis"] == future - price
        assert row["basis_pct"] == (future - price) / price * 100
        left = expires_at - row["ts"]
        assert row["days_to_expiry"] == left / timedelta(days=1)
        assert row["annualised_pct"] == row["basis_pct"] * 365 / row["days_to_expiry"]
        sign = (future > price) - (future < price)
        assert row["market_structure"] == ("flat", "contango", "backwardation")[sign]


@given(st.sets(st.integers(0, 200), min_size=1), st.integers(0, 50))
def test_quality_counts_gaps_as_one_would_by_hand(minutes: set[int], beyond: int) -> None:
    first, end = min(minutes), max(minutes) + 1 + beyond
    raw = candles(dict.fromkeys(minutes, 1.0))
    row = quality(raw, raw, START + end * MINUTE, 3).row(0, named=True)
    absent = [m not in minutes for m in range(first, end)]
    runs = [len(run) for run in "".join("x" if a else " " for a in absent).split()]
    assert row["rows"] == len(minutes)
    assert row["expected_minutes"] == end - first
    assert row["missing_minutes"] == sum(absent)
    assert (row["gaps"], row["gaps_over_10m"]) == (len(runs), sum(r > 10 for r in runs))
    assert row["longest_gap_minutes"] == max(runs, default=0)
    assert (row["duplicates"], row["quarantined"]) == (3, 0)
    assert row["untraded_minutes"] == sum(m % 2 == 0 for m in minutes)


def file(path: str, first: int, last: int) -> DataFile:
    return DataFile(path, None, 1, 1, START + first * MINUTE, START + last * MINUTE)


def source(kind: str, *files: DataFile, base: str = "BTC") -> Source:
    return Source(kind, base, START, None, files, expand(files, {}), START + 1000 * MINUTE)


# Further than a change reaches, in minutes.
LONG = 20_000
BEFORE = {
    "BTC-PERPETUAL": source("perpetual", file("p", 0, LONG)),
    "BTC-1JAN24": source("future", file("early", 0, 99)),
    "BTC-2JAN24": source("future", file("late", LONG - 99, LONG)),
    "ETH-2JAN24": source("future", file("eth", LONG - 99, LONG), base="ETH"),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"BTC-1JAN24": source("future", file("other", 0, 99))}, {"BTC-PERPETUAL", "BTC-1JAN24"}),
        (
            {"BTC-2JAN24": replace(BEFORE["BTC-2JAN24"], asked_until=START)},
            {"BTC-2JAN24"},
        ),
        (
            {"BTC-PERPETUAL": source("perpetual", file("p", 0, LONG), file("q", LONG, LONG))},
            {"BTC-PERPETUAL", "BTC-2JAN24"},
        ),
        (
            {"BTC-PERPETUAL": source("perpetual", file("p", 0, LONG), file("q", 9_000, 9_000))},
            {"BTC-PERPETUAL"},
        ),
        (
            {"BTC-PERPETUAL": source("perpetual", file("p", 0, LONG), file("q", 100, 120))},
            {"BTC-PERPETUAL", "BTC-1JAN24"},
        ),
        (
            {"BTC-PERPETUAL": replace(BEFORE["BTC-PERPETUAL"], listed_at=START + MINUTE)},
            {"BTC-PERPETUAL", "BTC-1JAN24", "BTC-2JAN24"},
        ),
        (
            {"BTC-3JAN24": source("future", file("new", 9_000, LONG))},
            {"BTC-PERPETUAL", "BTC-3JAN24", "BTC-2JAN24"},
        ),
        (
            {"ETH-2JAN24": replace(BEFORE["ETH-2JAN24"], expires_at=START)},
            {"ETH-2JAN24"},
        ),
        (
            {"BTC-2JAN24": replace(BEFORE["BTC-2JAN24"], base="ETH")},
            {"BTC-PERPETUAL", "BTC-2JAN24", "ETH-2JAN24"},
        ),
    ],
)
def test_only_what_its_sources_change_for_is_made_anew(
    change: dict[str, Source], expected: set[str]
) -> None:
    assert stale(Inputs({}, BEFORE), Inputs({}, {**BEFORE, **change})) == expected


def test_all_is_made_anew_where_nothing_is_known_of_before() -> None:
    assert stale(None, Inputs({}, BEFORE)) == set(BEFORE)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ("BTC-PERPETUAL", {"BTC-1JAN24", "BTC-2JAN24"}),
        ("BTC-1JAN24", {"BTC-PERPETUAL"}),
        ("ETH-2JAN24", set()),
    ],
)
def test_what_is_gone_makes_those_anew_that_were_judged_beside_it(
    lost: str, expected: set[str]
) -> None:
    left = {name: source for name, source in BEFORE.items() if name != lost}
    assert stale(Inputs({}, BEFORE), Inputs({}, left)) == expected
