"""Carry data of the simulated market: funding, delivery prices and settlements, as pure functions
of a universe.

Index prices follow from the perpetual's closes and a premium drawn for each hour, so every universe
has them, even one of recorded candles.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeAlias

import polars as pl

from basislake.simulator.contracts import milliseconds
from basislake.simulator.market import MINUTE_MS, Contract
from basislake.simulator.noise import draw
from basislake.simulator.universe import Universe

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_SETTLED_MS = 8 * HOUR_MS

# The exchange's first funding row, and the two hours that it lacks.
FUNDING_SINCE_MS = milliseconds(datetime(2019, 4, 30, 10, tzinfo=UTC))
FUNDING_HOLE_MS = frozenset(
    milliseconds(datetime(2020, 8, 27, hour, tzinfo=UTC)) for hour in (6, 7)
)

# A premium within the damper costs nothing; the cap is for eight hours.
_DAMPER = 0.00025
_CAP = {"BTC": 0.005, "ETH": 0.01}
_LOWEST_PREMIUM, _HIGHEST_PREMIUM = -5e-4, 9e-4
_PREMIUM_PERIOD_HOURS = 997
_TRAILING_HOURS = 8
# `interest_8h` differs from the sum of eight `interest_1h` by up to this share of it.
_TRAILING_ERROR = 0.007
# A delivery price is an average of half an hour, so it differs from the index at its end.
_LOWEST_AVERAGING, _HIGHEST_AVERAGING = -3.1e-4, 10.5e-4
_DELAY_MS = (20, 760)
_CARRY = 0.08
_DAYS_PER_YEAR = 365
_LARGEST_POSITION = 80_000_000
_EXERCISED_OPTIONS = 2

Row: TypeAlias = dict[str, object]


class MarketCarry:
    """Funding, delivery prices and settlements of a universe's contracts; times in UTC ms.

    Attributes:
        universe: whose contracts.
    """

    def __init__(self, universe: Universe) -> None:
        """Compute nothing yet."""
        self.universe = universe
        self._indices: dict[tuple[str, int], float] = {}
        self._coins: dict[tuple[str, int], list[Row]] = {}

    @cached_property
    def _perpetuals(self) -> dict[str, Contract]:
        contracts = self.universe.contracts.values()
        return {one.base: one for one in contracts if one.kind == "perpetual"}

    @property
    def _of_index(self) -> dict[str, Contract]:
        """The perpetuals by the name of their index."""
        return {f"{one.base}_{one.quote}".lower(): one for one in self._perpetuals.values()}

    def funding(self, instrument: str, after_ms: int, until_ms: int) -> list[Row]:
        """Return a perpetual's funding rows of hours that end in `(after_ms, until_ms]`."""
        contract = self.universe.contracts[instrument]
        first = max(_hour(after_ms) + 1, self._first_hour(contract))
        hours = range(first, _hour(until_ms) + 1)
        if not hours:
            return []
        before = max(first - 1, self._first_hour(contract))
        prices = self._index_prices(contract, before, hours.stop)
        return [
            self._funding_row(contract, hour, prices.get(hour), prices.get(hour - 1))
            for hour in hours
            if hour * HOUR_MS not in FUNDING_HOLE_MS and hour in prices
        ]

    def total(self, instrument: str, after_ms: int, until_ms: int) -> float:
        """Return a perpetual's funding over the hours that end in `(after_ms, until_ms]`."""
        contract = self.universe.contracts[instrument]
        first = max(_hour(after_ms) + 1, self._first_hour(contract))
        hours = range(first, _hour(until_ms) + 1)
        return math.fsum(
            self._interest_1h(contract, hour)
            for hour in hours
            if hour * HOUR_MS not in FUNDING_HOLE_MS
        )

    def days(self, index_name: str, now_ms: int) -> Sequence[int]:
        """Return the days since 1970 for which an index has a delivery price, newest first."""
        perpetual = self._of_index.get(index_name)
        if perpetual is None:
            return ()
        first = self._first_hour(perpetual) * HOUR_MS // DAY_MS + 1
        return range(first, (now_ms - _SETTLED_MS) // DAY_MS + 1)[::-1]

    def delivery(self, index_name: str, day: int) -> Row:
        """Return an index's delivery price of a day."""
        coin = self._of_index[index_name].base
        date = datetime.fromtimestamp(day * DAY_MS // 1000, UTC)
        return {"date": f"{date:%Y-%m-%d}", "delivery_price": self._delivery_price(coin, day)}

    def settlements(self, instrument: str, now_ms: int) -> list[Row]:
        """Return an instrument's settlements, newest first."""
        contract = self.universe.contracts[instrument]
        end_ms = now_ms if contract.expires_ms is None else min(contract.expires_ms, now_ms)
        days = range(
            (contract.listed_ms - _SETTLED_MS) // DAY_MS + 1, (end_ms - _SETTLED_MS) // DAY_MS + 1
        )
        times = [day * DAY_MS + _SETTLED_MS for day in days]
        if contract.expires_ms == end_ms and end_ms not in times:
            times.append(end_ms)
        rows = [self._settlement(contract, at_ms) for at_ms in reversed(times)]
        return [row for row in rows if int(str(row["timestamp"])) <= now_ms]

    def settlements_of_coin(self, coin: str, now_ms: int) -> list[Row]:
        """Return the settlements of all instruments of a coin, options too, newest first."""
        key = (coin, now_ms // MINUTE_MS)
        if key not in self._coins:
            rows: list[Row] = []
            for name, contract in self.universe.contracts.items():
                if contract.base == coin and contract.is_listed(now_ms):
                    own = self.settlements(name, now_ms)
                    rows += own
                    rows += [o for r in own if r["type"] == "delivery" for o in _exercised(r)]
            self._coins = {key: sorted(rows, key=place, reverse=True)}
        return self._coins[key]

    def _first_hour(self, contract: Contract) -> int:
        """The end of the first hour in which the contract has a candle and funding is paid."""
        first = -(-contract.first_trade_ms // HOUR_MS) + 1
        return max(first, FUNDING_SINCE_MS // HOUR_MS)

    def _funding_row(
        self, contract: Contract, hour: int, price: float | None, before: float | None
    ) -> Row:
        trailing = sum(self._interest_1h(contract, hour - n) for n in range(_TRAILING_HOURS))
        error = _TRAILING_ERROR * (2 * self._draw(contract, "trailing", hour) - 1)
        row: Row = {
            "timestamp": hour * HOUR_MS,
            "index_price": price,
            "interest_8h": trailing * (1 + error),
            "interest_1h": self._interest_1h(contract, hour),
        }
        # The exchange's first row has no hour before it.
        return row if before is None else row | {"prev_index_price": before}

    def _interest_1h(self, contract: Contract, hour: int) -> float:
        """The payment of a long position in the hour that ends then, as a share of its notional."""
        premium = self._premium(contract, hour)
        rate = max(_DAMPER, premium) + min(-_DAMPER, premium)
        cap = _CAP.get(contract.base, max(_CAP.values()))
        return max(-cap, min(cap, rate)) / _TRAILING_HOURS

    def _premium(self, contract: Contract, hour: int) -> float:
        """The perpetual's price over its index, less one, at the end of an hour."""
        phase = draw(self.universe.seed, contract.name, "premium phase")
        wave = math.sin(2 * math.pi * (hour / _PREMIUM_PERIOD_HOURS + phase)) / 2 + 0.5
        share = 0.7 * wave + 0.3 * self._draw(contract, "premium", hour)
        return _LOWEST_PREMIUM + (_HIGHEST_PREMIUM - _LOWEST_PREMIUM) * share

    def _index_prices(self, contract: Contract, first: int, end: int) -> dict[int, float]:
        """The index at the ends of the hours `[first, end)`, where the perpetual has a candle."""
        candles = self.universe.candles(
            contract.name, first * HOUR_MS - MINUTE_MS, (end - 1) * HOUR_MS
        )
        closes = candles.filter((pl.col("ticks") + MINUTE_MS) % HOUR_MS == 0)
        return {
            (ticks + MINUTE_MS) // HOUR_MS: round(
                close / (1 + self._premium(contract, (ticks + MINUTE_MS) // HOUR_MS)), 2
            )
            for ticks, close in closes.select("ticks", "close").iter_rows()
        }

    def _index_price(self, coin: str, hour: int) -> float | None:
        """The index at the end of an hour, None if the perpetual has no candle."""
        key = (coin, hour)
        if key not in self._indices:
            found = self._index_prices(self._perpetuals[coin], hour, hour + 1)
            if hour not in found:
                return None
            self._indices[key] = found[hour]
        return self._indices[key]

    def _delivery_price(self, coin: str, day: int) -> float | None:
        index = self._index_price(coin, (day * DAY_MS + _SETTLED_MS) // HOUR_MS)
        if index is None:
            return None
        share = draw(self.universe.seed, coin, "averaging", day)
        return round(
            index * (1 + _LOWEST_AVERAGING + (_HIGHEST_AVERAGING - _LOWEST_AVERAGING) * share), 2
        )

    def _settlement(self, contract: Contract, at_ms: int) -> Row:
        day = at_ms // DAY_MS
        is_delivery = contract.expires_ms == at_ms
        index = self._index_price(contract.base, at_ms // HOUR_MS)
        mark = index
        if is_delivery:
            index = mark = self._delivery_price(contract.base, day)
        elif index is not None and contract.expires_ms is not None:
            days = (contract.expires_ms - at_ms) / DAY_MS
            mark = round(index * (1 + _CARRY * days / _DAYS_PER_YEAR), 2)
        fewest, most = _DELAY_MS
        delay_ms = int(fewest + (most - fewest) * draw(contract.base, "settled", day) ** 3)
        contracts = 1 + int(_LARGEST_POSITION / 10 * self._draw(contract, "position", day))
        return {
            "type": "delivery" if is_delivery else "settlement",
            "timestamp": at_ms + delay_ms,
            "instrument_name": contract.name,
            "position": contracts * int(contract.contract_size),
            "index_price": index,
            "mark_price": mark,
            "profit_loss": round(2 * self._draw(contract, "profit", day) - 1, 9),
            "session_profit_loss": round(1000 * self._draw(contract, "session", day), 9),
        }

    def _draw(self, contract: Contract, word: str, time: int) -> float:
        return draw(self.universe.seed, contract.name, word, time)


def place(row: Row) -> tuple[int, str]:
    """Sort key of a settlement, by time, for lists and their continuation."""
    return int(str(row["timestamp"])), str(row["instrument_name"])


def _exercised(delivery: Row) -> list[Row]:
    """Rows of options that expire with a future: the exchange lists them among the others."""
    name = delivery["instrument_name"]
    return [
        delivery | {"type": "exercise", "instrument_name": f"{name}-{50_000 + 1000 * n}-P"}
        for n in range(_EXERCISED_OPTIONS)
    ]


def _hour(time_ms: int) -> int:
    """The last full hour since 1970 that has ended by a time."""
    return time_ms // HOUR_MS
