"""The front contract of a term: its rolls and their gaps, and the adjusted series."""

import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.errors import UsageError
from tests.lakes import Row, answer, basis_row, instrument, lake_of
from tests.profiles import examples

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EXPIRIES = {
    name: datetime.strptime(name[4:] + "+0000 08", "%d%b%y%z %H")
    for name in (
        "BTC-23FEB24", "BTC-8MAR24", "BTC-15MAR24", "BTC-29MAR24", "BTC-26APR24", "BTC-28JUN24",
        "BTC-27SEP24",
    )
}  # fmt: skip
MARCH, JUNE, SEPTEMBER = "BTC-29MAR24", "BTC-28JUN24", "BTC-27SEP24"
MARCH_ROLLS = EXPIRIES[MARCH] - 5 * DAY
JUNE_ROLLS = EXPIRIES[JUNE] - 5 * DAY


def quote(name: str, ts: datetime, close: float, **others: Any) -> Row:  # noqa: ANN401
    """A row of `basis` of a future with this close, against a perpetual at 100."""
    return basis_row(name, ts, EXPIRIES[name], close - 100, **others)


def lake_with(folder: Path, rows: list[Row]) -> Lake:
    """A lake of a basis; `instruments` names every contract whether or not it has rows."""
    known = [instrument(name, expires_at) for name, expires_at in EXPIRIES.items()]
    return lake_of(folder, instruments=known, basis=rows)


def test_the_series_holds_the_contract_that_expires_next_and_rolls_so_many_days_before(
    tmp_path: Path,
) -> None:
    before, after = MARCH_ROLLS - HOUR, MARCH_ROLLS
    rows = [
        *(quote(name, ts, close) for name, close in ((MARCH, 101.0), (JUNE, 104.0))
          for ts in (before, after)),
        quote("BTC-26APR24", before, 99.0),
        quote(SEPTEMBER, before, 108.0),
    ]  # fmt: skip
    lake = lake_with(tmp_path, rows)
    series = "SELECT ts, instrument, future_close, basis, rolled_from, gap"
    assert answer(lake, f"{series} FROM front_quarterly ORDER BY ts") == [
        (before, MARCH, 101.0, 1.0, None, None),
        (after, JUNE, 104.0, 4.0, MARCH, 3.0),
    ]
    assert answer(lake, f"{series} FROM continuous_by('quarterly', 4) ORDER BY ts") == [
        (ts, MARCH, 101.0, 1.0, None, None) for ts in (before, after)
    ]
    assert answer(lake, "SELECT ts, instrument FROM continuous_by('monthly', 5)") == [
        (before, "BTC-26APR24")
    ]
    assert answer(lake, "FROM continuous_by('daily', 0)") == []


def test_the_gap_is_of_one_minute_and_of_trades_where_there_are_any(tmp_path: Path) -> None:
    hours = {1: (102.0, 105.5), 2: (101.0, 105.0), 3: (100.0, 104.0), 4: (99.0, 103.0)}
    traded = {1: False, 2: True, 3: True, 4: True}
    rows = [quote(SEPTEMBER, MARCH_ROLLS, 110.0), quote(JUNE, MARCH_ROLLS, 107.0)]
    for ago, closes in hours.items():
        ts = MARCH_ROLLS - ago * HOUR
        rows.append(quote(MARCH, ts, closes[0], future_traded=traded[ago], suspect=ago == 2))
        rows.append(quote(JUNE, ts, closes[1]))
    lake = lake_with(tmp_path, rows)
    assert answer(lake, "SELECT * EXCLUDE (coin) FROM rolls_by('quarterly', 5)") == [
        (MARCH_ROLLS, MARCH, JUNE, MARCH_ROLLS - 3 * HOUR, 100.0, 104.0, 4.0, 1.04, True)
    ]
    assert answer(lake, "SELECT rolled_from, gap FROM front_quarterly WHERE gap IS NOT NULL") == [
        (MARCH, 4.0)
    ]


@pytest.mark.parametrize(
    ("ago", "gap"),
    [(timedelta(days=1), (4.0, False)), (timedelta(days=1, minutes=1), (None, None))],
)
def test_a_gap_is_null_where_the_two_share_no_minute_in_the_day_before(
    ago: timedelta, gap: tuple[float | None, bool | None], tmp_path: Path
) -> None:
    rows = [
        quote(MARCH, MARCH_ROLLS - ago, 100.0, future_traded=False),
        quote(JUNE, MARCH_ROLLS - ago, 104.0),
        quote(JUNE, MARCH_ROLLS, 107.0),
    ]
    lake = lake_with(tmp_path, rows)
    assert answer(lake, "SELECT gap, both_traded FROM rolls_by('quarterly', 5)") == [gap]
    adjusted = "SELECT difference_close, ratio_close FROM front_quarterly_adjusted ORDER BY ts"
    before = (104.0, 104.0) if gap[1] is not None else (None, None)
    assert answer(lake, adjusted) == [before, (107.0, 107.0)]


def test_no_contract_takes_the_place_of_one_without_a_basis(tmp_path: Path) -> None:
    rows = [quote(MARCH, MARCH_ROLLS - 2 * DAY, 101.0), quote(SEPTEMBER, JUNE_ROLLS, 109.0)]
    rows += [quote(SEPTEMBER, ts, 108.0) for ts in (MARCH_ROLLS, JUNE_ROLLS - HOUR)]
    lake = lake_with(tmp_path, rows)
    # Nothing is known of June: a hole, then a roll whose gap cannot be known.
    assert answer(
        lake, "SELECT ts, instrument, rolled_from, gap FROM front_quarterly ORDER BY ts"
    ) == [
        (MARCH_ROLLS - 2 * DAY, MARCH, None, None),
        (JUNE_ROLLS, SEPTEMBER, MARCH, None),
    ]


def test_adjusted_series_hold_no_roll(tmp_path: Path) -> None:
    """March trades at 100, June at 110 and September at 121 throughout: a market that stands."""
    closes = {MARCH: 100.0, JUNE: 110.0, SEPTEMBER: 121.0}
    times = [MARCH_ROLLS - HOUR, MARCH_ROLLS, JUNE_ROLLS - HOUR, JUNE_ROLLS]
    rows = [
        quote(name, ts, close)
        for ts in times for name, close in closes.items() if ts < EXPIRIES[name]
    ]  # fmt: skip
    lake = lake_with(tmp_path, rows)
    found = answer(lake, "SELECT * EXCLUDE (coin) FROM front_quarterly_adjusted ORDER BY ts")
    names = [MARCH, JUNE, JUNE, SEPTEMBER]
    assert [row[:3] for row in found] == [
        (ts, name, closes[name]) for ts, name in zip(times, names, strict=True)
    ]
    assert [row[3:5] for row in found] == [(121.0, pytest.approx(121.0))] * 4


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("continuous_by('month', 5)", "The term is daily, weekly, monthly or quarterly, not month"),
        ("rolls_by('perpetual', 5)", "not perpetual"),
        ("back_adjusted_by('quarterly', -1)", "0 or more days before the expiry, not -1"),
    ],
)
def test_an_unknown_term_or_a_roll_after_the_expiry_is_refused(
    call: str, reason: str, tmp_path: Path
) -> None:
    lake = lake_with(tmp_path, [quote(MARCH, MARCH_ROLLS, 100.0)])
    with pytest.raises(UsageError, match=reason):
        lake.sql(f"FROM {call}")


WEEKLIES = ("BTC-8MAR24", "BTC-15MAR24")
START = EXPIRIES["BTC-23FEB24"]


@pytest.mark.slow
@examples(20)
@given(
    st.dictionaries(
        st.sampled_from([MARCH, JUNE, SEPTEMBER, *WEEKLIES]),
        st.dictionaries(
            st.integers(0, 6 * 30),
            st.tuples(st.floats(1, 1000), st.booleans(), st.booleans()),
            max_size=8,
        ),
        max_size=5,
    ),
    st.sampled_from(["weekly", "quarterly"]),
    st.integers(0, 40),
)
def test_series_rolls_and_adjustments_are_as_one_would_work_them_out(
    closes: Mapping[str, Mapping[int, tuple[float, bool, bool]]], term: str, roll_days: int
) -> None:
    rows = [
        quote(name, START + day * DAY, close, future_traded=traded, suspect=suspect)
        for name, quotes in closes.items()
        for day, (close, traded, suspect) in quotes.items()
        if START + day * DAY < EXPIRIES[name]
    ]
    names = WEEKLIES if term == "weekly" else (MARCH, JUNE, SEPTEMBER)
    series = _series(rows, names, roll_days)
    gaps = [_gap(rows, *pair) for pair in pairwise(series) if pair[0][1] != pair[1][1]]
    expected: list[tuple[Any, ...]] = []
    for i, (ts, name, close) in enumerate(series):
        rolls = len({n for _, n, _ in series[i:]}) - 1
        later = gaps[len(gaps) - rolls :]
        known = [gap for gap in later if gap is not None]
        if len(known) < len(later):
            expected.append((ts, name, close, None, None))
            continue
        moved = close + sum(to - former for former, to in known)
        scaled = close * prod(to / former for former, to in known)
        expected.append((ts, name, close, pytest.approx(moved), pytest.approx(scaled)))
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_with(Path(folder), rows)
        found = answer(
            lake,
            "SELECT ts, instrument, future_close, difference_close, ratio_close "
            f"FROM back_adjusted_by('{term}', {roll_days}) ORDER BY ts",
        )
        assert found == expected
        found = answer(lake, f"SELECT from_close, to_close FROM rolls_by('{term}', {roll_days})")
    assert found == [gap or (None, None) for gap in gaps]


def _series(
    rows: list[Row], names: tuple[str, ...], roll_days: int
) -> list[tuple[datetime, str, float]]:
    """Minute, contract and close of the front contract."""
    found = []
    for row in sorted(rows, key=lambda row: row["ts"]):
        open_ = [n for n in names if row["ts"] < EXPIRIES[n] - roll_days * DAY]
        if open_ and row["instrument"] == min(open_, key=EXPIRIES.__getitem__):
            found.append((row["ts"], row["instrument"], row["future_close"]))
    return found


def _gap(
    rows: list[Row], former: tuple[datetime, str, float], latter: tuple[datetime, str, float]
) -> tuple[float, float] | None:
    """The two closes that a roll compares."""
    quotes = {(row["instrument"], row["ts"]): row for row in rows}
    shared = []
    for ago in range(1, 25):
        ts = latter[0] - ago * HOUR
        pair = [quotes.get((name, ts)) for name in (former[1], latter[1])]
        if pair[0] and pair[1]:
            sound = all(row["future_traded"] and not row["suspect"] for row in pair if row)
            shared.append((sound, ts, pair[0]["future_close"], pair[1]["future_close"]))
    return max(shared)[2:] if shared else None
