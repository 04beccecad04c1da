"""A deadline for one whole HTTP call: a socket's own timeout starts anew with every byte.

So a server that sends a byte now and then, be it of the headers, is cut off by a timer.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class _UnderWay(threading.local):
    """The sockets of this thread's call."""

    sockets: list[socket.socket] | None = None


_under_way = _UnderWay()


class _Connection(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (handed through)
        super().request(*args, **kwargs)
        _note(self.sock)


class _TlsConnection(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (handed through)
        super().request(*args, **kwargs)
        _note(self.sock)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


# For a `urllib3.PoolManager`, so that its connections can be cut.
POOLS = {"http": _Pool, "https": _TlsPool}


class Deadlines:
    """The calls under way of one client, which can be cut off one by one or all at once."""

    def __init__(self) -> None:
        """Start with no call."""
        self._calls: list[list[socket.socket]] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection of this thread's call once it has taken so long; reading then
        fails.
        """
        sockets: list[socket.socket] = []
        _under_way.sockets = sockets
        timer = threading.Timer(seconds, _cut, [sockets])
        timer.daemon = True
        timer.start()
        with self._lock:
            self._calls.append(sockets)
        try:
            yield
        finally:
            timer.cancel()
            _under_way.sockets = None
            with self._lock:
                self._calls = [other for other in self._calls if other is not sockets]

    def cut_all(self) -> None:
        """Cut the connections of all calls under way."""
        with self._lock:
            for sockets in self._calls:
                _cut(sockets)


def _note(sock: socket.socket | None) -> None:
    if _under_way.sockets is not None and sock is not None:
        _under_way.sockets.append(sock)


def _cut(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        with contextlib.suppress(OSError):
            # Of the plain socket: TLS would take its state away from the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
