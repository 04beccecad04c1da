"""The views of full hours and days."""

import tempfile
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.time.intervals import MINUTE
from tests.lakes import answer, basis_row, candle, instrument, lake_of
from tests.profiles import examples
from tests.strategies import T0, minute

EXPIRY = T0 + timedelta(days=2)
SOON, LATE = "BTC-3JAN24", "BTC-12JAN24"
FUTURES = [instrument(SOON, EXPIRY), instrument(LATE, EXPIRY + timedelta(days=9))]


def test_a_day_starts_at_eight(tmp_path: Path) -> None:
    eight = T0 + timedelta(hours=8)
    rows = [
        candle(LATE, eight - MINUTE, 5.0, suspect=True),
        candle(LATE, eight, 6.0, high=9.0, volume=0.5, cost=3.0, traded=True),
        candle(LATE, eight + timedelta(hours=24) - MINUTE, 7.0, low=2.0, volume=1.5, cost=9.0),
    ]
    lake = lake_of(tmp_path, instruments=FUTURES, candles=rows)
    yesterday = eight - timedelta(days=1)
    assert answer(lake, "FROM candles_daily ORDER BY ts") == [
        (LATE, yesterday, 5.0, 5.0, 5.0, 5.0, 0.0, 0.0, 1, 0, 1),
        (LATE, eight, 6.0, 9.0, 2.0, 7.0, 2.0, 12.0, 2, 1, 0),
    ]


def test_the_last_annualised_basis_of_a_life_is_from_before_the_final_hour(tmp_path: Path) -> None:
    times = [EXPIRY - timedelta(minutes=left) for left in (62, 61, 60, 1)]
    rows = [basis_row(SOON, ts, EXPIRY, i * 1.0) for i, ts in enumerate(times)]
    lake = lake_of(tmp_path, instruments=FUTURES, basis=rows)
    ((*figures, annualised, minutes, traded, suspect),) = answer(
        lake, "SELECT * EXCLUDE (instrument, ts) FROM basis_daily"
    )
    assert figures == [0.0, 3.0, 1.5, 0.0, 3.0]
    assert annualised == rows[1]["annualised_pct"]
    assert (minutes, traded, suspect) == (4, 4, 0)


prices = st.floats(1e-3, 1e6)


periods = pytest.mark.parametrize(
    ("period", "length"), [("hourly", timedelta(hours=1)), ("daily", timedelta(days=1))]
)


def start_of(ts: datetime, length: timedelta) -> datetime:
    eight = T0 - timedelta(hours=16)
    return eight + (ts - eight) // length * length


@periods
@examples(20)
@given(held=st.dictionaries(st.integers(0, 3_000), st.tuples(prices, prices, st.booleans())))
def test_rolled_up_candles_are_as_one_would_work_them_out(
    period: str, length: timedelta, held: dict[int, tuple[float, float, bool]]
) -> None:
    rows = [
        candle(
            SOON, minute(m), b, open=a, high=max(a, b), low=min(a, b), volume=a, cost=b, traded=t
        )
        for m, (a, b, t) in sorted(held.items())
    ]
    expected = [
        (
            SOON,
            ts,
            group[0]["open"],
            max(row["high"] for row in group),
            min(row["low"] for row in group),
            group[-1]["close"],
            pytest.approx(sum(row["volume"] for row in group)),
            pytest.approx(sum(row["cost"] for row in group)),
            len(group),
            sum(row["traded"] for row in group),
            0,
        )
        for ts, found in groupby(rows, lambda row: start_of(row["ts"], length))
        if (group := list(found))
    ]
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_of(Path(folder), candles=rows)
        assert answer(lake, f"FROM candles_{period} ORDER BY ts") == expected


@periods
@examples(20)
@given(
    held=st.dictionaries(
        st.integers(0, 2_879), st.tuples(st.floats(-50, 50), st.booleans(), st.booleans())
    )
)
def test_the_rolled_up_basis_is_as_one_would_work_it_out(
    period: str, length: timedelta, held: dict[int, tuple[float, bool, bool]]
) -> None:
    rows = [
        basis_row(SOON, minute(m), EXPIRY, pct, future_traded=traded, suspect=suspect)
        for m, (pct, traded, suspect) in sorted(held.items())
    ]
    expected = []
    for ts, found in groupby(rows, lambda row: start_of(row["ts"], length)):
        group = list(found)
        pcts = [row["basis_pct"] for row in group]
        annualised = [r["annualised_pct"] for r in group if r["annualised_pct"] is not None]
        mean = pytest.approx(sum(pcts) / len(pcts), abs=1e-12)
        last = annualised[-1] if annualised else None
        figures = (pcts[0], pcts[-1], mean, min(pcts), max(pcts), last, len(group))
        counts = (sum(r["future_traded"] for r in group), sum(r["suspect"] for r in group))
        expected.append((SOON, ts, *figures, *counts))
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_of(Path(folder), basis=rows)
        assert answer(lake, f"FROM basis_{period} ORDER BY ts") == expected


@pytest.mark.slow
def test_the_roll_ups_of_a_built_lake_lose_no_minute(gapped: Lake) -> None:
    for table in ("candles", "basis"):
        for period in ("hourly", "daily"):
            rolled = f"SELECT instrument, sum(minutes) AS n FROM {table}_{period} GROUP BY 1"
            plain = f"SELECT instrument, count(*) AS n FROM {table} GROUP BY 1"
            assert answer(gapped, f"{rolled} ORDER BY 1") == answer(gapped, f"{plain} ORDER BY 1")
    whole = gapped.sql("FROM candles_daily WHERE instrument = 'BTC-PERPETUAL' ORDER BY ts")
    assert all(b - a == timedelta(days=1) for a, b in pairwise(whole["ts"]))


@pytest.mark.parametrize("kind", ["candles", "basis"])
@pytest.mark.parametrize("period", ["hourly", "daily"])
def test_roll_ups_come_by_instrument_and_time(market_lake: Lake, kind: str, period: str) -> None:
    found = market_lake.sql(f"SELECT instrument, ts FROM {kind}_{period}")
    assert found.height > 10
    assert found.rows() == sorted(found.rows())
