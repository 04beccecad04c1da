"""Faults: replies the exchange gives in place of the normal answer, as a test asks for them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from basislake.exchange import envelope

TOO_MANY_REQUESTS = 10028

# Either the bytes, or how to make them of the exchange's clock (UTC milliseconds).
Body: TypeAlias = bytes | Callable[[int], bytes]

_JSON: Mapping[str, str] = {"Content-Type": "application/json"}
_HTML: Mapping[str, str] = {"Content-Type": "text/html"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A reply in place of the normal answer.

    Attributes:
        status: HTTP status.
        body: the reply's bytes, or a function that makes them of the exchange's clock in ms.
        headers: HTTP headers; the length is added.
        delay_s: seconds to wait before replying.
    """

    status: int
    body: Body
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)
    delay_s: float = 0.0

    def rendered(self, now_ms: int) -> bytes:
        """Return the body as of the exchange's clock."""
        return self.body if isinstance(self.body, bytes) else self.body(now_ms)


@dataclass(slots=True)
class _Order:
    method: str
    times: int | None
    fault: Fault
    instrument: str | None


class FaultScript:
    """What goes wrong next: faults that the server consults before it answers.

    Threads may share it.
    """

    def __init__(self) -> None:
        """Start with no faults."""
        self._orders: list[_Order] = []
        self._lock = threading.Lock()

    def add(
        self, method: str, times: int | None, fault: Fault, *, instrument: str | None = None
    ) -> None:
        """Ask for a fault in place of the next answers. Earlier orders are served first.

        Args:
            method: the method whose calls are to fail, without `public/`.
            times: how many calls; None for all from now on.
            fault: the reply.
            instrument: only calls about this instrument; None for any.
        """
        with self._lock:
            self._orders.append(_Order(method, times, fault, instrument))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._orders.clear()

    def take(self, method: str, instrument: str | None = None) -> Fault | None:
        """Return the fault that a call meets, and count it as served; None where it meets none."""
        with self._lock:
            for order in self._orders:
                if order.method == method and order.instrument in (None, instrument):
                    return self._serve(order)
        return None

    def _serve(self, order: _Order) -> Fault:
        if order.times is not None:
            order.times -= 1
            if order.times <= 0:
                self._orders = [other for other in self._orders if other is not order]
        return order.fault


def too_many_requests(retry_after_s: float | None = None) -> Fault:
    """The rate limit: HTTP 429 with error 10028, and `Retry-After` where seconds are given."""
    headers = _JSON if retry_after_s is None else {**_JSON, "Retry-After": f"{retry_after_s:g}"}
    refused = rpc_error(TOO_MANY_REQUESTS, "too_many_requests", status=429)
    return Fault(refused.status, refused.body, headers)


def server_error() -> Fault:
    """A failing proxy: HTTP 502 with a body of HTML."""
    return Fault(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", _HTML)


def rpc_error(code: int, message: str, status: int = 400) -> Fault:
    """An error of the exchange, in a JSON-RPC envelope.

    Args:
        code: JSON-RPC's or Deribit's error code.
        message: its short name.
        status: HTTP status; Deribit sends errors on 200, too.
    """
    return Fault(status, lambda now_ms: envelope.failure(code, message, now_ms))


def reply(result: object) -> Fault:
    """Any result, in a good envelope."""
    return Fault(200, lambda now_ms: envelope.success(result, now_ms))
