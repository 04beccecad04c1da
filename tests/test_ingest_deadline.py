"""A server that keeps a connection alive by a byte now and then, over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from ingest.exchange import Exchange
from lake.errors import TransientError

BODY = b'{"result": 1704067200000}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TIMEOUT_S = 0.3


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answer(listener: socket.socket, parts: Sequence[bytes], gap_s: float) -> None:
    """Answer one call with these bytes, so many seconds apart; the client may go away."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                return
            time.sleep(gap_s)


def ask(listener: socket.socket, parts: Sequence[bytes], gap_s: float) -> object:
    server = threading.Thread(target=answer, args=(listener, parts, gap_s))
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    exchange = Exchange(url, url, retries=0, timeout_s=TIMEOUT_S)
    try:
        return exchange.server_time()
    finally:
        exchange.close()
        server.join()


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
    listener: socket.socket, parts: list[bytes]
) -> None:
    start_s = time.monotonic()
    with pytest.raises(TransientError):
        ask(listener, parts, gap_s=0.05)
    assert TIMEOUT_S <= time.monotonic() - start_s < 3 * TIMEOUT_S


def test_an_answer_in_time_is_read_whole(listener: socket.socket) -> None:
    assert ask(listener, [HEAD, BODY[:9], BODY[9:]], gap_s=0.01)
