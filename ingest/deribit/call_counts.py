"""How many calls were made for something, and how they went."""

from dataclasses import dataclass


@dataclass(slots=True)
class CallCounts:
    """Counts of calls so far; used by one thread.

    Attributes:
        calls: calls for rows, repeats included.
        retries: calls that repeated a transient failure.
        throttled: calls that the rate limit refused.
    """

    calls: int = 0
    retries: int = 0
    throttled: int = 0

    def add(self, other: "CallCounts") -> None:
        """Add another tally."""
        self.calls += other.calls
        self.retries += other.retries
        self.throttled += other.throttled
