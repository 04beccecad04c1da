"""How fast to call: the exchange's own terms, and pure decisions over plain values.

Deribit counts credits. A call costs some, a pool holds some, and the pool is refilled steadily; a
call that finds too few is refused with error 10028. Calls are spaced here so that a pool is never
drawn down by more than a short burst, and when the exchange refuses all the same, every caller
waits and then comes back to the rate that held.
"""

import math
from dataclasses import dataclass, replace

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0

# Without an account Deribit publishes no allowance; users hold 15 to 20 calls a second. Five is a
# polite default that nobody was seen to be refused at.
DEFAULT_CALLS_PER_SECOND = 5.0

# A caller that was kept from calling may make up for so many seconds. The published pool would bear
# more, but what it holds for callers without an account is not published.
BURST_S = 0.25

# After a refusal: first this part of the rate that was refused, as TCP does (RFC 9438, CUBIC), and
# the whole of it again after so long; past that the rate goes on rising, slowly at first.
CUT = 0.5
RECOVERY_S = 30.0
SLOWEST_CALLS_PER_SECOND = 1.0
# By then the rate is above any.
_RECOVERED_S = 1e6


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the exchange publishes of one kind of calls (docs.deribit.com, Rate Limits).

    Attributes:
        cost: credits a call.
        pool: the most credits that can be saved up.
        refill: credits a second.
    """

    cost: int
    pool: int
    refill: int

    @property
    def calls_per_second(self) -> float:
        """What the refill pays for."""
        return self.refill / self.cost

    @property
    def burst_s(self) -> float:
        """How far calls may run ahead of the refill where the pool is full, in seconds of it."""
        return (self.pool - self.cost) / self.refill


CALLS = Allowance(cost=500, pool=50_000, refill=10_000)
LISTS = Allowance(cost=10_000, pool=500_000, refill=10_000)


@dataclass(frozen=True, slots=True)
class Pace:
    """What all callers share; times are seconds of one clock.

    Attributes:
        free_at: when the next call is paid for.
        lists_free_at: the same for calls of `get_instruments`.
        paused_until: no call is made before.
        refused_rate: calls a second at which the exchange refused last, 0 where it never did. Where
            no limit was set, what it publishes.
        refused_at: when the pause of that refusal ended; the rate recovers from then on.
        refusals: in a row, without an answer in between.
    """

    free_at: float = 0.0
    lists_free_at: float = 0.0
    paused_until: float = 0.0
    refused_rate: float = 0.0
    refused_at: float = 0.0
    refusals: float = 0.0


def rate_at(pace: Pace, now: float, most: float) -> float:
    """Calls a second that may be made now.

    Args:
        pace: as shared.
        now: seconds.
        most: the user's limit in calls a second, 0 for none.

    Returns:
        The limit, or less while the rate recovers from a refusal; infinite where nothing limits.
        With R the refused rate and t the seconds since the pause ended, the recovering rate is
        R + R x (1 - CUT) x ((t - RECOVERY_S) / RECOVERY_S)^3.
    """
    limit = most or math.inf
    if not pace.refused_rate:
        return limit
    since_s = min(max(0.0, now - pace.refused_at), _RECOVERED_S)
    done = (since_s - RECOVERY_S) / RECOVERY_S
    recovering = pace.refused_rate * (1 + (1 - CUT) * done**3)
    return min(limit, max(recovering, SLOWEST_CALLS_PER_SECOND))


def ask_leave(pace: Pace, now: float, most: float) -> tuple[Pace, float]:
    """Ask to make a call now.

    Returns:
        The pace after it and 0.0, or the pace unchanged and the seconds until it is worth asking
        again.
    """
    if pace.paused_until > now:
        return pace, pace.paused_until - now
    rate = rate_at(pace, now, most)
    turn = max(pace.free_at, now - BURST_S)
    if turn > now and rate < math.inf:
        return pace, turn - now
    return (replace(pace, free_at=turn + 1 / rate) if rate < math.inf else pace), 0.0


def ask_leave_to_list(pace: Pace, now: float) -> tuple[Pace, float]:
    """Ask to call `get_instruments` now; see `ask_leave`. No limit of the user's bears on it."""
    if pace.paused_until > now:
        return pace, pace.paused_until - now
    turn = max(pace.lists_free_at, now - LISTS.burst_s)
    if turn > now:
        return pace, turn - now
    return replace(pace, lists_free_at=turn + 1 / LISTS.calls_per_second), 0.0


def refused(pace: Pace, now: float, asked_at: float, most: float, wait_s: float | None) -> Pace:
    """Take note that the exchange refused a call because there were too many.

    Args:
        pace: as shared.
        now: seconds.
        asked_at: when the refused call had leave. Of calls under way at once only the first
            refusal slows the pace down.
        most: the user's limit in calls a second, 0 for none.
        wait_s: the reply's `Retry-After`, None where absent.
    """
    wait = min(wait_s, LONGEST_WAIT_S) if wait_s is not None else None
    if asked_at < pace.refused_at:
        paused_until = max(pace.paused_until, now + (wait or 0.0))
        return replace(pace, paused_until=paused_until)
    growing = min(2.0 * FIRST_WAIT_S * 2.0 ** min(pace.refusals, 16), LONGEST_WAIT_S)
    until = max(pace.paused_until, now + (growing if wait is None else wait))
    rate = rate_at(pace, now, most)
    return replace(
        pace,
        paused_until=until,
        free_at=max(pace.free_at, until),
        refused_rate=rate if rate < math.inf else CALLS.calls_per_second,
        refused_at=until,
        refusals=pace.refusals + 1,
    )


def answered(pace: Pace) -> Pace:
    """Take note that the exchange answered: the next refusal is the first in a row again."""
    return replace(pace, refusals=0.0)


def believable(pace: Pace, now: float, most: float) -> Pace:
    """Return the pace, without what a clock that was set back, or another machine's, left in it.

    Args:
        pace: as found.
        now: seconds.
        most: the user's limit in calls a second, 0 for none.
    """
    slowest = min(most, SLOWEST_CALLS_PER_SECOND) or SLOWEST_CALLS_PER_SECOND
    latest = now + LONGEST_WAIT_S + 1 / slowest + LISTS.burst_s
    times = (pace.free_at, pace.lists_free_at, pace.paused_until, pace.refused_at)
    return pace if all(0 <= time <= latest for time in times) else Pace()


def wait_before_retry_s(attempt: int, asked_s: float | None, jitter: float) -> float:
    """Seconds that one call waits after a failed attempt.

    What the exchange asked for, up to `LONGEST_WAIT_S`; else `FIRST_WAIT_S` x 2^(attempt - 1), up
    to the same, times 1 + jitter/2 so that threads do not come back at once.

    Args:
        attempt: how many attempts have failed, from 1.
        asked_s: the reply's `Retry-After`, None where absent.
        jitter: between 0 and 1, drawn anew each time.
    """
    if asked_s is not None:
        return min(asked_s, LONGEST_WAIT_S)
    growing = FIRST_WAIT_S * 2.0 ** min(attempt - 1, 16)
    return min(growing, LONGEST_WAIT_S) * (1 + jitter / 2)
