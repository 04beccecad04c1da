"""Hosts on loopback that answer every call with the same bytes, and what a client says of them."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from ingest.deribit.client import Exchange
from lake.errors import BasislakeError

REAL = "https://www.deribit.com"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
SECRET = "geheim"  # noqa: S105  (of no account)
# So long at most a test waits for what has to happen.
PATIENCE_S = 60.0


class Host:
    """Answers each call with the same bytes, in parts; without any, it keeps silent.

    Attributes:
        requests: the bytes that each call began with.
        port: where it listens.
    """

    def __init__(
        self, *parts: bytes, tls: ssl.SSLContext | None = None, pause_s: float = 0.0
    ) -> None:
        self.requests: list[bytes] = []
        self._parts = parts
        self._pause_s = pause_s
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()
        for each in self._open:
            each.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.requests.append(connection.recv(65_536))
            for part in self._parts:
                connection.sendall(part)
                time.sleep(self._pause_s)
            if self._parts:
                connection.close()


Hosts = Callable[..., Host]


def page(status: int, *headers: str, body: bytes = b"<html>no</html>") -> bytes:
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


def never(seconds: float) -> None:
    raise AssertionError(f"asked again after {seconds} s")


def failure(url: str) -> BasislakeError:
    """What asking for the clock ends in, which is not asked a second time."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(BasislakeError) as caught:
        pool.submit(clock_of, url).result(PATIENCE_S)
    assert SECRET not in str(caught.value)
    return caught.value


def clock_of(url: str, timeout_s: float = PATIENCE_S, retries: int = 6) -> datetime:
    exchange = Exchange(url, url, timeout_s=timeout_s, retries=retries, sleep=never)
    try:
        return exchange.server_time()
    finally:
        exchange.close()
