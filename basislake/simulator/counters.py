"""Counters of the exchange's calls, answers and connections, for tests and rehearsals."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from basislake.simulator.calls import CHART_METHOD, Call


@dataclass(slots=True)
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

    calls: int = 0
    by_method: Mapping[str, int] = field(default_factory=dict)
    answered: int = 0
    refused: int = 0
    limited: int = 0
    by_fault: Mapping[str, int] = field(default_factory=dict)
    repeats: int = 0
    repeats_of_answered: int = 0
    candles: int = 0
    cached: int = 0
    connections: int = 0
    most_connections: int = 0
    turned_away: int = 0


class Tally:
    """Counts what happens. Threads may share it."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._reset(0)

    def _reset(self, connections: int) -> None:
        self._calls: list[Call] = []
        self._methods: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._asked: set[Call] = set()
        self._known: set[Call] = set()
        self._now = Counters(connections=connections, most_connections=connections)

    def forget(self) -> None:
        """Reset the counters; open connections stay counted."""
        with self._lock:
            self._reset(self._now.connections)

    def received(self, call: Call) -> None:
        """Count a call that came in."""
        with self._lock:
            self._calls.append(call)
            self._methods[call.method] += 1
            if call.method != CHART_METHOD:
                return
            self._now.repeats += call in self._asked
            self._now.repeats_of_answered += call in self._known
            self._asked.add(call)

    def answered(self, call: Call, candles: int, *, flawless: bool, cached: bool) -> None:
        """Count an answer with so many candles; a flawless one met no fault."""
        with self._lock:
            self._now.answered += 1
            self._now.candles += candles
            self._now.cached += cached
            if flawless and call.method == CHART_METHOD:
                self._known.add(call)

    def refused(self, *, by_limit: bool) -> None:
        """Count a call beyond the credit limit, or else with wrong parameters."""
        with self._lock:
            self._now.limited += by_limit
            self._now.refused += not by_limit

    def met(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self._faults[kind] += 1

    def connected(self, most: int) -> bool:
        """Count a connection if fewer than `most` are open; return False if it is refused."""
        with self._lock:
            now = self._now
            if now.connections >= most:
                now.turned_away += 1
                return False
            now.connections += 1
            now.most_connections = max(now.most_connections, now.connections)
            return True

    def disconnected(self) -> None:
        """Count the end of a connection."""
        with self._lock:
            self._now.connections -= 1

    @property
    def calls(self) -> list[Call]:
        """All calls received, in order."""
        with self._lock:
            return list(self._calls)

    @property
    def counters(self) -> Counters:
        """The counts as they are now."""
        with self._lock:
            return replace(
                self._now,
                calls=len(self._calls),
                by_method=dict(self._methods),
                by_fault=dict(self._faults),
            )
