"""Server of the simulated exchange: both hosts on one port of loopback, separated by the path."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from basislake.simulator import envelope
from basislake.simulator.answers import answer, read_window
from basislake.simulator.calls import CHART_METHOD, HISTORY_PREFIX, Call, Question, read_question
from basislake.simulator.carry import MarketCarry
from basislake.simulator.clock import Clock
from basislake.simulator.control import CONTROL_PREFIX, Control
from basislake.simulator.counters import Counters, Tally
from basislake.simulator.fault_forms import HTML, JSON, TOO_MANY_REQUESTS, Changed, Fault, Transport
from basislake.simulator.faults import FaultScript, Met
from basislake.simulator.limit import MOST_CONNECTIONS, CreditLimit
from basislake.simulator.pages import Pages
from basislake.simulator.refusals import RpcError
from basislake.simulator.universe import Universe
from basislake.simulator.wire import Listener, Reply, Request

_GOOD = {**JSON, "Cache-Control": "no-store"}
_INTERRUPT_POLL_S = 0.2
DEFAULT_CACHE_BYTES = 64_000_000


class SimulatedExchange:
    """A Deribit on loopback. As a context manager it serves for the block.

    Attributes:
        universe: the served market.
        faults: applied to the answers.
        clock: its time in UTC milliseconds.
    """

    def __init__(  # noqa: PLR0913  (independent settings; all but the first have a default)
        self,
        universe: Universe,
        *,
        carry: MarketCarry | None = None,
        clock: Clock | None = None,
        faults: FaultScript | None = None,
        limit: CreditLimit | None = None,
        most_connections: int = MOST_CONNECTIONS,
        port: int = 0,
        delay_s: float = 0.0,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        """Bind the port; `start` begins to serve.

        Args:
            universe: the contracts and their candles.
            carry: funding, delivery prices and settlements; the universe's own by default.
            clock: the exchange's time; by default stopped at the universe's `now_ms`.
            faults: applied to the answers; an empty script by default.
            limit: refuses calls beyond its credits; None for no limit.
            most_connections: open at once; further ones are refused with HTTP 429.
            port: port to listen on; 0 for any free one.
            delay_s: additional seconds of each candle call.
            cache_bytes: memory for rendered pages of closed candles; 0 for no cache.

        Raises:
            OSError: the port cannot be used.
        """
        self.universe = universe
        self.faults = faults or FaultScript()
        self.clock = clock or Clock(universe.now_ms)
        self._carry = carry or MarketCarry(universe)
        self._limit = limit
        self._delay_s = delay_s
        self._tally = Tally()
        self._pages = Pages(universe, cache_bytes)
        self._control = Control(self._tally, self.clock, self.faults)
        self._stopping = threading.Event()
        self._listener = Listener(
            ("127.0.0.1", port), self._respond, self._turn_away, most_connections, self._tally
        )

    @property
    def www_url(self) -> str:
        """Base URL of the main host."""
        host, port = self._listener.address
        return f"http://{host}:{port}"

    @property
    def history_url(self) -> str:
        """Base URL of the host that knows all expired instruments."""
        return self.www_url + HISTORY_PREFIX

    @property
    def control_url(self) -> str:
        """Base URL of the counters, the clock and the faults."""
        return self.www_url + CONTROL_PREFIX.rstrip("/")

    @property
    def now_ms(self) -> int:
        """The exchange's clock, UTC milliseconds."""
        return self.clock()

    @property
    def calls(self) -> list[Call]:
        """All calls so far, in order, including refused ones and those with a fault."""
        return self._tally.calls

    @property
    def counters(self) -> Counters:
        """Counts of received and answered calls so far."""
        return self._tally.counters

    def calls_of(self, method: str) -> int:
        """Return how many calls of a method (without `public/`) were received."""
        return self.counters.by_method.get(method, 0)

    def forget_calls(self) -> None:
        """Clear the record of calls, and reset the counters."""
        self._tally.forget()

    def start(self) -> None:
        """Serve from now on, in separate threads."""
        self._listener.start()

    def stop(self) -> None:
        """Stop serving, close all connections and free the port. Stopping twice is allowed."""
        self._stopping.set()
        self._listener.stop()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.stop()

    def _respond(self, request: Request) -> Reply:
        if request.target.startswith(CONTROL_PREFIX):
            return self._control.answer(request)
        question = read_question(request.target)
        if question is None:
            return Reply(404, HTML, (b"<html>404 Not Found</html>",))
        if request.verb != "GET":
            return Reply(405, HTML, (b"<html>405 Method Not Allowed</html>",))
        self._tally.received(question.call())
        if question.method == CHART_METHOD and self._delay_s:
            self._stopping.wait(self._delay_s)
        if self._limit is not None and not self._limit.grants(question.method):
            self._tally.refused(by_limit=True)
            return self._too_many(self._limit.status)
        return self._meet(question, self.faults.meet(question, self.clock()))

    def _meet(self, question: Question, met: Met) -> Reply:
        """Answer a call, with the faults that apply to it."""
        match met.fault:
            case None:
                return self._answer(question, met.standing)
            case Changed():
                return self._answer(question, (*met.standing, met.fault))
            case Fault() as fault:
                self._tally.met(fault.kind)
                if fault.delay_s:
                    self._stopping.wait(fault.delay_s)
                return Reply(fault.status, fault.headers, (fault.rendered(self.clock()),))
            case broken:
                self._tally.met(broken.kind)
                return self._answer(question, met.standing, broken)

    def _answer(
        self, question: Question, changes: tuple[Changed, ...], broken: Transport | None = None
    ) -> Reply:
        now_ms = self.clock()
        try:
            body = self._body(question, changes, now_ms, is_sound=broken is None)
        except RpcError as error:
            self._tally.refused(by_limit=False)
            refusal = envelope.failure(error.code, error.message, now_ms, error.data)
            return Reply(400, _GOOD, (refusal,), broken)
        return Reply(200, _GOOD, body, broken)

    def _body(
        self, question: Question, changes: tuple[Changed, ...], now_ms: int, *, is_sound: bool
    ) -> tuple[bytes, ...]:
        """The body of a good answer, with its changes."""
        call = question.call()
        if question.method != CHART_METHOD:
            good = answer(self._carry, question, now_ms)
            sent = self._changed(good, changes)
            self._tally.answered(call, 0, flawless=is_sound and sent is good, cached=False)
            return (envelope.success(sent, now_ms),)
        window = read_window(self.universe, question, now_ms)
        if not changes:
            page = self._pages.rendered(window)
            self._tally.answered(call, page.candles, flawless=is_sound, cached=page.is_cached)
            return envelope.success_parts(page.result, now_ms)
        columns = self._pages.columns(window)
        changed = self._changed(columns, changes)
        flawless = is_sound and changed is columns
        self._tally.answered(call, len(changed["ticks"]), flawless=flawless, cached=False)
        return (envelope.success(changed, now_ms),)

    def _changed(self, good: Any, changes: tuple[Changed, ...]) -> Any:  # noqa: ANN401  (of any method)
        sent = good
        for each in changes:
            before, sent = sent, each.change(sent)
            if sent is not before:
                self._tally.met(each.kind)
        return sent

    def _turn_away(self) -> Reply:
        refused = self._too_many(429)
        return Reply(429, {**refused.headers, "Connection": "close"}, refused.body)

    def _too_many(self, status: int) -> Reply:
        body = envelope.failure(TOO_MANY_REQUESTS, "too_many_requests", self.clock())
        return Reply(status, JSON, (body,))


def serve_forever(
    exchange: SimulatedExchange, announce: Callable[[SimulatedExchange], None]
) -> None:
    """Serve until interrupted (Ctrl-C), then stop; `announce` is called once it answers."""
    with exchange, suppress(KeyboardInterrupt):
        announce(exchange)
        # In short waits: once Polars is imported, Ctrl-C does not wake an endless one.
        while not threading.Event().wait(_INTERRUPT_POLL_S):
            pass
