"""The rate limit policy: the exchange's credits, and pure decisions over plain values.

Deribit counts credits. A call costs some, a pool holds some, and the pool is refilled steadily; a
call without enough credits is refused with error 10028. Calls are spaced here so that a pool never
loses more than a short burst. If the exchange refuses a call nevertheless, all processes pause for
a moment. A rare refusal, such as one caused by a stranger at the same address, changes no rate.
Refusals by the limit come when calls are granted at the found rate, or in numbers: the pool is
empty at each, so the calls granted between them measure what the exchange permits. Calls continue
at that rate, which then rises slowly until the next refusal.
"""

import math
from dataclasses import dataclass, replace

from ingest.allowance import CALLS, LISTS, Terms

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0

# After a delay calls may catch up for so many seconds. At 20 calls a second that is four calls at
# once, which a pool of five permits.
BURST_S = 0.15

# After a refusal all processes pause for the time of so many calls, and twice as long after each
# further refusal without an answer in between. A small pool has refilled by then.
PAUSE_CALLS = 3.0

# `--rate auto` begins at this rate, which the exchange was never seen to refuse. Users measure
# 15 to 20 without an account.
FIRST_CALLS_PER_SECOND = 5.0
SLOWEST_CALLS_PER_SECOND = 1.0

# The rate rises to its target within so many calls, or so many seconds if that is fewer, and above
# it after as many more. Each such trial costs a refusal; this keeps refusals below 1 %.
SETTLED_CALLS = 140.0
SETTLED_S = 30.0
# After a measurement calls continue at this part of it, and end this part above it.
_LOW, _GROWTH = 0.95, 0.1
# A measured rate is too low by as much, since it includes the low rate at its start.
_SHORT = 1.01
# A refusal is by the limit if calls were granted at the target, within this part of it.
_NEAR = 0.06
# Any other refusal adds this to the doubt whether the rate is permitted, and each call subtracts
# one. Above this maximum, as after five refusals within 50 calls, calls continue at the rate that
# was granted between them. `auto` begins in doubt, so it finds the limit after two or three.
DOUBT, _MOST_DOUBT, _FIRST_DOUBT = 50.0, 200.0, 450.0
# Fewer calls than this measure a rate too roughly to be a target. The next rate is at least this
# part of the one that was refused.
_MEASURED_CALLS, CUT = 45.0, 0.5
# After so long without a call any pool is full, and a measurement is void.
_IDLE_S = 5.0
# After so long without a call the state starts from scratch.
FORGOTTEN_S = 600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The state that all processes share; times are seconds of one clock.

    Attributes:
        free_at: time from which the next call is paid for.
        lists_free_at: the same for calls of `get_instruments`.
        paused_until: time before which no call is made.
        target: calls a second to which the rate rises and then exceeds slowly, 0 before `auto`
            starts and before the first refusal.
        low: calls a second from which it rises.
        calls: granted since the low rate.
        measured_from: start of a measurement, at a refusal; 0 for none.
        measured: calls granted since then.
        refused_at: time of the last refusal.
        doubt: whether the rate is permitted; 0 after few refusals.
        refusals: in a row, without an answer in between.
    """

    free_at: float = 0.0
    lists_free_at: float = 0.0
    paused_until: float = 0.0
    target: float = 0.0
    low: float = 0.0
    calls: float = 0.0
    measured_from: float = 0.0
    measured: float = 0.0
    refused_at: float = 0.0
    doubt: float = 0.0
    refusals: float = 0.0


def begun(pace: Pace, remembered: float | None) -> Pace:
    """Start `auto` if no rate was found yet; return any other pace unchanged.

    Args:
        pace: as shared.
        remembered: calls a second that the exchange permitted earlier, None if unknown.
    """
    if pace.target:
        return pace
    if remembered:
        return replace(pace, target=remembered, low=_LOW * remembered, doubt=_FIRST_DOUBT)
    # The rate soon exceeds what is permitted, so the first refusal is by the limit.
    most = CALLS.calls_per_second
    return replace(pace, target=most, low=FIRST_CALLS_PER_SECOND, doubt=_FIRST_DOUBT)


def rate_at(pace: Pace, terms: Terms) -> float:
    """Calls a second that are permitted now.

    Returns:
        The limit, or less while the rate rises; infinite without a limit. With T the target, L the
        low rate, n the calls since the last refusal and N the calls until it has settled: T - (T -
        L) x (1 - n / N)^3 up to N calls, and T + GROWTH x T x (n / N - 1)^3 after that: the curve
        of TCP (RFC 9438, CUBIC), over calls instead of time.
    """
    if not pace.target or not (terms.is_auto or pace.refused_at):
        return terms.most
    done = pace.calls / _settled_calls(pace) - 1
    swing = pace.target - pace.low if done < 0 else _GROWTH * pace.target
    return min(terms.most, max(pace.target + swing * done**3, SLOWEST_CALLS_PER_SECOND))


def is_settled(pace: Pace) -> bool:
    """Whether the rate has risen to its target since the last refusal."""
    return pace.calls >= _settled_calls(pace)


def to_remember(pace: Pace, terms: Terms) -> float | None:
    """Return the rate if a measurement, or many calls without a refusal, just showed that the
    exchange permits it; else None.
    """
    if not pace.calls:
        is_measured = pace.low == _LOW * pace.target
        return min(pace.target, terms.most) if is_measured else None
    return rate_at(pace, terms) if pace.calls % SETTLED_CALLS == 0 else None


def ask_leave(pace: Pace, now: float, terms: Terms) -> tuple[Pace, float]:
    """Request a call now.

    Returns:
        The pace after it and 0.0, or the pace unchanged and the seconds until the next
        request is worthwhile.
    """
    if pace.paused_until > now:
        return pace, pace.paused_until - now
    rate = rate_at(pace, terms)
    if rate == math.inf:
        return pace, 0.0
    turn = max(pace.free_at, now - BURST_S)
    if turn > now:
        return pace, turn - now
    is_void = now - pace.free_at > _IDLE_S
    return (
        replace(
            pace,
            free_at=turn + 1 / rate,
            calls=pace.calls + 1,
            doubt=max(0.0, pace.doubt - 1),
            measured_from=0.0 if is_void else pace.measured_from,
            measured=pace.measured + 1,
        ),
        0.0,
    )


def ask_leave_to_list(pace: Pace, now: float) -> tuple[Pace, float]:
    """Request a call of `get_instruments`; see `ask_leave`. The user's limit does not apply."""
    if pace.paused_until > now:
        return pace, pace.paused_until - now
    turn = max(pace.lists_free_at, now - LISTS.burst_s)
    if turn > now:
        return pace, turn - now
    return replace(pace, lists_free_at=turn + 1 / LISTS.calls_per_second), 0.0


def refused(pace: Pace, now: float, asked_at: float, terms: Terms, wait_s: float | None) -> Pace:
    """Record that the exchange refused a call by its rate limit.

    Args:
        pace: as shared.
        now: seconds.
        asked_at: when the refused call was granted. Of calls in flight at once only the first
            refusal reduces the rate.
        terms: of the user.
        wait_s: the reply's `Retry-After`, None where absent.
    """
    wait = min(wait_s, LONGEST_WAIT_S) if wait_s is not None else None
    if asked_at < pace.paused_until:
        return replace(pace, paused_until=max(pace.paused_until, now + (wait or 0.0)))
    slowed = _slowed(pace, now, terms)
    first_s = PAUSE_CALLS / rate_at(slowed, terms)
    growing = min(first_s * 2.0 ** min(pace.refusals, 16), LONGEST_WAIT_S)
    until = now + (growing if wait is None else wait)
    return replace(
        slowed,
        paused_until=until,
        free_at=max(pace.free_at, until),
        refused_at=now,
        refusals=pace.refusals + 1,
    )


def _slowed(pace: Pace, now: float, terms: Terms) -> Pace:
    """The pace with the rates after a refusal.

    Args:
        pace: as shared.
        now: seconds.
        terms: of the user.
    """
    rate = rate_at(pace, terms)
    if rate == math.inf:
        rate = CALLS.calls_per_second
    # While the exchange is closed its refusals say nothing about a rate.
    doubt = pace.doubt + (0.0 if pace.refusals else DOUBT)
    again = replace(pace, measured_from=now, measured=0.0, doubt=doubt)
    if not pace.target:
        again = replace(again, target=rate, low=_LOW * rate, calls=SETTLED_CALLS)
    measured_s = now - pace.measured_from
    if pace.refusals or not pace.measured_from or measured_s <= 0:
        return again
    # Without the refused call.
    granted = pace.measured - 1
    if not pace.doubt:
        # Calls lost in the pause count as granted, so a stranger's refusal reduces no rate.
        found = min(_SHORT * (granted + PAUSE_CALLS) / measured_s, terms.most)
        if abs(found / pace.target - 1) > _NEAR:
            return again
        found = (pace.target + found) / 2
        return replace(again, target=found, low=_LOW * found, calls=0.0)
    if doubt <= _MOST_DOUBT:
        return replace(pace, doubt=doubt)
    found = min(max(granted / measured_s, CUT * rate), rate)
    if granted < _MEASURED_CALLS:
        return replace(pace, target=rate, low=found, calls=0.0, doubt=doubt)
    return replace(again, target=found, low=_LOW * found, calls=0.0, doubt=0.0)


def answered(pace: Pace) -> Pace:
    """Record an answer of the exchange: the next refusal is the first in a row again."""
    return replace(pace, refusals=0.0)


def mean_rate(calls: int, seconds: float, most: float) -> float:
    """Return the calls a second of a run, at most the limit: the burst at its start does not
    count.

    Args:
        calls: of the run.
        seconds: since its start.
        most: the limit in calls a second, infinite for none.
    """
    return calls / (seconds + BURST_S + 1 / most)


def believable(pace: Pace, now: float, terms: Terms) -> Pace:
    """Return the pace, or a new one if it is too old to be useful, or if a clock that was set back,
    or another machine's, wrote future times.

    Args:
        pace: as read.
        now: seconds.
        terms: of the user.
    """
    slowest = min(terms.most, SLOWEST_CALLS_PER_SECOND)
    latest = now + LONGEST_WAIT_S + 1 / slowest + LISTS.burst_s
    used = (pace.free_at, pace.lists_free_at, pace.paused_until)
    times = (*used, pace.measured_from, pace.refused_at)
    if not all(0 <= time <= latest for time in times) or now - max(used) > FORGOTTEN_S:
        return Pace()
    return pace


def _settled_calls(pace: Pace) -> float:
    return min(SETTLED_CALLS, max(1.0, SETTLED_S * pace.target))


def wait_before_retry_s(attempt: int, asked_s: float | None, jitter: float) -> float:
    """Seconds that one call waits after a failed attempt.

    The seconds that the exchange asked for, up to `LONGEST_WAIT_S`; else `FIRST_WAIT_S` x
    2^(attempt - 1), up to the same, times 1 + jitter/2 so that threads do not retry at once.

    Args:
        attempt: how many attempts have failed, from 1.
        asked_s: the reply's `Retry-After`, None where absent.
        jitter: between 0 and 1, drawn again each time.
    """
    if asked_s is not None:
        return min(asked_s, LONGEST_WAIT_S)
    growing = FIRST_WAIT_S * 2.0 ** min(attempt - 1, 16)
    return min(growing, LONGEST_WAIT_S) * (1 + jitter / 2)
