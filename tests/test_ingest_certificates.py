"""Certificates of hosts, and where they are looked up: real sockets."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from basislake.simulator.server import SimulatedExchange
from ingest.deribit.client import Exchange
from lake.errors import UsageError
from tests.hosts import REAL, Hosts, clock_of, failure, page

pytestmark = pytest.mark.usefixtures("no_proxies")


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


def test_a_certificate_that_does_not_verify_is_wrong_usage_and_the_variable_cures_it(
    host: Hosts, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
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
