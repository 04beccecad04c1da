"""One HTTP call to an exchange and its reply; the only module that uses `requests`."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from ingest.deribit.deadline import Deadlines, watch
from ingest.deribit.defaults import MAX_CONNECTIONS
from ingest.deribit.hosts import is_loopback, shown, shown_target
from ingest.deribit.network_route import (
    Route,
    is_unknown_host,
    no_password,
    route_to,
    why_not_connected,
)
from ingest.deribit.replies import HttpReply
from lake.errors import (
    BasislakeError,
    ClosedDoorError,
    StoppedError,
    TransientError,
    UnknownHostError,
    UnreachableError,
)

Session = requests.Session

_CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1_048_576
_SHOWN_CHARACTERS = 200
# The whole list of instruments of all kinds is about 5 MB, a full page of candles under 1 MB.
_MAX_BODY_BYTES = 64 * 1024 * 1024


class HttpConnections:
    """Connections to some hosts, kept alive, safe to share among threads."""

    def __init__(
        self,
        bases: Iterable[str],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; proxies and certificates come from the environment.

        Args:
            bases: URLs of the hosts to call.
            timeout_s: seconds for one whole call, from connecting to the last byte.
            clock: monotonic seconds.

        Raises:
            UsageError: a proxy or certificates of the environment cannot be used.
        """
        self._timeout_s = timeout_s
        self._clock = clock
        self._deadlines = Deadlines()
        self._stopped = threading.Event()
        self._session = _session()
        # Otherwise the library would read the environment again for every call, which costs as
        # much as a call, and send the exchange a password from ~/.netrc.
        self._session.trust_env = False
        self._routes = {base: route(base) for base in bases}

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Make every call that is aborted from now on raise a `StoppedError`."""
        self._stopped.set()

    def cut(self) -> None:
        """Abort the calls in flight."""
        self._deadlines.cut_all()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()
        self._deadlines.close()

    def get(self, base: str, method: str, params: Mapping[str, Any]) -> HttpReply:
        """Call a public method, once, and return the reply, whatever its content.

        Args:
            base: URL of the host, one of `bases`.
            method: its name.
            params: its parameters.

        Raises:
            UnreachableError: there is no connection to the host; an `UnknownHostError` if its name
                cannot be resolved.
            TransientError: the call was aborted, took too long, or its reply is far too long.
            ClosedDoorError: the server at the address, or the proxy in between, redirects or
                refuses the call.
            UsageError: a certificate cannot be verified, or another setting is wrong.
            StoppedError: the call was aborted after `stop`.
        """
        deadline_s = self._clock() + self._timeout_s
        timeout = (min(_CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        url = f"{base}/api/v2/public/{method}"
        route = self._routes[base]
        try:
            request = self._session.prepare_request(requests.Request("GET", url, params=params))
            with (
                self._deadlines.within(self._timeout_s),
                self._session.send(
                    request,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                    proxies={"all": route.proxy} if route.proxy else {},
                    verify=route.certificates or True,
                    cert=None,
                ) as response,
            ):
                _check_way(response, route, url)
                body = self._body(response, deadline_s)
                sender = f"{shown(base)}{route.through}"
                return HttpReply(response.status_code, body, response.headers, sender)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise self._error(exc, route, url, is_late=self._clock() >= deadline_s) from exc

    def _error(
        self, exc: BaseException, route: Route, url: str, *, is_late: bool
    ) -> BasislakeError:
        """The error of ours for a failed call."""
        if self._stopped.is_set():
            return StoppedError("Stopped during the call.")
        why = f"it took longer than {self._timeout_s:g} s" if is_late else _cause(exc)
        host = shown(route.base)
        if not _is_unconnected(exc):
            return TransientError(f"The call to {shown(url)} broke off{route.through}: {why}.")
        if found := why_not_connected(route, exc):
            return found
        kind = UnknownHostError if is_unknown_host(exc) else UnreachableError
        return kind(f"{host} cannot be reached{route.through}: {why}.")

    def _body(self, response: requests.Response, deadline_s: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > _MAX_BODY_BYTES:
                raise TransientError("The reply is longer than any valid reply.")
            if self._clock() > deadline_s:
                raise TransientError(f"The call took longer than {self._timeout_s:g} s.")
        return b"".join(chunks)


def route(base: str) -> Route:
    """Return the route of calls to a host, from the environment.

    Raises:
        UsageError: a proxy or certificates of the environment cannot be used.
    """
    return route_to(base, _proxy(base), os.environ)


class _Adapter(HTTPAdapter):
    """Connections that a deadline can cut, including those to a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (handed through)
        super().init_poolmanager(*args, **kwargs)
        watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        manager = super().proxy_manager_for(*args, **kwargs)
        watch(manager)
        return manager


class _Session(Session):
    """A session that does not follow or resolve redirects."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  (of the base)
        return None


def _session() -> Session:
    session = _Session()
    adapter = _Adapter(pool_connections=2, pool_maxsize=MAX_CONNECTIONS, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _proxy(base: str) -> str | None:
    """The proxy for a host from the environment or the system; none for this machine."""
    return None if is_loopback(base) else select_proxy(base, get_environ_proxies(base))


def _check_way(response: requests.Response, route: Route, url: str) -> None:
    """Refuse a reply that did not come from the called host.

    Raises:
        ClosedDoorError: the reply redirects.
        UsageError: the reply is from a proxy that requires a password.
    """
    status = response.status_code
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and route.proxy:
        raise no_password(route)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        location = response.headers.get("Location")
        target = f" to {shown_target(url, location)}" if location else ""
        raise ClosedDoorError(
            f"{shown(url)} redirects{target} (HTTP {status}){route.through}; basislake follows no "
            "redirect. Stored data is safe. If the exchange has moved, give its address as "
            "--exchange-url or --history-url; if this is a sign-in page of the network, sign in."
        )


def _is_unconnected(exc: BaseException) -> bool:
    """Whether no connection was made; false if a connection was lost."""
    # The library makes no retries, so they are exhausted only by a failed connection.
    return bool(exc.args) and isinstance(exc.args[0], urllib3.exceptions.MaxRetryError)


def _cause(exc: BaseException) -> str:
    """The innermost reason: the outer ones repeat the address and the retries."""
    while inner := exc.__cause__ or exc.__context__:
        exc = inner
    text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
    return shown(text).rstrip(".")[:_SHOWN_CHARACTERS]
