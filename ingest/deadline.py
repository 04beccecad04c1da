"""A deadline for one whole HTTP call: a socket's own timeout starts anew with every byte.

So a server that sends a byte now and then, be it of the headers, is cut off by another thread.
"""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Call:
    """The connections that one call uses: one, and another where that was dead."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self._lock = threading.Lock()

    def note(self, sock: socket.socket | None) -> None:
        """Take a connection in; it is cut at once where the call was cut before it stood."""
        with self._lock:
            if sock is not None:
                self._sockets.append(sock)
            if self._is_cut:
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._shut()

    def _shut(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                # Of the plain socket: TLS would take its state away from the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _UnderWay(threading.local):
    """This thread's call."""

    call: _Call | None = None


_under_way = _UnderWay()


def _note(sock: socket.socket | None) -> None:
    if _under_way.call is not None:
        _under_way.call.note(sock)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _note(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (handed through)
        _note(self.sock)
        super().request(*args, **kwargs)


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _note(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (handed through)
        _note(self.sock)
        super().request(*args, **kwargs)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


# For a `urllib3.PoolManager`, so that its connections can be cut.
POOLS = {"http": _Pool, "https": _TlsPool}


class Deadlines:
    """The calls under way of one client, which can be cut off one by one or all at once.

    One thread looks after all of them: a timer for each would cost a thread for each.
    """

    def __init__(self) -> None:
        """Start with no call."""
        self._calls: dict[_Call, float] = {}
        self._changed = threading.Condition()
        self._looks_at_s = math.inf
        self._watcher: threading.Thread | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection of this thread's call once it has taken so long; reading then
        fails.
        """
        call = _Call()
        self._watch(call, time.monotonic() + seconds)
        _under_way.call = call
        try:
            yield
        finally:
            _under_way.call = None
            with self._changed:
                del self._calls[call]

    def cut_all(self) -> None:
        """Cut the connections of all calls under way."""
        with self._changed:
            for call in self._calls:
                call.cut()

    def close(self) -> None:
        """Look after no more calls."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _watch(self, call: _Call, until_s: float) -> None:
        with self._changed:
            self._calls[call] = until_s
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._cut_the_late, daemon=True)
                self._watcher.start()
            elif until_s < self._looks_at_s:
                self._changed.notify()

    def _cut_the_late(self) -> None:
        with self._changed:
            while not self._is_closed:
                now_s = time.monotonic()
                for call, until_s in self._calls.items():
                    if until_s <= now_s:
                        call.cut()
                later = (until_s for until_s in self._calls.values() if until_s > now_s)
                self._looks_at_s = min(later, default=math.inf)
                waiting = self._looks_at_s - now_s
                self._changed.wait(None if math.isinf(waiting) else waiting)
