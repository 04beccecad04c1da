"""Changed candles: each change does only what it declares, and spares the excluded candles."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake.simulator import changes
from basislake.simulator.fault_forms import Change, Columns

MINUTE_MS = 60_000
COLUMNS = ("ticks", "open", "high", "low", "close", "volume", "cost")


def candles(count: int) -> Columns:
    """A good result: each column's values identify the row."""
    columns: Columns = {"status": "ok" if count else "no_data"}
    for name in COLUMNS:
        columns[name] = [row + 0.5 for row in range(count)]
    columns["ticks"] = [row * MINUTE_MS for row in range(count)]
    columns["open"] = [float(row) for row in range(count)]
    return columns


ALL_CHANGES: list[Callable[[float], Change]] = [
    lambda at: changes.drop_minutes(int(at * 10) * MINUTE_MS),
    changes.drop_candle,
    changes.repeat_candle,
    changes.contradict_candle,
    lambda at: changes.shuffle(int(at * 100)),
    changes.null_cell,
    lambda _at: changes.shorten_column(),
    lambda _at: changes.whole_numbers,
    lambda _at: changes.no_data,
    lambda at: changes.add_tick(int(at * 10 * MINUTE_MS)),
    lambda at: changes.keep_newest(int(at * 10)),
    lambda _at: changes.keep_newest_half,
]
at = st.floats(0, 1, exclude_max=True)


@given(st.sampled_from(ALL_CHANGES), at, st.integers(0, 12))
def test_a_change_spares_what_it_was_given_and_never_fails(
    make: Callable[[float], Change], at: float, count: int
) -> None:
    good = candles(count)
    kept = copy.deepcopy(good)

    changed = make(at)(good)

    assert good == kept
    assert set(changed) == set(good)
    assert changed["status"] == ("ok" if changed["ticks"] else "no_data")


@given(at, st.integers(1, 12))
def test_one_candle_is_dropped_repeated_or_contradicted(at: float, count: int) -> None:
    good = candles(count)
    row = int(at * count)

    dropped = changes.drop_candle(at)(good)
    repeated = changes.repeat_candle(at)(good)
    contradicted = changes.contradict_candle(at)(good)

    assert dropped["ticks"] == [tick for tick in good["ticks"] if tick != row * MINUTE_MS]
    assert [repeated[name][row] for name in COLUMNS] == [
        repeated[name][row + 1] for name in COLUMNS
    ]
    assert contradicted["ticks"] == repeated["ticks"]
    assert contradicted["close"][row] != contradicted["close"][row + 1]
    assert contradicted["volume"] == repeated["volume"]


@given(st.integers(0, 1000), st.integers(2, 12))
def test_shuffled_candles_are_the_same_in_another_order(seed: int, count: int) -> None:
    good = candles(count)

    shuffled = changes.shuffle(seed)(good)

    assert shuffled["ticks"] != good["ticks"]
    assert sorted(zip(*(shuffled[name] for name in COLUMNS), strict=True)) == list(
        zip(*(good[name] for name in COLUMNS), strict=True)
    )


def test_minutes_are_dropped_by_name_and_absent_ones_change_nothing() -> None:
    good = candles(4)

    assert changes.drop_minutes(MINUTE_MS, 3 * MINUTE_MS)(good)["ticks"] == [0, 2 * MINUTE_MS]
    assert changes.drop_minutes(9 * MINUTE_MS)(good) is good


def test_a_cell_is_null_and_a_column_is_short() -> None:
    assert changes.null_cell(0.5, "low")(candles(3))["low"] == [0.5, None, 2.5]
    assert len(changes.shorten_column("cost")(candles(3))["cost"]) == 2


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_whole_numbers_keep_their_values(values: list[float]) -> None:
    good = candles(len(values)) | {"close": values}

    changed = changes.whole_numbers(good)["close"]

    assert changed == values
    assert all(isinstance(value, int) for value in changed if value == int(value))


@pytest.mark.parametrize("tick_ms", [-MINUTE_MS, 30_000, 99 * MINUTE_MS])
def test_a_tick_of_its_own_is_put_where_its_time_belongs(tick_ms: int) -> None:
    changed = changes.add_tick(tick_ms)(candles(3))

    assert changed["ticks"] == sorted([0, MINUTE_MS, 2 * MINUTE_MS, tick_ms])
    assert len(changed["close"]) == 4


def test_only_the_newest_are_kept() -> None:
    assert changes.keep_newest(2)(candles(5))["ticks"] == [3 * MINUTE_MS, 4 * MINUTE_MS]
    assert changes.keep_newest_half(candles(5))["close"] == [3.5, 4.5]
