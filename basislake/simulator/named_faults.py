"""Named faults, for use by name and probability."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from basislake.simulator import changes
from basislake.simulator.calls import Call
from basislake.simulator.fault_forms import (
    TOO_MANY_AT_ONCE,
    AnyFault,
    Change,
    Changed,
    CutOff,
    Hang,
    Reset,
    Trickle,
    closed_door,
    rpc_error,
    server_error,
    too_many_requests,
)

LOST_MINUTE = "lost-minute"

_RETRY_AFTER_S = 1.0
_MINUTE_MS = 60_000

# What a fault does to a client without mistakes.
Effect: TypeAlias = Literal["retry", "truth", "data", "stop"]
EFFECTS: Mapping[Effect, str] = {
    "retry": "a retry gets the right answer",
    "truth": "the answer is right, in another form",
    "data": "the data is wrong, but looks valid",
    "stop": "the client can only stop",
}
# Makes a fault from the call and a number in [0, 1), the relative position in the answer.
Make: TypeAlias = Callable[[Call, float], AnyFault]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A named fault.

    Attributes:
        name: as it is asked for and counted.
        sentence: what it does.
        effect: what it does to a client without mistakes.
        make: makes the fault; None for the lost minutes, which are drawn by the day.
        of_candles: whether it meets candle calls only.
    """

    name: str
    sentence: str
    effect: Effect
    make: Make | None
    of_candles: bool = False


def _kind(name: str, sentence: str, fault: AnyFault, effect: Effect = "retry") -> FaultKind:
    """A fault of any method."""
    named = replace(fault, kind=name)
    return FaultKind(name, sentence, effect, lambda _call, _at: named)


def _change(
    name: str, sentence: str, change: Callable[[float], Change], effect: Effect = "retry"
) -> FaultKind:
    """A changed answer of a candle call; the change gets the position in the answer."""
    return FaultKind(
        name, sentence, effect, lambda _call, at: Changed(change(at), name), of_candles=True
    )


def _extra(name: str, sentence: str, away_ms: int) -> FaultKind:
    """An extra candle in the answer, so far from the first minute of the call's window."""

    def make(call: Call, _at: float) -> AnyFault:
        # A call without a window never gets here.
        first_ms = (call.start_ms or 0) // _MINUTE_MS * _MINUTE_MS
        return Changed(changes.add_tick(first_ms + away_ms), name)

    return FaultKind(name, sentence, "retry", make, of_candles=True)


_KINDS = (
    _kind("throttled-429", "error 10028 with HTTP status 429", too_many_requests()),
    _kind(
        "throttled-429-retry-after",
        f"error 10028 with HTTP status 429 and Retry-After: {_RETRY_AFTER_S:g}",
        too_many_requests(_RETRY_AFTER_S),
    ),
    _kind("throttled-400", "error 10028 with HTTP status 400", too_many_requests(status=400)),
    _kind("throttled-200", "error 10028 with HTTP status 200", too_many_requests(status=200)),
    _kind(
        "concurrent",
        "error 10066, too many calls at once, with HTTP status 400",
        rpc_error(TOO_MANY_AT_ONCE, "too_many_concurrent_requests"),
    ),
    _kind("bad-gateway", "HTTP status 502 with a page of HTML", server_error()),
    _kind(
        "internal-error",
        "error 11094 with HTTP status 500",
        rpc_error(11094, "internal_server_error", status=500),
    ),
    _kind(
        "maintenance", "error 11051 with HTTP status 400", rpc_error(11051, "system_maintenance")
    ),
    _kind("closed-door", "error 11056, anonymous access switched off", closed_door(), "stop"),
    _kind("reset", "the connection is reset, without an answer", Reset()),
    _kind(
        "truncated-body",
        "half of the body that Content-Length announces, then the connection closes",
        CutOff(),
    ),
    _kind("trickle", "a byte of the body every quarter of a second", Trickle()),
    _kind("hang", "no answer for 120 s, then the connection closes", Hang()),
    _change(
        "unequal-arrays",
        "one array is one value shorter than the others",
        lambda _at: changes.shorten_column(),
    ),
    _change("duplicate-tick", "one candle twice, with the same prices", changes.repeat_candle),
    _change(
        "conflicting-tick", "one candle twice, with different prices", changes.contradict_candle
    ),
    _change(
        "out-of-order", "the candles in random order", lambda at: changes.shuffle(int(at * 1e9))
    ),
    _extra("outside-window", "an extra candle, of the minute before the window", -_MINUTE_MS),
    _extra("off-minute", "an extra candle, 30 seconds after the minute", _MINUTE_MS // 2),
    _change(
        "whole-numbers", "60000 instead of 60000.0", lambda _at: changes.whole_numbers, "truth"
    ),
    _change("null-cell", "null instead of a close", changes.null_cell, "data"),
    _change(
        "no-data",
        "status no_data, even in the middle of an instrument's life",
        lambda _at: changes.no_data,
        "data",
    ),
    _change(
        "newest-only",
        "only the newer half of the candles",
        lambda _at: changes.keep_newest_half,
        "data",
    ),
    _change(
        "missing-minute", "a minute is left out; a retry returns it", changes.drop_candle, "data"
    ),
    FaultKind(
        LOST_MINUTE,
        "the same minute is missing from every answer; probability per instrument and day",
        "data",
        None,
        of_candles=True,
    ),
)

KINDS: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}


def read_rates(texts: Iterable[str]) -> dict[str, float]:
    """Return probabilities by kind, read of texts such as `reset=0.01,hang=0.001`.

    Raises:
        ValueError: a text is not of that form; kinds and probabilities are not checked.
    """
    rates: dict[str, float] = {}
    for pair in ",".join(texts).split(","):
        name, equals, number = pair.strip().partition("=")
        if not name and not equals:
            continue
        try:
            rates[name.strip()] = float(number)
        except ValueError:
            raise ValueError(f"{pair!r} is not of the form KIND=PROBABILITY") from None
    return rates
