"""Counters of the exchange's calls, answers and connections, for tests and rehearsals."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from basislake.simulator.calls import CHART_METHOD, Call


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts since the start, or since the last reset.

    Attributes:
        calls: calls received.
        by_method: calls received, by method.
        answered: calls with a result, including changed candles and broken transports.
        refused: calls with wrong parameters, such as an unknown instrument.
        limited: calls refused with 10028 by the credit limit.
        by_fault: faults, by kind.
        repeats: candle calls equal to an earlier one.
        repeats_of_answered: repeats of a call that had been answered without a fault.
        candles: sent in the answers to candle calls.
        cached: candle calls answered from the cache of rendered pages.
        connections: open now, without refused ones.
        most_connections: largest number of connections open at once.
        turned_away: connections refused because too many were open.
    """

    calls: int
    by_method: Mapping[str, int]
    answered: int
    refused: int
    limited: int
    by_fault: Mapping[str, int]
    repeats: int
    repeats_of_answered: int
    candles: int
    cached: int
    connections: int
    most_connections: int
    turned_away: int


class Tally:
    """Counts what happens. Threads may share it."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._connections = 0
        self._reset()

    def _reset(self) -> None:
        self._calls: list[Call] = []
        self._methods: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._asked: set[Call] = set()
        self._known: set[Call] = set()
        self._counts: Counter[str] = Counter()
        self._most_connections = self._connections

    def forget(self) -> None:
        """Reset the counters; open connections stay counted."""
        with self._lock:
            self._reset()

    def received(self, call: Call) -> None:
        """Count a call that came in."""
        with self._lock:
            self._calls.append(call)
            self._methods[call.method] += 1
            if call.method != CHART_METHOD:
                return
            self._counts["repeats"] += call in self._asked
            self._counts["repeats_of_answered"] += call in self._known
            self._asked.add(call)

    def answered(self, call: Call, candles: int, *, flawless: bool, cached: bool) -> None:
        """Count an answer with so many candles; a flawless one met no fault."""
        with self._lock:
            self._counts["answered"] += 1
            self._counts["candles"] += candles
            self._counts["cached"] += cached
            if flawless and call.method == CHART_METHOD:
                self._known.add(call)

    def refused(self, why: Literal["refused", "limited"]) -> None:
        """Count a call with wrong parameters, or one beyond the credit limit."""
        with self._lock:
            self._counts[why] += 1

    def met(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self._faults[kind] += 1

    def connected(self, most: int) -> bool:
        """Count a connection if fewer than `most` are open; return False if it is refused."""
        with self._lock:
            if self._connections >= most:
                self._counts["turned_away"] += 1
                return False
            self._connections += 1
            self._most_connections = max(self._most_connections, self._connections)
            return True

    def disconnected(self) -> None:
        """Count the end of a connection."""
        with self._lock:
            self._connections -= 1

    @property
    def calls(self) -> list[Call]:
        """All calls received, in order."""
        with self._lock:
            return list(self._calls)

    @property
    def counters(self) -> Counters:
        """The counts as they are now."""
        with self._lock:
            count = self._counts
            return Counters(
                calls=len(self._calls),
                by_method=dict(self._methods),
                answered=count["answered"],
                refused=count["refused"],
                limited=count["limited"],
                by_fault=dict(self._faults),
                repeats=count["repeats"],
                repeats_of_answered=count["repeats_of_answered"],
                candles=count["candles"],
                cached=count["cached"],
                connections=self._connections,
                most_connections=self._most_connections,
                turned_away=count["turned_away"],
            )
