"""The simulated exchange's HTTP server: both hosts on one port, told apart by the path."""

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from basislake.exchange import envelope
from basislake.exchange.answers import CHART_METHOD, Question, RpcError, answer
from basislake.exchange.faults import FaultScript
from basislake.exchange.universe import Host, Universe

_HISTORY_PREFIX = "/history"
_METHODS_PATH = "/api/v2/public/"
_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store"}
_STOP_POLL_S = 0.02
_INTERRUPT_POLL_S = 0.2

logger = logging.getLogger(__name__)


class Call(NamedTuple):
    """A call that was received; times as asked, UTC ms, None where absent or unreadable."""

    method: str
    instrument: str | None
    start_ms: int | None
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def wire(self) -> bytes:
        """The whole of it, head and body, so that one write sends it."""
        head = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self.body


class SimulatedExchange:
    """A Deribit on loopback. A context manager: it serves from entering to leaving.

    Attributes:
        universe: what it serves.
        faults: what it serves instead, when told to.
    """

    def __init__(
        self,
        universe: Universe,
        *,
        clock: Callable[[], int] | None = None,
        faults: FaultScript | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        delay_s: float = 0.0,
    ) -> None:
        """Bind the port; nothing is served before `start`.

        Args:
            universe: the contracts and their candles.
            clock: the exchange's time in UTC milliseconds; by default the universe's `now_ms`,
                standing still.
            faults: replies to give in place of the normal ones; an empty script by default.
            host: address to listen on.
            port: port to listen on; 0 for any free one.
            delay_s: seconds that each candle call takes longer.

        Raises:
            OSError: the address is not to be had.
        """
        self.universe = universe
        self.faults = faults or FaultScript()
        self._clock = clock or (lambda: universe.now_ms)
        self._delay_s = delay_s
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._server = _Server((host, port), self._reply)
        self._thread: threading.Thread | None = None

    @property
    def www_url(self) -> str:
        """Base URL of the main host."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def history_url(self) -> str:
        """Base URL of the host that knows all expired instruments."""
        return self.www_url + _HISTORY_PREFIX

    @property
    def now_ms(self) -> int:
        """The exchange's clock, UTC milliseconds."""
        return self._clock()

    @property
    def calls(self) -> list[Call]:
        """All calls received so far, refused ones and those that met a fault included, in order."""
        with self._lock:
            return list(self._calls)

    def calls_of(self, method: str) -> int:
        """Return how many calls of a method (without `public/`) were received."""
        return sum(call.method == method for call in self.calls)

    def forget_calls(self) -> None:
        """Start the record of calls afresh."""
        with self._lock:
            self._calls.clear()

    def start(self) -> None:
        """Serve from now on, in a thread of its own."""
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_STOP_POLL_S,),
            name="simulated-exchange",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, cut all connections and free the port. Stopping twice does no harm."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.cut_connections()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _reply(self, target: str) -> _Reply:
        """Answer a request's target, the path and the query."""
        question = _question(target)
        if question is None:
            return _Reply(404, {"Content-Type": "text/html"}, b"<html>404 Not Found</html>")
        call = _call(question)
        with self._lock:
            self._calls.append(call)
        if call.method == CHART_METHOD and self._delay_s:
            time.sleep(self._delay_s)
        fault = self.faults.take(call.method, call.instrument)
        if fault is None:
            return self._answer(question)
        if fault.delay_s:
            time.sleep(fault.delay_s)
        return _Reply(fault.status, dict(fault.headers), fault.rendered(self._clock()))

    def _answer(self, question: Question) -> _Reply:
        now_ms = self._clock()
        try:
            result = answer(self.universe, question, now_ms)
        except RpcError as error:
            body = envelope.failure(error.code, error.message, now_ms, error.data)
            return _Reply(400, _JSON, body)
        return _Reply(200, _JSON, envelope.success(result, now_ms))


def serve_forever(
    exchange: SimulatedExchange, announce: Callable[[SimulatedExchange], None] | None = None
) -> None:
    """Serve until interrupted (Ctrl-C), then stop.

    Args:
        exchange: to serve.
        announce: called once, when the exchange answers.
    """
    with exchange:
        if announce is not None:
            announce(exchange)
        try:
            # In short waits: once Polars is imported, Ctrl-C does not wake an endless one.
            while not threading.Event().wait(_INTERRUPT_POLL_S):
                pass
        except KeyboardInterrupt:
            logger.info("interrupted")


class _Server(ThreadingHTTPServer):
    """Threads that die with the program, and connections that can be cut."""

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], reply: Callable[[str], _Reply]) -> None:
        self.reply = reply
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  (as the base class has it)
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Wake the threads that wait on a connection kept alive, by closing it under them."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                logger.debug("a connection was closed already")

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Keep quiet about clients that went away; they are killed on purpose in tests."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection, kept alive, whose requests the server's `reply` answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self.wfile.write(self.server.reply(self.path).wire())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logger.debug(format, *args)


def _question(target: str) -> Question | None:
    """What a request asks; None where it is no call of a public method."""
    parts = urlsplit(target)
    is_history = parts.path.startswith(_HISTORY_PREFIX + "/")
    host: Host = "history" if is_history else "www"
    path = parts.path.removeprefix(_HISTORY_PREFIX) if is_history else parts.path
    if not path.startswith(_METHODS_PATH):
        return None
    return Question(path.removeprefix(_METHODS_PATH), host, dict(parse_qsl(parts.query)))


def _call(question: Question) -> Call:
    start, end = (question.params.get(f"{side}_timestamp", "") for side in ("start", "end"))
    return Call(question.method, question.params.get("instrument_name"), _whole(start), _whole(end))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
