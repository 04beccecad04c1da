"""How fast to call: the exchange's own terms, and pure decisions over plain values.

Deribit counts credits. A call costs some, a pool holds some, and the pool is refilled steadily; a
call that finds too few is refused with error 10028. Calls are spaced here so that a pool is never
drawn down by more than a short burst. When the exchange refuses all the same, every caller pauses
for a moment. A refusal now and then does not change the rate. Where refusals come often, calls go
on at the rate that was granted between the last two (the pool was empty at both), and then recover.
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

# Nobody calls for so long after a refusal, and twice as long after each further one without an
# answer in between. A small pool is full again by then, so a longer pause would waste calls.
FIRST_PAUSE_S = 0.25

# Refusals with more calls than this between them, on a moving average, are isolated: of calls that
# came a little early, or of others at the same address. They do not change the rate.
ISOLATED_CALLS = 60.0
# More calls without a refusal count as this many, so that a changed limit is noticed soon.
_MOST_CALLS_BETWEEN = 200.0
# Where refusals come more often, calls go on at the rate that was granted, at least at this part of
# the rate that was refused. The whole of it is tried again after RECOVERY_S, as in TCP (RFC 9438,
# CUBIC), and past that the rate goes on rising, slowly at first.
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
        refused_rate: calls a second that the exchange was found not to permit, 0 where it never
            was. Where no limit was set, what it publishes.
        granted_rate: calls a second from which the rate recovers to that.
        recovers_from: when it began to.
        refused_at: when a call was refused last, which is when the pool was empty.
        calls: that had leave since then.
        calls_between: moving average of the calls between two refusals.
        refusals: in a row, without an answer in between.
    """

    free_at: float = 0.0
    lists_free_at: float = 0.0
    paused_until: float = 0.0
    refused_rate: float = 0.0
    granted_rate: float = 0.0
    recovers_from: float = 0.0
    refused_at: float = 0.0
    calls: float = 0.0
    calls_between: float = _MOST_CALLS_BETWEEN
    refusals: float = 0.0


def rate_at(pace: Pace, now: float, most: float) -> float:
    """Calls a second that may be made now.

    Args:
        pace: as shared.
        now: seconds.
        most: the user's limit in calls a second, 0 for none.

    Returns:
        The limit, or less while the rate recovers from a refusal; infinite where nothing limits.
        With R the refused rate, G the granted one and t the seconds of recovery, it is
        R - (R - G) x (1 - t / RECOVERY_S)^3 up to RECOVERY_S, and with CUT x R for G past that.
    """
    limit = most or math.inf
    if not pace.refused_rate:
        return limit
    since_s = min(max(0.0, now - pace.recovers_from), _RECOVERED_S)
    done = (since_s - RECOVERY_S) / RECOVERY_S
    low = pace.granted_rate if done < 0 else CUT * pace.refused_rate
    recovering = pace.refused_rate + (pace.refused_rate - low) * done**3
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
    if rate == math.inf:
        return pace, 0.0
    return replace(pace, free_at=turn + 1 / rate, calls=pace.calls + 1), 0.0


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
    if asked_at < pace.paused_until:
        return replace(pace, paused_until=max(pace.paused_until, now + (wait or 0.0)))
    growing = min(FIRST_PAUSE_S * 2.0 ** min(pace.refusals, 16), LONGEST_WAIT_S)
    until = now + (growing if wait is None else wait)
    return replace(
        _slowed(pace, now, until, most),
        paused_until=until,
        free_at=max(pace.free_at, until),
        refused_at=now,
        calls=0.0,
        refusals=pace.refusals + 1,
    )


def answered(pace: Pace) -> Pace:
    """Take note that the exchange answered: the next refusal is the first in a row again."""
    return replace(pace, refusals=0.0)


def mean_rate(calls: int, seconds: float, most: float) -> float:
    """Return the calls a second of a run; what may be called at once at its start is no speed, so
    this is never above the limit.

    Args:
        calls: that it made.
        seconds: since its start.
        most: the user's limit in calls a second, 0 for none.
    """
    return calls / (seconds + BURST_S + (1 / most if most else 0.0))


def believable(pace: Pace, now: float, most: float) -> Pace:
    """Return the pace, without what a clock that was set back, or another machine's, left in it.

    Args:
        pace: as found.
        now: seconds.
        most: the user's limit in calls a second, 0 for none.
    """
    slowest = min(most, SLOWEST_CALLS_PER_SECOND) or SLOWEST_CALLS_PER_SECOND
    latest = now + LONGEST_WAIT_S + 1 / slowest + LISTS.burst_s
    times = (
        pace.free_at,
        pace.lists_free_at,
        pace.paused_until,
        pace.recovers_from,
        pace.refused_at,
    )
    return pace if all(0 <= time <= latest for time in times) else Pace()


def _slowed(pace: Pace, now: float, until: float, most: float) -> Pace:
    """The pace after a refusal, with a lower rate where the rate of now is evidently not permitted.

    Args:
        pace: as shared.
        now: seconds.
        until: when calls are made again.
        most: the user's limit in calls a second, 0 for none.
    """
    rate, granted = rate_at(pace, now, most), 0.0
    if rate == math.inf:
        rate = CALLS.calls_per_second
    elif pace.refusals or not 0 < pace.refused_at < now:
        # One refusal says nothing of a rate; nor do more, while the exchange is closed anyway.
        return pace
    else:
        between = (pace.calls_between + min(pace.calls, _MOST_CALLS_BETWEEN)) / 2
        if between > ISOLATED_CALLS:
            return replace(pace, calls_between=between)
        # Not counting the call that was refused.
        granted = min((pace.calls - 1) / (now - pace.refused_at), rate)
    return replace(
        pace,
        refused_rate=rate,
        granted_rate=max(granted, CUT * rate),
        recovers_from=until,
        calls_between=_MOST_CALLS_BETWEEN,
    )


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
