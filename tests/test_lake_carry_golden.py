"""The golden figures of a recorded curve, to the last recorded digit."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake import Lake
from tests.carrying import PERPETUAL, paid, settlement
from tests.lakes import Row, basis_row, candle, instrument, lake_of

CARRY = Path(__file__).parents[2] / "shared" / "recordings" / "carry"
INDEX = 80815.88
# By name: percent of the index, simple, compounded and continuous a year, simple against the
# perpetual.
CONTRACTS = {
    "BTC-25SEP26": (0.073562, 6.0387, 6.2224, 6.0365, 4.4441),
    "BTC-25DEC26": (1.397411, 5.3439, 5.4502, 5.3069, 5.2686),
    "BTC-26MAR27": (2.621378, 5.1318, 5.1962, 5.0657, 5.0928),
}
# The curve was recorded at 21:17:16.004. Here it is that of the last minute before 08:00, and the
# expiries are moved by as much.
RECORDED_MS = 1789939036004
DAY = datetime(2026, 9, 21, 8, tzinfo=UTC)
LAST = DAY - timedelta(minutes=1)

pytestmark = pytest.mark.skipif(
    not CARRY.exists(), reason="the recordings are not kept in this repository"
)


def recorded(name: str) -> Any:  # noqa: ANN401  (what a file of JSON holds)
    content = json.loads((CARRY / name).read_text())
    return content["result"] if isinstance(content, dict) and "result" in content else content


@pytest.fixture(scope="module")
def curve() -> dict[str, Row]:
    """The recorded futures with their time left, and the perpetual."""
    records = recorded("get_instruments_BTC_future_2026-09-20.json")
    ends_ms = {row["instrument_name"]: row["expiration_timestamp"] for row in records}
    rows = recorded("get_book_summary_by_currency_BTC_future_2026-09-20.json")
    return {
        row["instrument_name"]: row
        | {"left": timedelta(milliseconds=ends_ms[row["instrument_name"]] - RECORDED_MS)}
        for row in rows
    }


@pytest.fixture(scope="module")
def lake(curve: dict[str, Row], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_with(tmp_path_factory.mktemp("golden"), curve)


def lake_with(folder: Path, curve: dict[str, Row]) -> Lake:
    """A lake of the curve. In `basis` the index takes the perpetual's place, as it does in the
    figures of the whole curve.
    """
    left = {name: row["left"] for name, row in curve.items() if name != PERPETUAL}
    known = [instrument(name, DAY + left[name]) for name in left]
    percent = {name: (curve[name]["mark_price"] / INDEX - 1) * 100 for name in left}
    days = {name: left[name] / timedelta(days=1) for name in left}
    return lake_of(
        folder,
        instruments=[instrument(PERPETUAL), *known],
        candles=[candle(name, LAST, row["mark_price"]) for name, row in curve.items()],
        funding=[paid(DAY, INDEX, 0.0)],
        basis=[
            basis_row(
                name, LAST, DAY, percent[name], days_to_expiry=days[name],
                annualised_pct=percent[name] * 365 / days[name],
            )
            for name in left
        ],
        settlements=[
            settlement(name, DAY, INDEX, position=float(row["open_interest"]))
            for name, row in curve.items()
        ],
    )  # fmt: skip


def test_the_three_rates_against_the_index_and_the_one_against_the_perpetual(
    lake: Lake, curve: dict[str, Row]
) -> None:
    query = """
        SELECT instrument, round(basis_pct, 6), round(apr_pct, 4), round(apy_pct, 4),
               round(log_pct, 4),
        FROM index_basis
    """
    found = {name: figures for name, *figures in lake.sql(query).rows()}
    assert len(found) == 12
    at = {row["instrument"]: row for row in lake.sql(f"FROM carry_at('{LAST}')").to_dicts()}
    for name, (*against_index, against_perpetual) in CONTRACTS.items():
        assert found[name] == against_index
        days = curve[name]["left"] / timedelta(days=1)
        # `carry_at` counts the days from the open of the minute.
        rate = at[name]["perpetual_apr_pct"] * at[name]["days_to_expiry"] / days
        assert round(rate, 4) == against_perpetual
        assert at[name]["index_basis_pct"] == pytest.approx(against_index[0], abs=5e-7)


@pytest.mark.parametrize(
    ("method", "at_90_days"),
    [("linear", 5.325135), ("forward", 5.329835), ("nearest", 5.343893)],
)
def test_the_basis_at_90_days_by_three_methods(lake: Lake, method: str, at_90_days: float) -> None:
    call = f"constant_maturity_by(60, '{method}', 'index')"
    (found,) = lake.sql(f"SELECT round(annualised_pct, 6) FROM {call} WHERE days = 90").rows()
    assert found == (at_90_days,)


def test_the_mean_of_a_week_and_more_by_open_interest(lake: Lake) -> None:
    query = "SELECT round(by_open_interest_pct, 6), futures FROM weighted_basis_daily(7)"
    assert lake.sql(query).rows() == [(5.291793, 7)]


def test_the_premium_of_the_perpetual(lake: Lake) -> None:
    query = "SELECT close, index_price, round(premium_pct, 9) FROM perpetual_premium"
    assert lake.sql(query).rows() == [(80831.57, INDEX, 0.019414501)]


def test_the_spread_between_two_quarterlies(curve: dict[str, Row], tmp_path: Path) -> None:
    two = {name: curve[name] for name in ("BTC-25SEP26", "BTC-25DEC26")}
    figures = "front, back, round(spread, 2), round(forward_pct, 6)"
    found = lake_with(tmp_path, two).sql(f"SELECT {figures} FROM calendar_spreads('{LAST}')")
    assert found.rows() == [(*two, 1069.88, 5.306039)]


def test_the_recorded_hours_of_funding_add_up(tmp_path: Path) -> None:
    rows = recorded("get_funding_rate_history_BTC-PERPETUAL_2026-09-20.json")
    hours = [
        {
            "instrument": PERPETUAL,
            "hour_end": datetime.fromtimestamp(row["timestamp"] / 1000, UTC),
            **{name: row[name] for name in row if name != "timestamp"},
        }
        for row in rows
    ]
    lake = lake_of(tmp_path, instruments=[instrument(PERPETUAL)], funding=hours)
    query = "SELECT hours, missing_hours, sum_interest_1h FROM funding_monthly"
    assert lake.sql(query).rows() == [(24, 0, 2.160401415896643e-4)]
