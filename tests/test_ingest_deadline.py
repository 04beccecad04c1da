"""A server that keeps a connection alive by an occasional byte, over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import urllib3

from ingest.deribit.client import Exchange
from ingest.deribit.deadline import Deadlines, watch
from lake.errors import StoppedError, TransientError
from tests.hosts import Hosts, clock_of
from tests.processes import PATIENCE_S

BODY = b'{"result": 1704067200000}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TIMEOUT_S = 1.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Caller:
    """Makes calls in threads, each with a deadline."""

    def __init__(self, listener: socket.socket) -> None:
        self.deadlines = Deadlines()
        self.reading = threading.Semaphore(0)
        self._url = url_of(listener)
        self._threads = ThreadPoolExecutor(3)
        self._pool = urllib3.PoolManager(maxsize=3, retries=False)
        watch(self._pool)

    def call(self, seconds: float) -> Future[bytes]:
        """Begin a call; `reading` is released once its headers are there."""
        return self._threads.submit(self._call, seconds)

    def close(self) -> None:
        self._threads.shutdown()
        self._pool.clear()

    def _call(self, seconds: float) -> bytes:
        with self.deadlines.within(seconds):
            response = self._pool.request("GET", self._url, preload_content=False)
            self.reading.release()
            body = response.read()
            response.release_conn()
            return body


@pytest.fixture
def caller(listener: socket.socket) -> Iterator[Caller]:
    one = Caller(listener)
    yield one
    one.close()


def accepted(listener: socket.socket) -> socket.socket:
    """The next connection, once its call has arrived."""
    connection, _ = listener.accept()
    assert connection.recv(65_536).startswith(b"GET ")
    return connection


@pytest.mark.parametrize(
    "parts",
    [
        [bytes([byte]) for byte in HEAD + BODY],
        [b"HTTP/1.1 200 OK\r\n", *(b"X-%d: y\r\n" % i for i in range(40))],
        [HEAD, *(bytes([byte]) for byte in BODY)],
        [CHUNKED, *([b"1;" + b"x" * 3] * 40)],
    ],
    ids=["headers byte by byte", "headers without end", "a body", "the size of a chunk"],
)
def test_a_trickle_is_cut_off_when_the_whole_call_has_taken_too_long(
    host: Hosts, parts: list[bytes]
) -> None:
    own = host(*parts, pause_s=0.05)
    start_s = time.monotonic()
    with pytest.raises(TransientError):
        clock_of(own.url, timeout_s=TIMEOUT_S, retries=0)
    assert time.monotonic() - start_s >= TIMEOUT_S


def test_an_answer_in_time_is_read_whole(host: Hosts) -> None:
    assert clock_of(host(HEAD, BODY[:9], BODY[9:], pause_s=0.01).url)


def test_all_calls_under_way_can_be_cut_at_once(listener: socket.socket, caller: Caller) -> None:
    calls = [caller.call(2 * PATIENCE_S) for _ in range(3)]
    connections = [accepted(listener) for _ in calls]
    for connection in connections:
        connection.sendall(HEAD + BODY[:5])
        assert caller.reading.acquire(timeout=PATIENCE_S)
    caller.deadlines.cut_all()
    for call in calls:
        assert isinstance(call.exception(PATIENCE_S), urllib3.exceptions.HTTPError)
    for connection in connections:
        connection.close()


def test_of_two_calls_only_the_late_one_is_cut(listener: socket.socket, caller: Caller) -> None:
    late = caller.call(TIMEOUT_S)
    with accepted(listener) as one:
        one.sendall(HEAD)
        patient = caller.call(2 * PATIENCE_S)
        with accepted(listener) as other:
            assert isinstance(late.exception(PATIENCE_S), urllib3.exceptions.HTTPError)
            other.sendall(HEAD + BODY)
            assert patient.result(PATIENCE_S) == BODY


def test_a_connection_whose_call_has_ended_is_cut_no_more(
    listener: socket.socket, caller: Caller
) -> None:
    first = caller.call(TIMEOUT_S)
    with accepted(listener) as connection:
        connection.sendall(HEAD + BODY)
        assert first.result(PATIENCE_S) == BODY
        caller.deadlines.cut_all()
        time.sleep(1.5 * TIMEOUT_S)
        again = caller.call(2 * PATIENCE_S)
        # It is the same connection, kept alive.
        assert connection.recv(65_536).startswith(b"GET ")
        connection.sendall(HEAD + BODY)
        assert again.result(PATIENCE_S) == BODY


def test_a_client_that_stops_breaks_off_the_calls_under_way(listener: socket.socket) -> None:
    looked = threading.Semaphore(0)

    def clock() -> float:
        looked.release()
        return time.monotonic()

    exchange = Exchange(url_of(listener), url_of(listener), timeout_s=2 * PATIENCE_S, clock=clock)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(exchange.server_time)
        with accepted(listener) as connection:
            connection.sendall(HEAD + BODY[:5])
            # It looks at the clock when it begins, and when it has read something.
            for _ in range(2):
                assert looked.acquire(timeout=PATIENCE_S)
            exchange.stop()
            exchange.cut()
            assert isinstance(call.exception(PATIENCE_S), StoppedError)
    with pytest.raises(StoppedError):
        exchange.server_time()
    exchange.close()


def test_a_call_that_is_cut_before_its_request_is_sent_is_cut_all_the_same(
    listener: socket.socket,
) -> None:
    pool = urllib3.PoolManager(retries=False)
    watch(pool)
    deadlines = Deadlines()
    with deadlines.within(2 * PATIENCE_S):
        deadlines.cut_all()
        with pytest.raises(urllib3.exceptions.HTTPError):
            pool.request("GET", url_of(listener), timeout=PATIENCE_S)
    pool.clear()
