"""The basis at constant maturity: three methods, their legs, and the steps."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.errors import UsageError
from lake.query.views.maturities import MATURITY_DAYS
from tests.lakes import Row, answer, basis_row, instrument, lake_of
from tests.profiles import examples
from tests.strategies import minute

# The last minute of an hour, from which expiries are a whole number of days away.
LAST = minute(59)
DAY = timedelta(days=1)
METHODS = ("forward", "linear", "nearest")


def lake_with(folder: Path, rows: list[Row]) -> Lake:
    """A lake of a basis, and of the futures in it."""
    expiries = {row["instrument"]: row["ts"] + row["days_to_expiry"] * DAY for row in rows}
    known = [instrument(name, expires_at) for name, expires_at in expiries.items()]
    return lake_of(folder, instruments=known, basis=rows)


def quote(coin: str, days: float, annualised: float, ts: datetime = LAST, **others: Any) -> Row:  # noqa: ANN401
    """A row of `basis` of a future so many days from its expiry, annualised to a figure."""
    pct = annualised * days / 365
    made = {"annualised_pct": annualised, "days_to_expiry": days, **others}
    return basis_row(f"{coin}-{days}", ts, ts + days * DAY, pct, **made)


def by(method: str, step_minutes: int = 60) -> str:
    return f"constant_maturity_by({step_minutes}, '{method}', 'perpetual')"


@pytest.mark.parametrize(
    ("method", "at_30", "legs"),
    [
        # The total basis: 20 x 4 = 80 at 20 days, 60 x 12 = 720 at 60 days, so 240 at 30 days.
        ("forward", 8.0, ("BTC-20", "BTC-60")),
        ("linear", 6.0, ("BTC-20", "BTC-60")),
        ("nearest", 4.0, ("BTC-20", "BTC-20")),
    ],
)
def test_a_distance_between_two_expiries_is_interpolated_and_none_is_extrapolated(
    method: str, at_30: float, legs: tuple[str, str], tmp_path: Path
) -> None:
    lake = lake_with(
        tmp_path, [quote("BTC", 20, 4.0), quote("BTC", 60, 12.0, perpetual_traded=False)]
    )
    found = {row[2]: row[3:] for row in answer(lake, f"FROM {by(method)} ORDER BY days")}
    assert tuple(found) == MATURITY_DAYS
    assert found[30] == (pytest.approx(at_30), *legs, method == "nearest")
    assert found[60] == (12.0, "BTC-60", "BTC-60", False)
    if method == "nearest":
        assert found[7] == (4.0, "BTC-20", "BTC-20", True)
        assert found[180] == (12.0, "BTC-60", "BTC-60", False)
    else:
        assert found[7] == (None, None, "BTC-20", None)
        assert found[180] == (None, "BTC-60", None, None)


def test_the_method_is_forward_where_none_is_named(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, [quote("BTC", 20, 4.0), quote("BTC", 60, 12.0)])
    assert answer(lake, "FROM constant_maturity ORDER BY days") == answer(
        lake, f"FROM {by('forward')} ORDER BY days"
    )


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("constant_maturity_by(60, 'spline', 'perpetual')", "forward, linear or nearest"),
        ("constant_maturity_by(60, NULL, 'perpetual')", "forward, linear or nearest"),
        ("constant_maturity_by(60, 'forward', 'spot')", "perpetual or index, not spot"),
        ("constant_maturity_by(60, 'forward', NULL)", "perpetual or index, not NULL"),
    ],
)
def test_an_unknown_method_or_reference_is_refused(call: str, reason: str, tmp_path: Path) -> None:
    lake = lake_with(tmp_path, [quote("BTC", 30, 5.0)])
    with pytest.raises(UsageError, match=reason):
        lake.sql(f"FROM {call}")


@pytest.mark.parametrize("method", METHODS)
def test_a_leg_has_a_day_to_live_and_is_not_suspect(method: str, tmp_path: Path) -> None:
    """With hours to live a tick is hundreds of percent a year."""
    rows = [
        quote("BTC", 0.01, 0.1, annualised_pct=None),
        quote("BTC", 0.99, -3000.0),
        quote("BTC", 5, 8.0),
        quote("BTC", 6.5, 99.0, suspect=True),
        quote("BTC", 10, 8.0),
    ]
    lake = lake_with(tmp_path, rows)
    (row,) = answer(lake, f"SELECT annualised_pct, nearer FROM {by(method)} WHERE days = 7")
    assert row == (pytest.approx(8.0), "BTC-5")
    alone = lake_with(tmp_path / "alone", [quote("BTC", 0.99, 5.0), quote("BTC", 30, 6.0)])
    (row,) = answer(alone, f"SELECT annualised_pct, farther FROM {by(method)} WHERE days = 7")
    assert row == (6.0 if method == "nearest" else None, "BTC-30")


def test_of_two_equally_near_the_nearer_is_chosen(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, [quote("BTC", 20, 4.0), quote("BTC", 40, 6.0)])
    (row,) = answer(lake, f"SELECT annualised_pct, nearer FROM {by('nearest')} WHERE days = 30")
    assert row == (4.0, "BTC-20")


def test_steps_end_with_their_last_minute_and_are_as_long_as_asked(tmp_path: Path) -> None:
    expires_at = minute(0) + 40 * DAY
    rows = [basis_row("BTC-FUTURE", minute(m), expires_at, 1.0) for m in range(3_000)]
    lake = lake_of(tmp_path, instruments=[instrument("BTC-FUTURE", expires_at)], basis=rows)
    hourly = answer(lake, "SELECT DISTINCT ts FROM constant_maturity ORDER BY 1")
    assert hourly == [(minute(m),) for m in range(59, 3_000, 60)]
    daily = answer(lake, f"SELECT DISTINCT ts FROM {by('forward', 1440)} ORDER BY 1")
    assert daily == [(minute(1_439),), (minute(2_879),)]
    assert len(answer(lake, f"SELECT DISTINCT ts FROM {by('forward', 1)}")) == 3_000


CURVES = st.dictionaries(
    st.tuples(
        st.sampled_from(["BTC", "ETH"]),
        st.sampled_from([0.5, 1, 6.75, 7, 7.25, 29, 30, 45.5, 60, 89, 90, 91, 120, 180, 181, 300]),
    ),
    st.dictionaries(
        st.integers(0, 3),
        st.tuples(st.floats(-99, 99), st.booleans(), st.booleans()),
        max_size=4,
    ),
    max_size=8,
)


@pytest.mark.slow
@examples(20)
@given(CURVES, st.sampled_from(METHODS))
def test_constant_maturity_is_as_one_would_work_it_out(
    curves: dict[tuple[str, float], dict[int, tuple[float, bool, bool]]], method: str
) -> None:
    rows, usable = [], dict[tuple[str, datetime], list[Row]]()
    for (coin, days), quotes in curves.items():
        for hour, (annualised, traded, suspect) in quotes.items():
            ts = LAST + timedelta(hours=hour)
            row = quote(coin, days, annualised, ts, future_traded=traded, suspect=suspect)
            rows.append(row)
            if days >= 1 and not suspect:
                usable.setdefault((coin, ts), []).append(row)
    expected = [
        (coin, ts, distance, *_worked_out(found, distance, method))
        for (coin, ts), found in sorted(usable.items())
        for distance in MATURITY_DAYS
    ]
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_with(Path(folder), rows)
        found = answer(lake, f"FROM {by(method)} ORDER BY coin, ts, days")
    assert found == expected


def _worked_out(rows: list[Row], distance: int, method: str) -> tuple[Any, ...]:
    by_days = sorted(rows, key=lambda row: row["days_to_expiry"])
    near: Row | None = None
    far: Row | None = None
    for row in by_days:
        near = row if row["days_to_expiry"] <= distance else near
        far = row if row["days_to_expiry"] >= distance and far is None else far
    if method == "nearest":
        near = far = min(by_days, key=lambda row: abs(row["days_to_expiry"] - distance))
    names = tuple(row and row["instrument"] for row in (near, far))
    if near is None or far is None:
        return (None, *names, None)
    figure = _figure(near, far, distance, method)
    traded = near["future_traded"] and far["future_traded"]
    return (pytest.approx(figure, rel=1e-9, abs=1e-9), *names, traded)


def _figure(near: Row, far: Row, distance: int, method: str) -> float:
    b_n, t_n = float(near["annualised_pct"]), float(near["days_to_expiry"])
    b_f, t_f = float(far["annualised_pct"]), float(far["days_to_expiry"])
    if near is far:
        return b_n
    if method == "linear":
        return b_n + (b_f - b_n) * (distance - t_n) / (t_f - t_n)
    forward = (b_f * t_f - b_n * t_n) / (t_f - t_n)
    return (b_n * t_n + forward * (distance - t_n)) / distance
