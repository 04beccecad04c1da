"""The front and the next future as one series each, and their rolls."""

import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.time.intervals import MINUTE
from tests.lakes import Row, answer, basis_row, instrument, lake_of
from tests.profiles import examples
from tests.strategies import minute

# The last minute of an hour, from which expiries are a whole number of days away.
LAST = minute(59)
DAY = timedelta(days=1)


def contract(coin: str, days: float) -> tuple[str, datetime]:
    """A future that expires so many days after LAST."""
    return f"{coin}-{days}", LAST + days * DAY


def lake_with(folder: Path, rows: list[Row], contracts: list[tuple[str, datetime]]) -> Lake:
    """A lake of a basis; `instruments` names the contracts whether or not they have rows."""
    known = [instrument(name, expires_at) for name, expires_at in contracts]
    tables = {"basis": rows} if rows else {}
    return lake_of(folder, instruments=known, **tables)


# The front and the next


SOON, MID, LATE = (contract("BTC", days) for days in (0.01, 1, 2))
ROLLS = "SELECT * EXCLUDE (coin) FROM rolls ORDER BY ts, position"


def held(closes: Mapping[int, Mapping[tuple[str, datetime], float]]) -> list[Row]:
    """Rows of `basis` from each minute's prices by contract."""
    return [
        basis_row(name, minute(m), expires_at, price - 100)
        for m, prices in closes.items()
        for (name, expires_at), price in prices.items()
    ]


def test_an_expiry_rolls_the_front_and_moves_the_next_up(tmp_path: Path) -> None:
    prices = {SOON: 100.0, MID: 102.0, LATE: 104.0}
    closes = {72: prices, 73: prices, 74: {MID: 103.0, LATE: 105.0}}
    lake = lake_with(tmp_path, held(closes), [SOON, MID, LATE])
    # SOON expires at 01:13:24, so minute 74 is the first that it has none in.
    assert answer(lake, ROLLS) == [
        (minute(74), "front", SOON[0], MID[0], minute(73), 100.0, 103.0, 3.0, "expired"),
        (minute(74), "next", MID[0], LATE[0], minute(73), 102.0, 105.0, 3.0, "moved_up"),
    ]
    series = "SELECT ts, position, instrument, future_close, rolled_from FROM continuous"
    assert answer(lake, f"{series} WHERE ts >= '{minute(73)}' ORDER BY ts, position") == [
        (minute(73), "front", SOON[0], 100.0, None),
        (minute(73), "next", MID[0], 102.0, None),
        (minute(74), "front", MID[0], 103.0, SOON[0]),
        (minute(74), "next", LATE[0], 105.0, MID[0]),
    ]


def test_a_minute_without_a_basis_rolls_there_and_back_and_says_why(tmp_path: Path) -> None:
    closes = {0: {MID: 102.0, LATE: 104.0}, 1: {LATE: 105.0}, 2: {MID: 103.0, LATE: 106.0}}
    lake = lake_with(tmp_path, held(closes), [MID, LATE])
    assert answer(lake, ROLLS) == [
        (minute(1), "front", MID[0], LATE[0], minute(0), 102.0, 105.0, 3.0, "absent"),
        (minute(2), "front", LATE[0], MID[0], minute(1), 105.0, 103.0, -2.0, "nearer"),
    ]


def test_the_minute_before_is_the_positions_own_also_across_a_hole(tmp_path: Path) -> None:
    closes = {0: {SOON: 100.0}, 500: {MID: 110.0}}
    lake = lake_with(tmp_path, held(closes), [SOON, MID])
    assert answer(lake, ROLLS) == [
        (minute(500), "front", SOON[0], MID[0], minute(0), 100.0, 110.0, 10.0, "expired")
    ]


def test_a_part_of_the_series_is_the_same_as_the_whole(tmp_path: Path) -> None:
    prices = {SOON: 100.0, MID: 102.0, LATE: 104.0}
    closes = {m: prices if m < 74 else {MID: 102.5, LATE: 104.5} for m in range(60, 90)}
    lake = lake_with(tmp_path, held(closes), [SOON, MID, LATE])
    part = f"continuous_between('{minute(74)}', '{minute(80)}')"
    names = "coin, ts, position, instrument, future_close, rolled_from"
    times = f"ts >= '{minute(74)}' AND ts < '{minute(80)}'"
    found = answer(lake, f"SELECT {names} FROM {part} ORDER BY ALL")
    assert found == answer(lake, f"SELECT {names} FROM continuous WHERE {times} ORDER BY ALL")
    assert len(found) == 12
    assert {row[-1] for row in found if row[1] == minute(74)} == {SOON[0], MID[0]}


@pytest.mark.slow
@examples(20)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["BTC", "ETH"]), st.sampled_from([0.5, 1, 1.5, 2])),
        st.dictionaries(st.integers(0, 6), st.floats(1, 1000)),
        max_size=6,
    )
)
def test_front_and_next_are_the_two_that_expire_first_of_those_there_are(
    closes: dict[tuple[str, float], dict[int, float]],
) -> None:
    rows = [
        basis_row(*contract(*key)[:1], minute(m), contract(*key)[1], price - 100)
        for key, prices in closes.items()
        for m, price in prices.items()
    ]
    expected, before = [], dict[tuple[str, str], str]()
    for coin in ("BTC", "ETH"):
        for ts in (minute(m) for m in range(7)):
            there = [r for r in rows if r["ts"] == ts and r["instrument"].startswith(coin)]
            nearest = sorted(there, key=lambda row: row["days_to_expiry"])[:2]
            for position, row in zip(("front", "next"), nearest, strict=False):
                name, last = row["instrument"], before.get((coin, position))
                rolled = last if last != name else None
                figures = (row["future_close"], row["basis_pct"], row["annualised_pct"])
                expected.append((coin, ts, position, name, *figures, True, True, rolled))
                before[coin, position] = name
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_with(Path(folder), rows, [contract(*key) for key in closes])
        assert answer(lake, "FROM continuous ORDER BY coin, ts, position") == expected
        times = answer(lake, "SELECT ts, from_ts FROM rolls")
    assert all(ts - from_ts >= MINUTE for ts, from_ts in times)
