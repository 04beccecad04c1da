"""Minimal HTTP server on loopback: connections, requests and replies.

The standard library's server spends more time on a request's head than the exchange spends on a
page of candles, so this module parses the head itself.
"""

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from basislake.simulator.counters import Tally
from basislake.simulator.fault_forms import HTML, CutOff, Hang, Reset, Transport, Trickle

_BACKLOG = 128
_CHUNK_BYTES = 65_536
_MOST_HEAD_BYTES = 65_536
_MOST_BODY_BYTES = 1_048_576
_END_OF_HEAD = b"\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LONGEST_STOP_S = 5.0
_PAUSE_S = 0.05

logger = logging.getLogger(__name__)


class Request(NamedTuple):
    """A request: its verb, its target (path and query), and whether the connection ends with it."""

    verb: str
    target: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, and how it is sent.

    Attributes:
        status: HTTP status.
        headers: HTTP headers; the length is added.
        body: in parts, so that large ones are joined only once.
        broken: how its transport fails, or None.
    """

    status: int
    headers: Mapping[str, str]
    body: tuple[bytes, ...]
    broken: Transport | None = None

    def head(self) -> bytes:
        """Return the status line and the headers."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {sum(map(len, self.body))}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")


class Listener:
    """Listens on a port, with a thread for each connection and keep-alive."""

    def __init__(
        self,
        address: tuple[str, int],
        respond: Callable[[Request], Reply],
        turn_away: Callable[[], Reply],
        most_connections: int,
        tally: Tally,
    ) -> None:
        """Bind the port.

        Args:
            address: host and port; port 0 for any free one.
            respond: answers a request.
            turn_away: answers the first request of a surplus connection, which is then closed.
            most_connections: open at once.
            tally: counts them.

        Raises:
            OSError: the address cannot be used.
        """
        self._respond = respond
        self._turn_away = turn_away
        self._most = most_connections
        self._tally = tally
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._listening = socket.create_server(address, backlog=_BACKLOG)
        name = self._listening.getsockname()
        self.address: tuple[str, int] = (name[0], name[1])

    def start(self) -> None:
        """Accept connections from now on, in a separate thread."""
        self._thread = threading.Thread(target=self._accept, name="exchange", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept no more, close all connections, free the port. Stopping twice is allowed."""
        self._is_stopping = True
        if self._thread is not None:
            self._wake()
            self._thread.join()
            self._thread = None
        self._listening.close()
        with self._lock:
            cut = dict(self._open)
        for connection in cut:
            _cut(connection)
        deadline_s = time.monotonic() + _LONGEST_STOP_S
        for thread in cut.values():
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _wake(self) -> None:
        """Connect once, as on some systems `accept` does not end when its socket is closed."""
        with suppress(OSError):
            socket.create_connection(self.address, timeout=_LONGEST_STOP_S).close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                # For example too many open files, or a client that left the backlog.
                logger.exception("a connection could not be accepted")
                time.sleep(_PAUSE_S)
                continue
            if self._is_stopping:
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._open[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        is_welcome = self._tally.connected(self._most)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._converse(connection, is_welcome=is_welcome)
        except OSError:
            # Clients are killed on purpose in tests.
            logger.debug("a client went away")
        finally:
            with self._lock:
                del self._open[connection]
            if is_welcome:
                self._tally.disconnected()
            connection.close()

    def _converse(self, connection: socket.socket, *, is_welcome: bool) -> None:
        requests = _Requests(connection)
        try:
            while (request := requests.next()) is not None:
                reply = self._respond(request) if is_welcome else self._turn_away()
                _send(connection, reply)
                if request.is_last or reply.broken or not is_welcome:
                    return
        except _MalformedError as error:
            _send(connection, Reply(error.status, HTML, (f"<html>{error}</html>".encode(),)))


class _MalformedError(Exception):
    """A request that this server does not understand; the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} {_phrase(status)}")
        self.status = status


class _Requests:
    """The requests that come over a connection, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def next(self) -> Request | None:
        """The next request, with its body read and dropped; None if the client has left."""
        while (end := self._buffer.find(_END_OF_HEAD)) < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                raise _MalformedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if not self._receive():
                return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        self._buffer = self._buffer[end + len(_END_OF_HEAD) :]
        headers = _headers(lines[1:])
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004  (verb target version)
            raise _MalformedError(HTTPStatus.BAD_REQUEST)
        self._drop_body(headers)
        return Request(words[0], words[1], _is_last(words[2], headers))

    def _drop_body(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers:
            raise _MalformedError(HTTPStatus.LENGTH_REQUIRED)
        if not (length.isascii() and length.isdecimal()):
            raise _MalformedError(HTTPStatus.BAD_REQUEST)
        if int(length) > _MOST_BODY_BYTES:
            raise _MalformedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        while len(self._buffer) < int(length):
            if not self._receive():
                raise _MalformedError(HTTPStatus.BAD_REQUEST)
        self._buffer = self._buffer[int(length) :]

    def _receive(self) -> bool:
        received = self._connection.recv(_CHUNK_BYTES)
        self._buffer += received
        return bool(received)


def _headers(lines: list[str]) -> dict[str, str]:
    """Headers by name in lower case."""
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _is_last(version: str, headers: Mapping[str, str]) -> bool:
    asked = headers.get("connection", "").lower()
    return asked == "close" or (version == "HTTP/1.0" and asked != "keep-alive")


def _send(connection: socket.socket, reply: Reply) -> None:
    """Send a reply, with its fault of transport if it has one."""
    match reply.broken:
        case None:
            connection.sendall(b"".join((reply.head(), *reply.body)))
        case Reset():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        case CutOff(share):
            body = b"".join(reply.body)
            connection.sendall(reply.head() + body[: int(len(body) * share)])
        case Trickle(interval_s, step_bytes):
            body = b"".join(reply.body)
            connection.sendall(reply.head())
            for start in range(0, len(body), step_bytes):
                if _is_gone(connection, interval_s):
                    return
                connection.sendall(body[start : start + step_bytes])
        case Hang(seconds):
            _is_gone(connection, seconds)


def _is_gone(connection: socket.socket, seconds: float) -> bool:
    """Wait, but only while the connection is open."""
    deadline_s = time.monotonic() + seconds
    try:
        while (left_s := deadline_s - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(_CHUNK_BYTES):
                return True
    except TimeoutError:
        pass
    finally:
        connection.settimeout(None)
    return False


def _cut(connection: socket.socket) -> None:
    """Wake the thread that waits on a connection, by closing the connection."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
