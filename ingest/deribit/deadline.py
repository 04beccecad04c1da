"""A deadline for one whole HTTP call, from resolving the host to the last byte.

A socket's own timeout restarts with every byte, so another thread cuts the connection of a late
call. Before the connection exists there is nothing to cut: a name server or a proxy that does not
answer cannot be interrupted. So a separate thread makes the connection, and is abandoned if the
call is late.
"""

import contextlib
import functools
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, wait
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError

# Ctrl-C would not interrupt an endless wait once Polars has set its own signal handler.
_POLL_S = 0.2


class _Call:
    """The connections of one call: one, and another if that was dead."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._made: Future[None] | None = None
        self._is_cut = False
        self._lock = threading.Lock()

    def connect(self, connect: Callable[[], None], close: Callable[[], None]) -> None:
        """Connect, unless the call is cut first; a later connection is closed at once.

        Raises:
            ConnectTimeoutError: the call was cut.
        """
        made: Future[None] = Future()
        with self._lock:
            self._made = made
            if self._is_cut:
                self._shut()
        if not made.done():
            thread = threading.Thread(target=self._make, args=(made, connect, close), daemon=True)
            thread.start()
        while not made.done():
            wait([made], _POLL_S)
        made.result()

    def note(self, sock: socket.socket | None) -> None:
        """Register a connection; if the call was cut before, the connection is cut at once."""
        with self._lock:
            if sock is not None:
                self._sockets.append(sock)
            if self._is_cut:
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._shut()

    def _make(
        self, made: Future[None], connect: Callable[[], None], close: Callable[[], None]
    ) -> None:
        _under_way.call = self
        try:
            connect()
        except BaseException as exc:  # noqa: BLE001  (raised again in the thread that waits)
            with contextlib.suppress(InvalidStateError):
                made.set_exception(exc)
            return
        try:
            made.set_result(None)
        except InvalidStateError:
            close()

    def _shut(self) -> None:
        if self._made is not None:
            with contextlib.suppress(InvalidStateError):
                self._made.set_exception(ConnectTimeoutError("the call was cut off"))
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                # On the plain socket: TLS would take its state away from the reading thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _UnderWay(threading.local):
    """This thread's call."""

    call: _Call | None = None


_under_way = _UnderWay()


class _Watched(HTTPConnection):
    """A connection whose call can be cut, on top of any connection class."""

    def connect(self) -> None:
        call = _under_way.call
        if call is None:
            super().connect()
        else:
            call.connect(super().connect, self.close)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (handed through)
        if _under_way.call is not None:
            _under_way.call.note(self.sock)
        super().request(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        if _under_way.call is not None:
            _under_way.call.note(sock)
        return sock


def watch(manager: urllib3.PoolManager) -> None:
    """Make a manager create connections that can be cut, both direct and to a proxy."""
    manager.pool_classes_by_scheme = {
        scheme: _watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


@functools.cache
def _watched(pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
    if issubclass(pool.ConnectionCls, _Watched):
        return pool
    connection = type("Watched", (_Watched, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class Deadlines:
    """The calls in flight of one client, which can be cut one by one or all at once.

    One thread watches all of them: a timer for each would need a thread for each.
    """

    def __init__(self) -> None:
        """Start without calls."""
        self._calls: dict[_Call, float] = {}
        self._changed = threading.Condition()
        self._looks_at_s = math.inf
        self._watcher: threading.Thread | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection of this thread's call after some seconds; reading then
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
        """Cut the connections of all calls in flight."""
        with self._changed:
            for call in self._calls:
                call.cut()

    def close(self) -> None:
        """Watch no more calls."""
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
