"""Rate limit by credits: a call costs credits of a pool that refills, as Deribit documents it."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

MOST_CONNECTIONS = 32
BURST_S = 5.0


@dataclass(frozen=True, slots=True)
class Pool:
    """Credits of one client, full at first.

    Attributes:
        cost: credits per call.
        size: credits of a full pool.
        refill: credits per second.
    """

    cost: float
    size: float
    refill: float


GENERAL = Pool(cost=500, size=50_000, refill=10_000)
# Methods with a pool of their own.
SPECIAL: Mapping[str, Pool] = {
    "get_instruments": Pool(cost=10_000, size=500_000, refill=10_000),
}


class CreditLimit:
    """Rate limit of one client. Threads may share it.

    Attributes:
        status: HTTP status of a refusal; error 10028 was seen on 200, 400 and 429.
    """

    def __init__(
        self,
        general: Pool = GENERAL,
        *,
        status: int = 429,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with full pools.

        Args:
            general: shared by all methods without a pool of their own.
            status: HTTP status of a refusal.
            clock: seconds, never going back.
        """
        self.status = status
        self._clock = clock
        self._general = _Purse(general, clock())
        self._purses = {method: _Purse(pool, clock()) for method, pool in SPECIAL.items()}
        self._lock = threading.Lock()

    @classmethod
    def per_second(
        cls,
        calls: float,
        *,
        burst: float | None = None,
        status: int = 429,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Make a limit of so many calls a second; `get_instruments` keeps its published pool.

        Args:
            calls: a second, above 0, in the long run.
            burst: calls that a full pool pays for, at least 1; by default the calls of 5 seconds,
                as in Deribit's published limits.
            status: HTTP status of a refusal.
            clock: seconds, never going back.
        """
        cost = GENERAL.cost
        most = max(1.0, BURST_S * calls if burst is None else burst)
        return cls(Pool(cost, cost * most, cost * calls), status=status, clock=clock)

    def grants(self, method: str) -> bool:
        """Pay for a call from the pool of its method (without `public/`); False if it cannot."""
        with self._lock:
            return self._purses.get(method, self._general).pay(self._clock())


class _Purse:
    """A pool's credits at a time."""

    def __init__(self, pool: Pool, now_s: float) -> None:
        self._pool = pool
        self._credits = pool.size
        self._at_s = now_s

    def pay(self, now_s: float) -> bool:
        passed_s = max(0.0, now_s - self._at_s)
        self._credits = min(self._pool.size, self._credits + passed_s * self._pool.refill)
        self._at_s = max(now_s, self._at_s)
        if self._credits < self._pool.cost:
            return False
        self._credits -= self._pool.cost
        return True
