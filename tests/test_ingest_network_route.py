"""Proxies, certificates, name servers and impostors of the exchange: real sockets."""

import contextlib
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from basislake.simulator.server import SimulatedExchange
from ingest.deribit.client import Exchange
from lake.errors import (
    BasislakeError,
    ClosedDoorError,
    StoppedError,
    TransientError,
    UnreachableError,
    UsageError,
)
from tests.market import basislake, command
from tests.processes import ended, running, wait_until

REAL = "https://www.deribit.com"
PLAIN = "http://www.deribit.com"
SECRET = "geheim"  # noqa: S105  (of no account)
# Nobody listens there.
DEAD = "http://127.0.0.1:1"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# So long at most a test waits for what has to happen.
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that a test begins with names no proxy and no certificates."""
    for name in (*PROXIES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


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


@pytest.fixture
def host() -> Iterator[Hosts]:
    """Starts hosts that stop after the test."""
    hosts: list[Host] = []

    def make(*parts: bytes, tls: ssl.SSLContext | None = None, pause_s: float = 0.0) -> Host:
        hosts.append(Host(*parts, tls=tls, pause_s=pause_s))
        return hosts[-1]

    yield make
    for each in hosts:
        each.close()


def page(status: int, *headers: str, body: bytes = b"<html>no</html>") -> bytes:
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


def never(seconds: float) -> None:
    raise AssertionError(f"asked again after {seconds} s")


def failure(url: str, timeout_s: float = PATIENCE_S) -> BasislakeError:
    """What asking for the clock ends in, which is not asked a second time."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(BasislakeError) as caught:
        pool.submit(clock_of, url, timeout_s=timeout_s).result(PATIENCE_S)
    assert SECRET not in str(caught.value)
    return caught.value


def clock_of(url: str, timeout_s: float = PATIENCE_S, retries: int = 6) -> datetime:
    exchange = Exchange(url, url, timeout_s=timeout_s, retries=retries, sleep=never)
    try:
        return exchange.server_time()
    finally:
        exchange.close()


# Proxies


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


# Certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a certificate for this machine, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rehearsal")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(pem, form, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_does_not_verify_is_wrong_usage_and_the_variable_cures_it(
    host: Hosts, monkeypatch: pytest.MonkeyPatch, certificate: Path, tls: ssl.SSLContext
) -> None:
    own = host(page(200, body=b'{"result": 1704067200000}'), tls=tls)
    url = own.url.replace("http", "https")
    found = failure(url)
    assert isinstance(found, UsageError)
    assert f"The certificate of {url} cannot be verified: self-signed certificate." in str(found)
    assert "REQUESTS_CA_BUNDLE" in str(found)
    assert own.requests == []
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(certificate))
            assert clock_of(url) == datetime(2024, 1, 1, tzinfo=UTC)
            other = failure(url.replace("127.0.0.1", "localhost"))
            assert isinstance(other, UsageError)
            assert f"cannot be verified by {name}={certificate}: " in str(other)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), ("-", "it holds no certificate")]
)
def test_certificates_that_are_not_there_are_wrong_usage(
    server: SimulatedExchange,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    content: str | None,
    why: str,
) -> None:
    path = tmp_path / "own.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv(name, str(path))
    with pytest.raises(UsageError, match=f"^{name} is not a file of certificates: {path}: {why}."):
        Exchange(REAL, REAL)
    # Nobody needs them without TLS.
    assert clock_of(server.www_url)


def test_what_speaks_no_tls_is_wrong_usage(host: Hosts) -> None:
    plain = host(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    found = failure(plain.url.replace("http", "https"))
    assert isinstance(found, UsageError)
    assert "its answer is not TLS" in str(found)


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


# What is sent


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


# What answers in the exchange's place


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


def test_active_instruments_are_stored_where_only_history_refuses_all_calls(
    host: Hosts, server: SimulatedExchange, tmp_path: Path
) -> None:
    history = host(page(403))
    urls = ("--exchange-url", server.www_url, "--history-url", history.url)
    done = basislake(None, "instruments", "--lake", tmp_path, *urls, "--json")
    assert (done.code, len(done.json["failed"]), len(history.requests)) == (1, 1, 1)
    assert done.json["failed"][0].startswith(f"the lists of expired futures: {history.url} refuses")
    assert done.json["perpetuals"] == 2
