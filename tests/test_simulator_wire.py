"""The exchange's HTTP: requests in pieces, together, too long or malformed."""

import socket
from collections.abc import Callable, Iterator

import pytest

from basislake.simulator.server import SimulatedExchange
from tests.asking import UNIVERSE

GET = b"GET /api/v2/public/test HTTP/1.1\r\nHost: x\r\n"

Talk = Callable[..., bytes]


@pytest.fixture(name="talk")
def fixture_talk() -> Iterator[Talk]:
    def talk(*pieces: bytes) -> bytes:
        """Send pieces, say that no more comes, and read to the end."""
        with socket.create_connection(exchange._listener.address, timeout=60) as connection:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            found = b""
            while more := connection.recv(65_536):
                found += more
            return found

    with SimulatedExchange(UNIVERSE) as exchange:
        yield talk


def test_a_request_may_come_in_pieces(talk: Talk) -> None:
    pieces = [bytes([byte]) for byte in GET + b"\r\n"]

    assert talk(*pieces).startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_may_come_together(talk: Talk) -> None:
    assert talk((GET + b"\r\n") * 3).count(b"HTTP/1.1 200 OK") == 3


def test_a_body_is_read_over(talk: Talk) -> None:
    post = b"POST /control/counters HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"

    assert talk(post + GET + b"\r\n").count(b"HTTP/1.1 200 OK") == 2


def test_the_connection_ends_when_the_client_wishes(talk: Talk) -> None:
    for wish in (GET + b"CONNECTION: Close\r\n\r\n", GET.replace(b"1.1", b"1.0") + b"\r\n"):
        assert talk(wish + GET + b"\r\n").count(b"HTTP/1.1 200 OK") == 1


def test_only_get_calls_a_method(talk: Talk) -> None:
    assert b" 405 " in talk(GET.replace(b"GET", b"PUT") + b"\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET / FTP/1.1\r\n\r\n", 400),
        (GET + b"Content-Length: many\r\n\r\n", 400),
        (GET + b"Content-Length: 10\r\n\r\nshort", 400),
        (GET + b"Content-Length: 99999999\r\n\r\n", 413),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n", 411),
        (b"\xff\xfe\x00 / HTTP/9\r\n\r\n", 400),
    ],
)
def test_what_is_not_understood_is_refused(talk: Talk, request_bytes: bytes, status: int) -> None:
    assert talk(request_bytes).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_head_without_end_is_refused(talk: Talk) -> None:
    assert talk(GET + b"X: " + b"y" * 70_000).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_leaves_amid_a_request_harms_nobody(talk: Talk) -> None:
    assert talk(GET[:20]) == b""
    assert talk(GET + b"\r\n").startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("target", ["//[", "http://[", "/api/v2/public/", "/control/", "*"])
def test_an_odd_target_is_answered(talk: Talk, target: str) -> None:
    assert talk(f"GET {target} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 4")
