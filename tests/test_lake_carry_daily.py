"""Views of carry by the day: trailing funding, open interest, and the basis weighted by them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lake import Lake
from tests.carrying import paid, settlement
from tests.lakes import Row, basis_row, candle, instrument, lake_of
from tests.profiles import examples
from tests.test_lake_carry import DAY, END, HOUR, MINUTE, PERPETUAL, START, close_to

# Where the funding of 30 days is stored, each hour of a week paid 2e-6 and each before it 1e-6.
WEEK, RATE = 7 * 24, 1e-6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with funding of 30 days, and the curve of one morning at two expiries."""
    expiries = {"BTC-NEAR": END + 5 * DAY, "BTC-FAR": END + 50 * DAY}
    closes = {PERPETUAL: 100.0, "BTC-NEAR": 101.0, "BTC-FAR": 103.0}
    traded = {"BTC-NEAR": (30.0, 10.0), "BTC-FAR": (60.0, 0.0)}
    return lake_of(
        tmp_path_factory.mktemp("whole"),
        instruments=[instrument(PERPETUAL), *(instrument(*pair) for pair in expiries.items())],
        candles=[
            *(candle(name, END - MINUTE, close) for name, close in closes.items()),
            # The day before END, of which the last minute is another candle, and one before it.
            *(
                candle(name, END - ago, 1.0, cost=cost)
                for name, costs in traded.items()
                for ago, cost in zip((2 * MINUTE, DAY), costs, strict=True)
            ),
            *(candle(name, END - DAY - MINUTE, 1.0, cost=9e9) for name in traded),
        ],
        basis=[
            basis_row(name, END - MINUTE, expiries[name], closes[name] - 100) for name in expiries
        ],
        funding=[
            paid(END - n * HOUR, 100.0, RATE * (2 if n < WEEK else 1)) for n in range(30 * 24)
        ],
        settlements=[
            settlement("BTC-NEAR", END, 1.0, position=25.0),
            settlement("BTC-FAR", END, 1.0, position=75.0),
            settlement("BTC-FAR", END - DAY, 1.0, position=7.0),
            settlement("BTC-OLD", END, 1.0, position=99.0, type="delivery"),
        ],
    )


def test_trailing_funding_is_annualised_and_taken_from_the_basis(whole: Lake) -> None:
    (row, far) = whole.sql(f"FROM carry_at('{END - MINUTE}')").to_dicts()
    week = 2 * RATE * 8760 * 100
    month = (RATE * 2 * WEEK + RATE * (720 - WEEK)) * 8760 / 720 * 100
    assert (row["funding_7d_pct"], row["funding_30d_pct"]) == (close_to(week), close_to(month))
    assert row["less_funding_7d_pct"] == close_to(row["perpetual_apr_pct"] - week)
    assert row["less_funding_30d_pct"] == close_to(row["perpetual_apr_pct"] - month)
    # The settlement of this very 08:00 was sent after the end of the minute.
    assert (row["open_interest"], row["reason"]) == (None, "no settlement in the 24 hours before")
    assert (far["open_interest"], far["reason"]) == (7.0, None)
    # The figures of the day are the same, and its open interest is that of this settlement.
    days = {row["instrument"]: row for row in whole.sql("FROM carry_daily").to_dicts()
            if row["ts"] == END}  # fmt: skip
    for at, day, position in ((row, days["BTC-NEAR"], 25.0), (far, days["BTC-FAR"], 75.0)):
        assert (day["open_interest"], day["reason"]) == (position, None)
        others = set(day) - {"ts", "open_interest", "reason"}
        assert {n: day[n] for n in others} == {
            n: close_to(at[n]) if "funding" in n else at[n] for n in others
        }


def test_the_basis_of_a_day_is_weighted_three_ways(whole: Lake) -> None:
    basis = whole.sql("SELECT instrument, annualised_pct FROM basis").rows()
    rates = dict(basis)
    (row,) = whole.sql("FROM weighted_basis_daily(1)").to_dicts()
    near, far = rates["BTC-NEAR"], rates["BTC-FAR"]
    assert row["ts"] == END
    assert row["equally_pct"] == close_to((near + far) / 2)
    assert row["by_open_interest_pct"] == close_to(0.25 * near + 0.75 * far)
    assert row["by_cost_pct"] == close_to(0.4 * near + 0.6 * far)
    assert (row["open_interest"], row["cost"]) == (100.0, 100.0)
    (row,) = whole.sql("FROM weighted_basis_daily(7)").to_dicts()
    assert (row["futures"], row["by_open_interest_pct"]) == (1, close_to(far))
    assert whole.sql("SELECT instrument, open_interest FROM open_interest_daily").rows() == [
        ("BTC-FAR", 7.0), ("BTC-FAR", 75.0), ("BTC-NEAR", 25.0),
    ]  # fmt: skip


def test_without_an_open_interest_there_is_no_mean_weighted_by_it(tmp_path: Path) -> None:
    quotes = [("BTC-A", 1.0), ("BTC-B", 2.0)]
    lake = lake_of(
        tmp_path,
        instruments=[instrument(name, END + 9 * DAY) for name, _ in quotes],
        basis=[basis_row(name, END - MINUTE, END + 9 * DAY, pct) for name, pct in quotes],
    )
    (row,) = lake.sql("FROM weighted_basis_daily(7)").to_dicts()
    assert (row["by_open_interest_pct"], row["without_open_interest"]) == (None, 2)
    assert (row["by_cost_pct"], row["cost"], row["open_interest"]) == (None, 0.0, None)
    assert row["equally_pct"] is not None


_RATES = st.lists(
    st.tuples(st.floats(-50, 50), st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=4
)


@examples(3)
@example([[(5.0, 1.0, 0.0), (5.0, 3.0, 0.0)], [(5.0, 0.0, 2.0), (7.0, 0.0, 1e-9)]])
@given(st.lists(_RATES, min_size=1, max_size=5))
def test_weights_of_the_basis_of_a_day_sum_to_one(
    days: list[list[tuple[float, float, float]]],
) -> None:
    """A mean of one rate is that rate, so a mean of rates moved by 1 is moved by 1 as well."""
    rows: dict[str, list[Row]] = {n: [] for n in ("basis", "candles", "settlements", "instruments")}
    expiry = END + 99 * DAY
    # The rates of two coins differ by 1, and their weights do not.
    for coin, more in (("BTC", 0.0), ("ETH", 1.0)):
        names = [f"{coin}-{n}" for n in range(4)]
        rows["instruments"] += [instrument(name, expiry) for name in names]
        for day, quotes in enumerate(days):
            at = START + day * DAY
            for name, (rate, position, cost) in zip(names, quotes, strict=False):
                quoted = basis_row(name, at - MINUTE, expiry, 1.0, annualised_pct=rate + more)
                rows["basis"].append(quoted)
                rows["candles"].append(candle(name, at - HOUR, 1.0, cost=cost))
                rows["settlements"].append(settlement(name, at, 1.0, position=position))
    means = ("by_open_interest_pct", "by_cost_pct", "equally_pct")
    with tempfile.TemporaryDirectory() as folder:
        found = lake_of(Path(folder), **rows).sql("FROM weighted_basis_daily(7)").to_dicts()
    by_coin = {coin: [r for r in found if r["coin"] == coin] for coin in ("BTC", "ETH")}
    for quotes, own, other in zip(days, by_coin["BTC"], by_coin["ETH"], strict=True):
        rates = [rate for rate, _, _ in quotes]
        for mean in means:
            if own[mean] is None:
                assert other[mean] is None
            else:
                assert other[mean] == pytest.approx(own[mean] + 1, rel=1e-9, abs=1e-9)
                assert min(rates) - 1e-9 <= own[mean] <= max(rates) + 1e-9
