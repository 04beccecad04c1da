"""The arithmetic of the basis, and the figures of quality and warnings."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.files.slices import by_month
from lake.tables import BASIS, CANDLES
from tests.lakes import candle
from transforms.basis import basis
from transforms.quality import period_figures, quality, warnings
from transforms.rules import WARNING_RULES

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FUTURE = "BTC-28JUN24"


def candles(closes: dict[int, float], start: datetime = START) -> pl.DataFrame:
    rows = [
        candle(FUTURE, start + n * MINUTE, close, volume=float(n % 2), traded=n % 2 == 1)
        for n, close in sorted(closes.items())
    ]
    return pl.DataFrame(rows, schema=CANDLES.polars_schema)


def expiring(closes: dict[int, float], expires_at: datetime) -> pl.DataFrame:
    return candles(closes).with_columns(expires_at=pl.lit(expires_at))


def test_the_contracts_own_example() -> None:
    ts = datetime(2025, 12, 30, 17, 31, tzinfo=UTC)
    shift = (ts - START) // MINUTE
    expires_at = datetime(2026, 6, 26, 8, tzinfo=UTC)
    row = basis(expiring({shift: 90447.5}, expires_at), candles({shift: 88537.0})).row(
        0, named=True
    )
    assert row["basis"] == 1910.5
    assert round(row["basis_pct"], 5) == 2.15785
    assert row["market_structure"] == "contango"
    assert row["days_to_expiry"] == pytest.approx(177.603472, abs=1e-6)
    assert row["annualised_pct"] == pytest.approx(2.15785 * 365 / 177.603472, rel=1e-5)


def test_nothing_is_annualised_in_the_last_hour() -> None:
    closes = dict.fromkeys(range(125), 100.0)
    rows = basis(expiring(closes, START + 125 * MINUTE), candles(closes))
    assert rows["annualised_pct"].is_null().to_list() == [False] * 65 + [True] * 60
    assert rows["market_structure"].unique().to_list() == ["flat"]


def test_a_minute_without_its_perpetual_has_no_row_and_nothing_is_carried() -> None:
    futures = expiring({0: 5.0, 1: 6.0, 3: 7.0}, START + 999 * MINUTE)
    rows = basis(futures, candles({0: 5.0, 2: 9.0, 3: 8.0}))
    assert rows["ts"].to_list() == [START, START + 3 * MINUTE]
    assert rows["market_structure"].to_list() == ["flat", "backwardation"]
    assert rows["future_traded"].to_list() == [False, True]


prices = st.floats(min_value=1e-9, max_value=1e9)


@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=50))
def test_the_formulas_hold_for_any_prices(pairs: list[tuple[float, float]]) -> None:
    expires_at = START + timedelta(days=30, seconds=7)
    futures = expiring({i: future for i, (future, _) in enumerate(pairs)}, expires_at)
    perpetual = candles({i: price for i, (_, price) in enumerate(pairs)})
    rows = BASIS.cast(basis(futures, perpetual))
    for row, (future, price) in zip(rows.iter_rows(named=True), pairs, strict=True):
        assert row["basis"] == future - price
        assert row["basis_pct"] == (future - price) / price * 100
        left = expires_at - row["ts"]
        assert row["days_to_expiry"] == left / timedelta(days=1)
        assert row["annualised_pct"] == row["basis_pct"] * 365 / row["days_to_expiry"]
        sign = (future > price) - (future < price)
        assert row["market_structure"] == ("flat", "contango", "backwardation")[sign]


@given(
    minutes=st.sets(st.integers(0, 200), min_size=1),
    beyond=st.integers(0, 50),
    border=st.integers(0, 200),
)
def test_quality_counts_gaps_as_one_would_by_hand(
    minutes: set[int], beyond: int, border: int
) -> None:
    """Whatever month each of them is in; a gap may go on for months."""
    first, end = min(minutes), max(minutes) + 1 + beyond
    start = datetime(2024, 3, 1, tzinfo=UTC) - border * MINUTE
    raw = candles(dict.fromkeys(minutes, 1.0), start=start)
    periods = of_periods(raw)
    until = {FUTURE: start + end * MINUTE}
    row = quality(periods, until, {FUTURE: 3}).row(0, named=True)
    absent = [m not in minutes for m in range(first, end)]
    runs = [len(run) for run in "".join("x" if a else " " for a in absent).split()]
    assert row["rows"] == len(minutes)
    assert (row["first_ts"], row["last_ts"]) == (raw["ts"][0], raw["ts"][-1])
    assert row["expected_minutes"] == end - first
    assert row["missing_minutes"] == sum(absent)
    assert (row["gaps"], row["gaps_over_10m"]) == (len(runs), sum(r > 10 for r in runs))
    assert row["longest_gap_minutes"] == max(runs, default=0)
    assert (row["duplicates"], row["quarantined"]) == (3, 0)
    assert row["untraded_minutes"] == sum(m % 2 == 0 for m in minutes)


def of_periods(raw: pl.DataFrame) -> pl.DataFrame:
    """The rows of `months` of candles that are all sound, of all months at once or each alone."""
    together = period_figures(raw, raw, raw.clear())
    alone = [
        period_figures(own, own, raw.join(own, on="ts", how="anti")) for _, own in by_month(raw)
    ]
    assert pl.concat(alone).equals(together)
    return together


def test_a_gap_of_whole_months_is_one_gap() -> None:
    raw = pl.concat([candles({0: 1.0}), candles({0: 1.0}, start=START + timedelta(days=100))])
    row = quality(of_periods(raw), {}, {}).row(0, named=True)
    missing = 100 * 1440 - 1
    assert (row["missing_minutes"], row["gaps"], row["longest_gap_minutes"]) == (
        missing,
        1,
        missing,
    )


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), st.integers(0, 40))
def test_warnings_of_periods_are_those_of_all_their_candles(closes: list[int], border: int) -> None:
    """An untraded move is one as well where the minute before it is of another month."""
    start = datetime(2024, 3, 1, tzinfo=UTC) - border * MINUTE
    rows = candles({i: float(close) for i, close in enumerate(closes)}, start=start)
    counts = rows.select(rule.broken.sum().alias(rule.name) for rule in WARNING_RULES)
    expected = {(FUTURE, rule, n) for rule, n in counts.row(0, named=True).items() if n}
    assert set(warnings(of_periods(rows)).iter_rows()) == expected
