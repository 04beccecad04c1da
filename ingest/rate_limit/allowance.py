"""The exchange's published rate limits, and the rate that the user permits."""

import math
from dataclasses import dataclass
from typing import Final, Literal

AUTO: Final = "auto"
# Calls a second, 0 for no limit, or `auto`.
Rate = float | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """The published limit of one kind of calls (docs.deribit.com, Rate Limits).

    Attributes:
        cost: credits a call.
        pool: the most credits that can be saved.
        refill: credits a second.
    """

    cost: int
    pool: int
    refill: int

    @property
    def calls_per_second(self) -> float:
        """The rate that the refill permits."""
        return self.refill / self.cost

    @property
    def burst_s(self) -> float:
        """How far calls may run ahead of the refill when the pool is full, in seconds of refill."""
        return (self.pool - self.cost) / self.refill


CALLS = Allowance(cost=500, pool=50_000, refill=10_000)
LISTS = Allowance(cost=10_000, pool=500_000, refill=10_000)


@dataclass(frozen=True, slots=True)
class Terms:
    """The user's limit.

    Attributes:
        most: calls a second, infinite without a limit.
        is_auto: whether the rate starts lower and rises to `most`.
    """

    most: float
    is_auto: bool = False


def terms_of(rate: Rate) -> Terms:
    """Return the terms of a setting: calls a second, 0 for no limit, or `auto`."""
    if rate == AUTO:
        return Terms(CALLS.calls_per_second, is_auto=True)
    return Terms(rate or math.inf)
