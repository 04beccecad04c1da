"""Forms of faults: another reply instead of the good one, a broken transport of the good reply, or
a good reply with a changed result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from basislake.simulator import envelope

TOO_MANY_REQUESTS = 10028
TOO_MANY_AT_ONCE = 10066
CLOSED_DOOR = 11056

# The bytes, or a function that makes them from the exchange's clock (UTC milliseconds).
Body: TypeAlias = bytes | Callable[[int], bytes]
# A result of candles as the exchange sends it: status, and seven arrays by name.
Columns: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Columns], Columns]

JSON: Mapping[str, str] = {"Content-Type": "application/json"}
HTML: Mapping[str, str] = {"Content-Type": "text/html"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A reply in place of the normal answer.

    Attributes:
        status: HTTP status.
        body: the reply's bytes, or a function that makes them from the exchange's clock in ms.
        headers: HTTP headers; the length is added.
        delay_s: seconds to wait before replying.
        kind: its name in the counters.
    """

    status: int
    body: Body
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    delay_s: float = 0.0
    kind: str = "reply"

    def rendered(self, now_ms: int) -> bytes:
        """Return the body as of the exchange's clock."""
        return self.body if isinstance(self.body, bytes) else self.body(now_ms)


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer: the connection is reset."""

    kind: str = "reset"


@dataclass(frozen=True, slots=True)
class CutOff:
    """The good answer, cut off: its full length is announced, but only a share of it is sent.

    Attributes:
        share: of the body's bytes that is sent, below 1.
        kind: its name in the counters.
    """

    share: float = 0.5
    kind: str = "truncated-body"


@dataclass(frozen=True, slots=True)
class Trickle:
    """The good answer, sent slowly, a few bytes at a time.

    Attributes:
        interval_s: seconds between two writes.
        step_bytes: sent at each.
        kind: its name in the counters.
    """

    interval_s: float = 0.25
    step_bytes: int = 1
    kind: str = "trickle"


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer for a time, then the end of the connection.

    Attributes:
        seconds: how long; less if the client leaves or the server stops.
        kind: its name in the counters.
    """

    seconds: float = 120.0
    kind: str = "hang"


@dataclass(frozen=True, slots=True)
class Changed:
    """The good answer of a call, changed.

    Attributes:
        change: from the good result to the sent one; it makes a new result, or returns the good
            one itself if there is nothing to change.
        kind: its name in the counters.
    """

    change: Callable[[Any], Any]
    kind: str = "changed"


Transport: TypeAlias = Reset | CutOff | Trickle | Hang
AnyFault: TypeAlias = Fault | Transport | Changed


def too_many_requests(retry_after_s: float | None = None, status: int = 429) -> Fault:
    """The rate limit: error 10028, with `Retry-After` if seconds are given.

    Args:
        retry_after_s: seconds for the header; None for no header.
        status: HTTP status; it was seen on 200, 400 and 429.
    """
    fault = rpc_error(TOO_MANY_REQUESTS, "too_many_requests", status)
    if retry_after_s is None:
        return replace(fault, kind=f"throttled-{status}")
    headers = {**JSON, "Retry-After": f"{retry_after_s:g}"}
    return replace(fault, headers=headers, kind=f"throttled-{status}-retry-after")


def server_error() -> Fault:
    """A failing proxy: HTTP 502 with a body of HTML."""
    body = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return Fault(502, body, HTML, kind="bad-gateway")


def rpc_error(code: int, message: str, status: int = 400) -> Fault:
    """An error of the exchange, in a JSON-RPC envelope.

    Args:
        code: JSON-RPC's or Deribit's error code.
        message: its short name.
        status: HTTP status; Deribit sends errors on 200, too.
    """
    kind = f"error-{code}"
    return Fault(status, lambda now_ms: envelope.failure(code, message, now_ms), kind=kind)


def closed_door() -> Fault:
    """Anonymous access switched off: error 11056."""
    message = "unauthenticated_public_requests_temporarily_disabled"
    return replace(rpc_error(CLOSED_DOOR, message), kind="closed-door")


def reply(result: object) -> Fault:
    """Any result, in a good envelope."""
    return Fault(200, lambda now_ms: envelope.success(result, now_ms))
