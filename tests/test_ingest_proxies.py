"""Calls through proxies, and past them: real sockets."""

import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from basislake.simulator.server import SimulatedExchange
from ingest.deribit.client import Exchange
from lake.errors import (
    BasislakeError,
    ClosedDoorError,
    TransientError,
    UnreachableError,
    UsageError,
)
from tests.hosts import PROXIES, REAL, SECRET, Hosts, clock_of, failure, page
from tests.market import command
from tests.processes import ended, running, wait_until

PLAIN = "http://www.deribit.com"
# Nobody listens there.
DEAD = "http://127.0.0.1:1"
pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.mark.parametrize(
    ("name", "own"),
    [
        *((n, "127.0.0.1") for name in PROXIES for n in (name, name.lower())),
        *(("ALL_PROXY", own) for own in ("localhost", "LOCALHOST", "127.1", "0.0.0.0")),  # noqa: S104
    ],
)
def test_no_call_to_this_machine_goes_through_a_proxy(
    server: SimulatedExchange, monkeypatch: pytest.MonkeyPatch, name: str, own: str
) -> None:
    monkeypatch.setenv(name, DEAD)
    assert clock_of(server.www_url.replace("127.0.0.1", own)).year == 2024


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("exempt", ["*", "www.deribit.com", "x.example, .deribit.com"])
def test_a_host_that_is_exempt_needs_no_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, exempt: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "ftp://no-proxy")
    with pytest.raises(UsageError, match="ALL_PROXY"):
        Exchange(REAL, REAL)
    monkeypatch.setenv(name, exempt)
    Exchange(REAL, REAL).close()


@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param(
            f"socks5h://me:{SECRET}@127.0.0.1:1",
            marks=pytest.mark.skipif(
                find_spec("socks") is not None, reason="PySocks is installed here"
            ),
        ),
        f"ftp://me:{SECRET}@proxy:3128",
        f"me:{SECRET}@proxy:99999",
        f"http://me:{SECRET}/1@proxy:3128",
        f"http://me:{SECRET}#1@proxy:3128",
        "http://",
        "http:/proxy:3128",
        "http//proxy:3128",
        "http://[broken",
        "http://pro xy:3128",
    ],
)
@pytest.mark.parametrize(("name", "url"), [("HTTPS_PROXY", REAL), ("http_proxy", PLAIN)])
def test_a_proxy_that_cannot_be_one_is_wrong_usage_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, name: str, url: str
) -> None:
    monkeypatch.setenv(name, proxy)
    with pytest.raises(UsageError, match=f"^{name} ") as caught:
        Exchange(url, url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("name", "url"), [("HTTPS_PROXY", REAL), ("http_proxy", PLAIN)])
def test_a_proxy_that_is_not_there_is_named_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, DEAD.replace("//", f"//me:{SECRET}@"))
    waits: list[float] = []
    exchange = Exchange(url, url, retries=2, sleep=waits.append)
    with pytest.raises(UnreachableError) as caught:
        exchange.server_time()
    exchange.close()
    said = f"{url} cannot be reached through the proxy {DEAD} ({name}): Connection refused."
    assert str(caught.value) == said
    assert waits


@pytest.mark.parametrize(("name", "url"), [("HTTPS_PROXY", REAL), ("HTTP_PROXY", PLAIN)])
@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (407, UsageError, "without the right user and password"),
        (403, ClosedDoorError, "HTTP 403"),
        (405, ClosedDoorError, "HTTP 405"),
    ],
)
def test_what_a_proxy_refuses_is_said_at_once_and_names_it(
    host: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    url: str,
    status: int,
    kind: type[BasislakeError],
    said: str,
) -> None:
    proxy = host(page(status))
    monkeypatch.setenv(name, proxy.url.replace("//", f"//me:{SECRET}@"))
    found = failure(url)
    assert type(found) is kind
    assert f"through the proxy {proxy.url} ({name})" in str(found)
    assert said in str(found)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(("name", "url"), [("HTTPS_PROXY", REAL), ("HTTP_PROXY", PLAIN)])
@pytest.mark.parametrize("parts", [[], [b"HTTP/1.1 200 OK\r\n", *([b"X: y\r\n"] * 20)]])
def test_the_limit_holds_behind_a_proxy_that_keeps_silent_or_talks_without_end(
    host: Hosts, monkeypatch: pytest.MonkeyPatch, name: str, url: str, parts: list[bytes]
) -> None:
    proxy = host(*parts, pause_s=0.1)
    monkeypatch.setenv(name, proxy.url)
    with pytest.raises(TransientError, match=rf"through the proxy {proxy.url} \({name}\)"):
        clock_of(url, timeout_s=0.3, retries=0)
    assert proxy.requests


@pytest.mark.slow
def test_ctrl_c_ends_a_command_behind_a_proxy_that_keeps_silent(
    host: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = host()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    line = command(None, "instruments", "--lake", tmp_path / "lake", "--timeout", "3600")
    with running(line) as process:
        wait_until(process, lambda: bool(proxy.requests))
        process.send_signal(signal.SIGINT)
        assert "Interrupted" in ended(process).err


def test_a_password_of_netrc_is_sent_neither_to_the_exchange_nor_to_a_proxy(
    host: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login me password {SECRET}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    own = host(page(200, body=b'{"result": 1704067200000}'))
    assert clock_of(own.url)
    proxy = host(page(200, body=b'{"result": 1704067200000}'))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert clock_of(PLAIN)
    for sent in (*own.requests, *proxy.requests):
        assert sent.startswith(b"GET ")
        assert b"authorization" not in sent.lower()
    # The user's own address is another matter.
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", f"//me:{SECRET}@"))
    assert clock_of(PLAIN)
    assert b"proxy-authorization: basic" in proxy.requests[-1].lower()
