"""Named faults, for use by name and probability."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from basislake.simulator import changes, fault_forms
from basislake.simulator.calls import Call
from basislake.simulator.fault_forms import AnyFault, Change, Changed

LOST_MINUTE = "lost-minute"

_RETRY_AFTER_S = 1.0
_MINUTE_MS = 60_000
_HALF_A_MINUTE_MS = _MINUTE_MS // 2

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


def _kind(name: str, effect: Effect, sentence: str, fault: AnyFault) -> FaultKind:
    """A fault of any method."""
    named = replace(fault, kind=name)
    return FaultKind(name, sentence, effect, lambda _call, _at: named)


def _change(
    name: str, effect: Effect, sentence: str, change: Callable[[Call, float], Change]
) -> FaultKind:
    """A changed answer of a candle call."""
    return FaultKind(
        name, sentence, effect, lambda call, at: Changed(change(call, at), name), of_candles=True
    )


_KINDS = (
    _kind(
        "throttled-429",
        "retry",
        "error 10028 with HTTP status 429",
        fault_forms.too_many_requests(),
    ),
    _kind(
        "throttled-429-retry-after",
        "retry",
        f"error 10028 with HTTP status 429 and Retry-After: {_RETRY_AFTER_S:g}",
        fault_forms.too_many_requests(_RETRY_AFTER_S),
    ),
    _kind(
        "throttled-400",
        "retry",
        "error 10028 with HTTP status 400",
        fault_forms.too_many_requests(status=400),
    ),
    _kind(
        "throttled-200",
        "retry",
        "error 10028 with HTTP status 200",
        fault_forms.too_many_requests(status=200),
    ),
    _kind(
        "concurrent",
        "retry",
        "error 10066, too many calls at once, with HTTP status 400",
        fault_forms.rpc_error(fault_forms.TOO_MANY_AT_ONCE, "too_many_concurrent_requests"),
    ),
    _kind(
        "bad-gateway", "retry", "HTTP status 502 with a page of HTML", fault_forms.server_error()
    ),
    _kind(
        "internal-error",
        "retry",
        "error 11094 with HTTP status 500",
        fault_forms.rpc_error(11094, "internal_server_error", status=500),
    ),
    _kind(
        "maintenance",
        "retry",
        "error 11051 with HTTP status 400",
        fault_forms.rpc_error(11051, "system_maintenance"),
    ),
    _kind(
        "closed-door",
        "stop",
        "error 11056, anonymous access switched off",
        fault_forms.closed_door(),
    ),
    _kind("reset", "retry", "the connection is reset, without an answer", fault_forms.Reset()),
    _kind(
        "truncated-body",
        "retry",
        "half of the body that Content-Length announces, then the connection closes",
        fault_forms.CutOff(),
    ),
    _kind(
        "trickle", "retry", "a byte of the body every quarter of a second", fault_forms.Trickle()
    ),
    _kind("hang", "retry", "no answer for 120 s, then the connection closes", fault_forms.Hang()),
    _change(
        "unequal-arrays",
        "retry",
        "one array is one value shorter than the others",
        lambda _call, _at: changes.shorten_column(),
    ),
    _change(
        "duplicate-tick",
        "retry",
        "one candle twice, with the same prices",
        lambda _call, at: changes.repeat_candle(at),
    ),
    _change(
        "conflicting-tick",
        "retry",
        "one candle twice, with different prices",
        lambda _call, at: changes.contradict_candle(at),
    ),
    _change(
        "out-of-order",
        "retry",
        "the candles in random order",
        lambda _call, at: changes.shuffle(int(at * 1e9)),
    ),
    _change(
        "outside-window",
        "retry",
        "an extra candle, of the minute before the window",
        lambda call, _at: changes.add_tick(_first_minute_ms(call) - _MINUTE_MS),
    ),
    _change(
        "off-minute",
        "retry",
        "an extra candle, 30 seconds after the minute",
        lambda call, _at: changes.add_tick(_first_minute_ms(call) + _HALF_A_MINUTE_MS),
    ),
    _change(
        "whole-numbers",
        "truth",
        "60000 instead of 60000.0",
        lambda _call, _at: changes.whole_numbers,
    ),
    _change(
        "null-cell", "data", "null instead of a close", lambda _call, at: changes.null_cell(at)
    ),
    _change(
        "no-data",
        "data",
        "status no_data, even in the middle of an instrument's life",
        lambda _call, _at: changes.no_data,
    ),
    _change(
        "newest-only",
        "data",
        "only the newer half of the candles",
        lambda _call, _at: changes.keep_newest_half,
    ),
    _change(
        "missing-minute",
        "data",
        "a minute is left out; a retry returns it",
        lambda _call, at: changes.drop_candle(at),
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


def _first_minute_ms(call: Call) -> int:
    """The first minute of a call's window; calls without a window never get here."""
    return (call.start_ms or 0) // _MINUTE_MS * _MINUTE_MS
