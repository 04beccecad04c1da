"""Changes of a good result of candles, one for each fault of data; pure functions.

A change returns new columns and leaves its input unchanged; if there is nothing to change, it
returns the input itself. Minutes are the opening times of candles in UTC milliseconds; `at`, in
[0, 1), is the relative position of the changed candle in the result.
"""

import random
from collections.abc import Callable
from typing import Any

from basislake.simulator.fault_forms import Change, Columns

_COLUMNS = ("ticks", "open", "high", "low", "close", "volume", "cost")
_PRICES = ("open", "high", "low", "close")


def drop_minutes(*minutes_ms: int) -> Change:
    """Leave out the candles of these minutes."""
    dropped = frozenset(minutes_ms)

    def change(good: Columns) -> Columns:
        kept = [row for row, tick in enumerate(good["ticks"]) if tick not in dropped]
        return good if len(kept) == len(good["ticks"]) else _rows(good, kept)

    return change


def drop_candle(at: float) -> Change:
    """Leave out one candle."""
    return _at(at, lambda good, row: _rows(good, [n for n in _indices(good) if n != row]))


def repeat_candle(at: float) -> Change:
    """Send one candle twice, with the same values."""
    return _at(at, _repeated)


def contradict_candle(at: float) -> Change:
    """Send one candle twice, the second time at other prices."""

    def change(good: Columns, row: int) -> Columns:
        changed = _repeated(good, row)
        for name in _PRICES:
            changed[name][row + 1] *= 2
        return changed

    return _at(at, change)


def shuffle(seed: int = 0) -> Change:
    """Send the candles in a wrong order, if there are two or more."""

    def change(good: Columns) -> Columns:
        order = list(_indices(good))
        # A fixed order of a seed, not a secret.
        random.Random(seed).shuffle(order)  # noqa: S311
        if order == sorted(order):
            order.reverse()
        return _rows(good, order) if len(order) > 1 else good

    return change


def null_cell(at: float, column: str = "close") -> Change:
    """Send null in one cell."""

    def change(good: Columns, row: int) -> Columns:
        values = list(good[column])
        values[row] = None
        return good | {column: values}

    return _at(at, change)


def shorten_column(column: str = "volume") -> Change:
    """Send one array with a value less than the others."""

    def change(good: Columns) -> Columns:
        return good | {column: good[column][:-1]} if good["ticks"] else good

    return change


def whole_numbers(good: Columns) -> Columns:
    """Send whole numbers without decimals, 60000 instead of 60000.0; no value changes."""
    return good | {name: [_whole(value) for value in good[name]] for name in _COLUMNS}


def no_data(good: Columns) -> Columns:
    """Send no candles, with the status `no_data`."""
    return good | {name: [] for name in _COLUMNS} | {"status": "no_data"}


def add_tick(tick_ms: int) -> Change:
    """Send an extra candle at a given time: outside the window, or between two minutes.

    It is a copy of the result's first candle, in the order of its time.
    """

    def change(good: Columns) -> Columns:
        if not good["ticks"]:
            return good
        before = sum(tick <= tick_ms for tick in good["ticks"])
        changed = _rows(good, [*range(before), 0, *range(before, len(good["ticks"]))])
        changed["ticks"][before] = tick_ms
        return changed

    return change


def keep_newest(count: int) -> Change:
    """Keep only the newest candles, at most so many, without any sign of the others."""

    def change(good: Columns) -> Columns:
        rows = _indices(good)
        return _rows(good, list(rows[-count:])) if 0 < count < len(rows) else good

    return change


def keep_newest_half(good: Columns) -> Columns:
    """Keep only the newer half of the candles."""
    return keep_newest(len(good["ticks"]) // 2)(good)


def _at(at: float, change: Callable[[Columns, int], Columns]) -> Change:
    """Make a change of one candle; an empty result stays unchanged."""

    def changed(good: Columns) -> Columns:
        count = len(good["ticks"])
        return change(good, min(int(at * count), count - 1)) if count else good

    return changed


def _repeated(good: Columns, row: int) -> Columns:
    return _rows(good, [*range(row + 1), *range(row, len(good["ticks"]))])


def _indices(good: Columns) -> range:
    return range(len(good["ticks"]))


def _rows(good: Columns, rows: list[int]) -> Columns:
    status = "ok" if rows else "no_data"
    taken = {name: [good[name][row] for row in rows] for name in _COLUMNS}
    return good | taken | {"status": status}


def _whole(value: Any) -> Any:  # noqa: ANN401  (a cell is a number or null)
    return int(value) if isinstance(value, float) and value.is_integer() else value
