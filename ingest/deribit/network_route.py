"""The route of calls to a host, from the environment: the proxy and the trusted certificates.

An error here is a wrong setting: a retry cannot help.
"""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from ingest.deribit.hosts import shown
from lake.errors import BasislakeError, ClosedDoorError, UsageError
from lake.location.urls import is_base

# The first variable that is set is used.
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
# Reasons that OpenSSL reports for a server that does not speak TLS.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Route:
    """The route of calls to a host.

    Attributes:
        base: URL of the host.
        proxy: URL of the proxy, None without one.
        proxy_from: name of the setting of the proxy.
        certificates: file or folder of the trusted certificates, None for those of the
            program.
        certificates_from: name of the setting of the certificates.
    """

    base: str = field(repr=False)
    proxy: str | None = field(default=None, repr=False)
    proxy_from: str = ""
    certificates: str | None = None
    certificates_from: str = ""

    @property
    def through(self) -> str:
        """The proxy as part of a sentence, without its password; empty without a proxy."""
        return f" through the proxy {shown(self.proxy)} ({self.proxy_from})" if self.proxy else ""


def route_to(base: str, proxy: str | None, environ: Mapping[str, str]) -> Route:
    """Return the route of calls to a host.

    Args:
        base: URL of the host.
        proxy: of the environment, or the system, for this host; None without one.
        environ: environment variables.

    Raises:
        UsageError: the proxy's address, or the file of certificates, cannot be used.
    """
    proxy_from = _proxy_from(base, proxy, environ) if proxy else ""
    if proxy:
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        _check_proxy(proxy, proxy_from)
    name = next((name for name in CERTIFICATES if environ.get(name)), "")
    if not name or not base.startswith("https://"):
        return Route(base, proxy, proxy_from)
    _check_certificates(environ[name], name)
    return Route(base, proxy, proxy_from, environ[name], name)


def why_not_connected(route: Route, error: BaseException) -> BasislakeError | None:
    """Return the error of ours if the connection failed for a lasting reason; None if a retry may
    help; pure.
    """
    host = shown(route.base)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UsageError(_unverified(route, cause))
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
            return UsageError(
                f"{host} cannot be called{route.through}: its answer is not TLS. "
                "Check whether the address should begin with http:// instead of https://."
            )
        refusal = _TUNNEL.search(str(cause))
        status = int(refusal[1]) if refusal else 0
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return no_password(route)
        is_callers = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        if is_callers and status not in _PASSING:
            return ClosedDoorError(
                f"No call to {host} is permitted{route.through}: HTTP {status}. Stored data is "
                "safe. Check the proxy, or name the host in NO_PROXY if it can be called directly."
            )
    return None


def is_unknown_host(error: BaseException) -> bool:
    """Whether a connection failed because a name could not be resolved; pure."""
    return any(isinstance(cause, socket.gaierror) for cause in _causes(error))


def no_password(route: Route) -> UsageError:
    """Return the error of a proxy that rejects the user."""
    return UsageError(
        f"No call is permitted{route.through} without the right user and password (HTTP 407). "
        "Give them in the proxy's address, as in http://USER:PASSWORD@HOST:PORT."
    )


def _proxy_from(base: str, proxy: str, environ: Mapping[str, str]) -> str:
    scheme = urlsplit(base).scheme
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if environ.get(name) == proxy), "a setting of the system")


def _check_proxy(proxy: str, name: str) -> None:
    try:
        parts = urlsplit(proxy)
    except ValueError:
        parts = urlsplit("")
    is_known = parts.scheme.lower() in ("http", "https", *_SOCKS)
    if not is_known or not is_base(proxy) or parts.path not in ("", "/"):
        raise UsageError(
            f"{name} is not the address of a proxy: {shown(proxy)!r}. Nothing was fetched. Give "
            "one like http://HOST:PORT, or unset it."
        )
    if parts.scheme.lower() in _SOCKS and find_spec("socks") is None:
        raise UsageError(
            f"{name} names a SOCKS proxy, {shown(proxy)}, which needs the Python package PySocks. "
            "Nothing was fetched. Install PySocks where basislake is installed, or name an HTTP "
            "proxy."
        )


def _check_certificates(place: str, name: str) -> None:
    try:
        if not Path(place).is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(place)
    except OSError as exc:
        why = "it holds no certificate" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise UsageError(
            f"{name} is not a file of certificates: {place}: {why}. Nothing was fetched. Name the "
            "right file, or unset it."
        ) from exc


def _unverified(route: Route, error: ssl.SSLCertVerificationError) -> str:
    trusted = ""
    if route.certificates:
        trusted = f" by {route.certificates_from}={route.certificates}"
    return (
        f"The certificate of {shown(route.base)} cannot be verified{trusted}{route.through}: "
        f"{error.verify_message.rstrip('.')}. Nothing was fetched. Name a file of trusted "
        f"certificates in {CERTIFICATES[0]}, or correct the address."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
