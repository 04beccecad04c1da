"""Pages of candles, the answers to candle calls: computed in blocks and rendered once.

A client reads a contract page by page, so candles are computed in blocks of a few pages, which
costs little more than one page. A page with only final candles never changes, so its bytes are
cached.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import orjson
import polars as pl

from basislake.simulator.fault_forms import Columns
from basislake.simulator.market import CANDLE_SCHEMA, MINUTE_MS, Contract, forming
from basislake.simulator.universe import Universe

MOST_CANDLES = 5001

# Four pages, or a weekly's whole life; 1.2 MB.
_BLOCK_MINUTES = 20_480
_BLOCKS = 8
# Approximate overhead of an entry of the cache, in bytes.
_ENTRY_BYTES = 500


@dataclass(frozen=True, slots=True)
class Window:
    """The minutes of a contract in the answer to a call, until now.

    Attributes:
        contract: the contract.
        first: the first minute since 1970.
        last: the last minute since 1970, inclusive; before `first` for an empty window.
        is_final: whether all its candles are final.
    """

    contract: Contract
    first: int
    last: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A rendered answer.

    Attributes:
        result: the result as JSON.
        candles: how many it holds.
        is_cached: whether it was rendered before.
    """

    result: bytes
    candles: int
    is_cached: bool = False


def cut_window(contract: Contract, start_ms: int, end_ms: int, now_ms: int) -> Window:
    """Return the newest 5,001 minutes of a range with both ends, none later than now.

    Args:
        contract: the contract.
        start_ms: the range's start, UTC milliseconds; its minute is in the range.
        end_ms: the range's end, UTC milliseconds, in the range.
        now_ms: the exchange's clock, UTC milliseconds.
    """
    now = now_ms // MINUTE_MS
    last = min(end_ms // MINUTE_MS, now)
    first = max(start_ms // MINUTE_MS, last - MOST_CANDLES + 1)
    return Window(contract, first, last, last < now or contract.is_expired(now_ms))


class Pages:
    """A universe's pages, with a cache of the most recent ones. Threads may share it."""

    def __init__(self, universe: Universe, cache_bytes: int) -> None:
        """Start with an empty cache of so many bytes of rendered pages; 0 for no cache."""
        self._universe = universe
        self._blocks = _Blocks(universe)
        # The caller's own function may return other candles at the next call.
        self._cache = _Cache(cache_bytes if universe.truth is None else 0)

    def rendered(self, window: Window) -> RenderedPage:
        """Return a window's page as bytes."""
        key = (window.contract.name, window.first, window.last)
        page = self._cache.get(key) if window.is_final else None
        if page is not None:
            return page
        columns = self.columns(window)
        page = RenderedPage(orjson.dumps(columns), len(columns["ticks"]))
        if window.is_final:
            self._cache.put(key, page)
        return page

    def columns(self, window: Window) -> Columns:
        """Return a window's page as the columns of a result.

        As on the exchange, one array mixes whole numbers and floats.
        """
        found = self._candles(window)
        lists = {name: found[name].to_list() for name in CANDLE_SCHEMA}
        lists["cost"] = _mixed(found["cost"])
        lists["volume"] = [volume or 0 for volume in lists["volume"]]
        return {"status": "ok" if found.height else "no_data", **lists}

    def _candles(self, window: Window) -> pl.DataFrame:
        """The candles; the last one may still be forming."""
        found = self._final(window)
        if window.is_final or not found.height or found["ticks"][-1] < window.last * MINUTE_MS:
            return found
        return pl.concat([found.head(-1), forming(found.tail(1), window.contract)])

    def _final(self, window: Window) -> pl.DataFrame:
        first, end = window.first, max(window.first, window.last + 1)
        if self._universe.truth is None:
            return self._blocks.candles(window.contract, first, end)
        name = window.contract.name
        return self._universe.candles(name, first * MINUTE_MS, end * MINUTE_MS)


class _Blocks:
    """Cache of candles in blocks of a contract's minutes, from its first trade on."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._kept = lru_cache(_BLOCKS)(self._block)
        self._lock = threading.Lock()

    def candles(self, contract: Contract, first: int, end: int) -> pl.DataFrame:
        """The candles of the minutes `[first, end)`; a contract's series has no gap."""
        origin = contract.first_trade_ms // MINUTE_MS
        start, stop = (max(0, minute - origin) for minute in (first, end))
        if start >= stop:
            return pl.DataFrame(schema=CANDLE_SCHEMA)
        numbers = range(start // _BLOCK_MINUTES, (stop - 1) // _BLOCK_MINUTES + 1)
        with self._lock:
            blocks = [self._kept(contract, number) for number in numbers]
        skipped = numbers.start * _BLOCK_MINUTES
        return pl.concat(blocks).slice(start - skipped, stop - start)

    def _block(self, contract: Contract, number: int) -> pl.DataFrame:
        start_ms = contract.first_trade_ms + number * _BLOCK_MINUTES * MINUTE_MS
        end_ms = start_ms + _BLOCK_MINUTES * MINUTE_MS
        return self._universe.candles(contract.name, start_ms, end_ms)


class _Cache:
    """Cache of the most recent pages, as many as fit."""

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._used = 0
        self._pages: OrderedDict[tuple[str, int, int], RenderedPage] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int, int]) -> RenderedPage | None:
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
            return page

    def put(self, key: tuple[str, int, int], page: RenderedPage) -> None:
        kept = RenderedPage(page.result, page.candles, is_cached=True)
        with self._lock:
            if key in self._pages or _weight(kept) > self._size:
                return
            self._pages[key] = kept
            self._used += _weight(kept)
            while self._used > self._size:
                _, dropped = self._pages.popitem(last=False)
                self._used -= _weight(dropped)


def _weight(page: RenderedPage) -> int:
    return len(page.result) + _ENTRY_BYTES


def _mixed(cost: pl.Series) -> list[int | float]:
    """Whole numbers as integers, others as floats."""
    if (cost == cost.floor()).all():
        return cost.cast(pl.Int64).to_list()
    return [int(value) if value.is_integer() else value for value in cost.to_list()]
