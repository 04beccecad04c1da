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

from ingest.rate_limit.allowance import CALLS, LISTS, Terms

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
class RateState:
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


def begun(state: RateState, remembered: float | None) -> RateState:
    """Start `auto` if no rate was found yet; return any other state unchanged.

    Args:
        state: as shared.
        remembered: calls a second that the exchange permitted earlier, None if unknown.
    """
    if state.target:
        return state
    if remembered:
        return replace(state, target=remembered, low=_LOW * remembered, doubt=_FIRST_DOUBT)
    # The rate soon exceeds what is permitted, so the first refusal is by the limit.
    most = CALLS.calls_per_second
    return replace(state, target=most, low=FIRST_CALLS_PER_SECOND, doubt=_FIRST_DOUBT)


def rate_at(state: RateState, terms: Terms) -> float:
    """Calls a second that are permitted now.

    Returns:
        The limit, or less while the rate rises; infinite without a limit. With T the target, L the
        low rate, n the calls since the last refusal and N the calls until it has settled: T - (T -
        L) x (1 - n / N)^3 up to N calls, and T + GROWTH x T x (n / N - 1)^3 after that: the curve
        of TCP (RFC 9438, CUBIC), over calls instead of time.
    """
    if not state.target or not (terms.is_auto or state.refused_at):
        return terms.most
    done = state.calls / _settled_calls(state) - 1
    swing = state.target - state.low if done < 0 else _GROWTH * state.target
    return min(terms.most, max(state.target + swing * done**3, SLOWEST_CALLS_PER_SECOND))


def is_settled(state: RateState) -> bool:
    """Whether the rate has risen to its target since the last refusal."""
    return state.calls >= _settled_calls(state)


def to_remember(state: RateState, terms: Terms) -> float | None:
    """Return the rate if a measurement, or many calls without a refusal, just showed that the
    exchange permits it; else None.
    """
    if not state.calls:
        is_measured = state.low == _LOW * state.target
        return min(state.target, terms.most) if is_measured else None
    return rate_at(state, terms) if state.calls % SETTLED_CALLS == 0 else None


def ask_leave(state: RateState, now: float, terms: Terms) -> tuple[RateState, float]:
    """Request a call now.

    Returns:
        The state after it and 0.0, or the state unchanged and the seconds until the next
        request is worthwhile.
    """
    if state.paused_until > now:
        return state, state.paused_until - now
    rate = rate_at(state, terms)
    if rate == math.inf:
        return state, 0.0
    turn = max(state.free_at, now - BURST_S)
    if turn > now:
        return state, turn - now
    is_void = now - state.free_at > _IDLE_S
    return (
        replace(
            state,
            free_at=turn + 1 / rate,
            calls=state.calls + 1,
            doubt=max(0.0, state.doubt - 1),
            measured_from=0.0 if is_void else state.measured_from,
            measured=state.measured + 1,
        ),
        0.0,
    )


def ask_leave_to_list(state: RateState, now: float) -> tuple[RateState, float]:
    """Request a call of `get_instruments`; see `ask_leave`. The user's limit does not apply."""
    if state.paused_until > now:
        return state, state.paused_until - now
    turn = max(state.lists_free_at, now - LISTS.burst_s)
    if turn > now:
        return state, turn - now
    return replace(state, lists_free_at=turn + 1 / LISTS.calls_per_second), 0.0


def refused(
    state: RateState, now: float, asked_at: float, terms: Terms, wait_s: float | None
) -> RateState:
    """Record that the exchange refused a call by its rate limit.

    Args:
        state: as shared.
        now: seconds.
        asked_at: when the refused call was granted. Of calls in flight at once only the first
            refusal reduces the rate.
        terms: of the user.
        wait_s: the reply's `Retry-After`, None where absent.
    """
    wait = min(wait_s, LONGEST_WAIT_S) if wait_s is not None else None
    if asked_at < state.paused_until:
        return replace(state, paused_until=max(state.paused_until, now + (wait or 0.0)))
    slowed = _slowed(state, now, terms)
    first_s = PAUSE_CALLS / rate_at(slowed, terms)
    growing = min(first_s * 2.0 ** min(state.refusals, 16), LONGEST_WAIT_S)
    until = now + (growing if wait is None else wait)
    return replace(
        slowed,
        paused_until=until,
        free_at=max(state.free_at, until),
        refused_at=now,
        refusals=state.refusals + 1,
    )


def _slowed(state: RateState, now: float, terms: Terms) -> RateState:
    """The state with the rates after a refusal."""
    rate = rate_at(state, terms)
    if rate == math.inf:
        rate = CALLS.calls_per_second
    # While the exchange is closed its refusals say nothing about a rate.
    doubt = state.doubt + (0.0 if state.refusals else DOUBT)
    again = replace(state, measured_from=now, measured=0.0, doubt=doubt)
    if not state.target:
        again = replace(again, target=rate, low=_LOW * rate, calls=SETTLED_CALLS)
    measured_s = now - state.measured_from
    if state.refusals or not state.measured_from or measured_s <= 0:
        return again
    # Without the refused call.
    granted = state.measured - 1
    if not state.doubt:
        # Calls lost in the pause count as granted, so a stranger's refusal reduces no rate.
        found = min(_SHORT * (granted + PAUSE_CALLS) / measured_s, terms.most)
        if abs(found / state.target - 1) > _NEAR:
            return again
        found = (state.target + found) / 2
        return replace(again, target=found, low=_LOW * found, calls=0.0)
    if doubt <= _MOST_DOUBT:
        return replace(state, doubt=doubt)
    found = min(max(granted / measured_s, CUT * rate), rate)
    if granted < _MEASURED_CALLS:
        return replace(state, target=rate, low=found, calls=0.0, doubt=doubt)
    return replace(again, target=found, low=_LOW * found, calls=0.0, doubt=0.0)


def answered(state: RateState) -> RateState:
    """Record an answer of the exchange: the next refusal is the first in a row again."""
    return replace(state, refusals=0.0)


def mean_rate(calls: int, seconds: float, most: float) -> float:
    """Return the calls a second of a run, at most the limit: the burst at its start does not count.

    Args:
        calls: of the run.
        seconds: since its start.
        most: the limit in calls a second, infinite for none.
    """
    return calls / (seconds + BURST_S + 1 / most)


def believable(state: RateState, now: float, terms: Terms) -> RateState:
    """Return the state, or a new one if it is too old to be useful, or if it has future times of a
    clock that was set back, or of another machine.
    """
    slowest = min(terms.most, SLOWEST_CALLS_PER_SECOND)
    latest = now + LONGEST_WAIT_S + 1 / slowest + LISTS.burst_s
    used = (state.free_at, state.lists_free_at, state.paused_until)
    times = (*used, state.measured_from, state.refused_at)
    if not all(0 <= time <= latest for time in times) or now - max(used) > FORGOTTEN_S:
        return RateState()
    return state


def _settled_calls(state: RateState) -> float:
    return min(SETTLED_CALLS, max(1.0, SETTLED_S * state.target))
