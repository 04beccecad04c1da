"""How fast to call: the exchange's own terms, and pure decisions over plain values.

Deribit counts credits. A call costs some, a pool holds some, and the pool is refilled steadily; a
call that finds too few is refused with error 10028. Calls are spaced here so that a pool is never
drawn down by more than a short burst. When the exchange refuses all the same, every caller pauses
for a moment. A refusal now and then, such as a stranger's at the same address, changes no rate.
Those of the limit come where calls are granted at the rate that was found, or in numbers: the pool
is empty at each, so the calls granted between them measure what the exchange permits. Calls go on
at that rate, and then rise slowly until the next refusal.
"""

import math
from dataclasses import dataclass, replace

from ingest.allowance import CALLS, LISTS, Terms

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0

# A caller that was kept from calling may make up for so many seconds. At 20 calls a second that
# is four calls at once, which a pool of five bears.
BURST_S = 0.15

# After a refusal nobody calls for as long as so many calls take, and twice as long after each
# further one without an answer in between. A small pool has refilled by then.
PAUSE_CALLS = 3.0

# `--rate auto` begins with so many calls a second, which nobody was seen to be refused at. Users
# hold 15 to 20 without an account.
FIRST_CALLS_PER_SECOND = 5.0
SLOWEST_CALLS_PER_SECOND = 1.0

# The rate rises to its target within so many calls, or so many seconds where that is fewer, and is
# tried above it after as many more. Each trial costs a refusal, so this keeps refusals below 1 %.
SETTLED_CALLS = 140.0
SETTLED_S = 30.0
# After a measurement calls go on with this part of it, and end this part above it.
_LOW, _GROWTH = 0.95, 0.1
# A measured rate is short of the truth by as much, since it contains the low rate at its begin.
_SHORT = 1.01
# A refusal is the limit's where calls were granted at the target, within this part of it.
_NEAR = 0.06
# Any other refusal adds this to the doubt that the rate is permitted, and each call takes one away.
# Above the most of it, as after five refusals within 50 calls, calls go on with what was granted
# between them. `auto` begins in doubt, so that it finds the limit after two or three.
DOUBT, _MOST_DOUBT, _FIRST_DOUBT = 50.0, 200.0, 450.0
# Fewer calls than this measure a rate too roughly to be a target. The rate that calls go on with
# is at least this part of the one that was refused.
_MEASURED_CALLS, CUT = 45.0, 0.5
# After so long without a call a pool is full whatever its size, and a measurement is void.
_IDLE_S = 5.0
# After so long without a call the pace begins again.
FORGOTTEN_S = 600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What all callers share; times are seconds of one clock.

    Attributes:
        free_at: when the next call is paid for.
        lists_free_at: the same for calls of `get_instruments`.
        paused_until: no call is made before.
        target: calls a second that the rate rises to and is then tried above, 0 before `auto` has
            begun and before the first refusal.
        low: calls a second from which it rises.
        calls: that had leave since the low rate.
        measured_from: when a measurement began, at a refusal; 0 for none.
        measured: calls that had leave since then.
        refused_at: when a call was refused last.
        doubt: that the rate is permitted; 0 where refusals were few.
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
    """Begin `auto` where nothing was found yet; return any other pace as it is.

    Args:
        pace: as shared.
        remembered: calls a second that the exchange permitted earlier, None where not known.
    """
    if pace.target:
        return pace
    if remembered:
        return replace(pace, target=remembered, low=_LOW * remembered, doubt=_FIRST_DOUBT)
    # The rate passes what is permitted soon, so the first refusal is no stranger's.
    most = CALLS.calls_per_second
    return replace(pace, target=most, low=FIRST_CALLS_PER_SECOND, doubt=_FIRST_DOUBT)


def rate_at(pace: Pace, terms: Terms) -> float:
    """Calls a second that may be made now.

    Returns:
        The limit, or less while the rate rises; infinite where nothing limits. With T the target,
        L the low rate, n the calls since the last refusal and N those until it has settled, it is
        T - (T - L) x (1 - n / N)^3 up to N calls, and T + GROWTH x T x (n / N - 1)^3 past that: the
        curve of TCP (RFC 9438, CUBIC), over calls in place of time.
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
    """Return the rate where the exchange was just found to permit it, by a measurement or by many
    calls without a refusal; else None.
    """
    if not pace.calls:
        is_measured = pace.low == _LOW * pace.target
        return min(pace.target, terms.most) if is_measured else None
    return rate_at(pace, terms) if pace.calls % SETTLED_CALLS == 0 else None


def ask_leave(pace: Pace, now: float, terms: Terms) -> tuple[Pace, float]:
    """Ask to make a call now.

    Returns:
        The pace after it and 0.0, or the pace unchanged and the seconds until it is worth asking
        again.
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
    """Ask to call `get_instruments` now; see `ask_leave`. No limit of the user's bears on it."""
    if pace.paused_until > now:
        return pace, pace.paused_until - now
    turn = max(pace.lists_free_at, now - LISTS.burst_s)
    if turn > now:
        return pace, turn - now
    return replace(pace, lists_free_at=turn + 1 / LISTS.calls_per_second), 0.0


def refused(pace: Pace, now: float, asked_at: float, terms: Terms, wait_s: float | None) -> Pace:
    """Take note that the exchange refused a call because there were too many.

    Args:
        pace: as shared.
        now: seconds.
        asked_at: when the refused call had leave. Of calls under way at once only the first
            refusal slows the pace down.
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
    # While the exchange is closed its refusals say nothing of a rate.
    doubt = pace.doubt + (0.0 if pace.refusals else DOUBT)
    again = replace(pace, measured_from=now, measured=0.0, doubt=doubt)
    if not pace.target:
        again = replace(again, target=rate, low=_LOW * rate, calls=SETTLED_CALLS)
    measured_s = now - pace.measured_from
    if pace.refusals or not pace.measured_from or measured_s <= 0:
        return again
    # Not counting the call that was refused.
    granted = pace.measured - 1
    if not pace.doubt:
        # Those that the pause cost are counted, so a stranger's refusal lowers no rate.
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
    """Take note that the exchange answered: the next refusal is the first in a row again."""
    return replace(pace, refusals=0.0)


def mean_rate(calls: int, seconds: float, most: float) -> float:
    """Return the calls a second of a run; what may be called at once at its start is no speed, so
    this is never above the limit.

    Args:
        calls: that it made.
        seconds: since its start.
        most: the limit in calls a second, infinite for none.
    """
    return calls / (seconds + BURST_S + 1 / most)


def believable(pace: Pace, now: float, terms: Terms) -> Pace:
    """Return the pace, or a new one where it is too old to say anything, or where a clock that was
    set back, or another machine's, left times in it that are still to come.

    Args:
        pace: as found.
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
