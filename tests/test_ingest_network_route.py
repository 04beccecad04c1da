"""Name servers that keep silent and impostors of the exchange: real sockets."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.deribit.client import Exchange
from lake.errors import ClosedDoorError, StoppedError, TransientError
from tests.hosts import PATIENCE_S, REAL, SECRET, Hosts, failure, page
from tests.market import basislake, command
from tests.processes import ended, running, wait_until

pytestmark = pytest.mark.usefixtures("no_proxies")


def test_a_call_that_connects_ends_when_the_client_is_stopped(host: Hosts) -> None:
    silent = host(tls=None)
    url = silent.url.replace("http", "https")
    exchange = Exchange(url, url, timeout_s=2 * PATIENCE_S)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(exchange.server_time)
        wait_until(None, lambda: bool(silent.requests))
        exchange.stop()
        exchange.cut()
        assert isinstance(call.exception(PATIENCE_S), StoppedError)
    exchange.close()


class NameServer(NamedTuple):
    """One that gets questions and never answers.

    Attributes:
        questions: where they arrive.
        prefix: of a command that is to use it.
    """

    questions: socket.socket
    prefix: list[str]

    def is_asked(self) -> None:
        """Wait for the question where the exchange is."""
        self.questions.settimeout(PATIENCE_S)
        while b"\3www\7deribit\3com" not in self.questions.recv(512):
            continue


@pytest.fixture
def name_server(tmp_path: Path) -> Iterator[NameServer]:
    settings = tmp_path / "resolv.conf"
    settings.write_text("nameserver 127.83.1.1\noptions timeout:30 attempts:5\n")
    script = f'mount --bind {settings} /etc/resolv.conf && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as questions:
        try:
            questions.bind(("127.83.1.1", 53))
            subprocess.run([*prefix, "true"], check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a process cannot have a name server of its own here")
        yield NameServer(questions, prefix)


def test_the_limit_holds_where_the_name_server_does_not_answer(
    name_server: NameServer, tmp_path: Path
) -> None:
    asking = command(None, "instruments", "--lake", tmp_path / "lake", "--retries", "0")
    with running([*name_server.prefix, *asking, "--timeout", "1"]) as process:
        expected = ended(process)
    name_server.is_asked()
    assert expected.code == 1
    assert f"{REAL} cannot be reached: it took longer than 1 s." in expected.err


@pytest.mark.slow
def test_ctrl_c_ends_a_command_where_the_name_server_does_not_answer(
    name_server: NameServer, tmp_path: Path
) -> None:
    asking = command(None, "instruments", "--lake", tmp_path / "lake", "--timeout", "3600")
    with running([*name_server.prefix, *asking]) as process:
        name_server.is_asked()
        process.send_signal(signal.SIGINT)
        assert "Interrupted" in ended(process).err


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", f"socks5h://me:{SECRET}@127.0.0.1:1"), ("REQUESTS_CA_BUNDLE", "/absent.pem")],
)
def test_the_command_ends_with_2_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = basislake(None, "instruments", "--lake", tmp_path / "lake")
    assert (done.code, done.err.count(name)) == (2, 1)
    assert SECRET not in done.err
    assert not (tmp_path / "lake" / "instruments").exists()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        (f"https://me:{SECRET}@x.example:8/a/b?token={SECRET}#c", " to https://x.example:8/a/b"),
        ("/login", " to {url}/login"),
        (f"//[{SECRET}", " to an address that cannot be read"),
        (None, ""),
    ],
)
def test_a_redirect_is_said_at_once_with_where_it_leads(
    host: Hosts, status: int, location: str | None, target: str
) -> None:
    own = host(page(status, *([f"Location: {location}"] if location else [])))
    found = failure(own.url)
    assert isinstance(found, ClosedDoorError)
    called = f"{own.url}/api/v2/public/get_time"
    led = target.format(url=own.url)
    assert str(found).startswith(f"{called} redirects{led} (HTTP {status}); basislake follows")
    assert len(own.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b'{"message": "Forbidden"}'])
def test_a_refusal_that_is_not_the_exchanges_is_said_at_once(
    host: Hosts, status: int, body: bytes
) -> None:
    own = host(page(status, "Content-Type: text/html; charset=utf-8", body=body))
    found = failure(own.url.replace("//", f"//me:{SECRET}@"))
    assert isinstance(found, ClosedDoorError)
    assert f"{own.url} refuses the call: HTTP {status} with a page of 'text/html'" in str(found)
    assert len(own.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 511])
def test_what_may_pass_is_asked_again(host: Hosts, status: int) -> None:
    own = host(page(status))
    exchange = Exchange(own.url, own.url, retries=1, sleep=lambda _: None)
    with pytest.raises(TransientError, match=f"HTTP {status}"):
        exchange.server_time()
    exchange.close()
    assert len(own.requests) == 2
