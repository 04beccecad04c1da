"""One HTTP call to an exchange and its reply; the one module that knows `requests`."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from ingest.deadline import POOLS, Deadlines
from ingest.defaults import MAX_CONNECTIONS
from ingest.hosts import shown
from ingest.replies import Reply
from lake.errors import StoppedError, TransientError, UnreachableError

Session = requests.Session

_CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1_048_576
_SHOWN_CHARACTERS = 200
# The whole list of instruments of all kinds is about 5 MB, a full page of candles under 1 MB.
_MAX_BODY_BYTES = 64 * 1024 * 1024


class Connections:
    """Connections to some hosts, kept alive, safe to share among threads."""

    def __init__(
        self,
        bases: Iterable[str],
        timeout_s: float,
        session: Session | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet.

        Args:
            bases: URLs that will be called.
            timeout_s: seconds for one whole call, from connecting to the last byte.
            session: to send with; a fresh one by default.
            clock: seconds, never going back.
        """
        self._timeout_s = timeout_s
        self._clock = clock
        self._deadlines = Deadlines()
        self._stopped = threading.Event()
        self._session = session or _session()
        # Proxies and certificates of the environment: to look them up costs as much as a call.
        self._environment = {
            base: self._session.merge_environment_settings(
                base, {}, stream=True, verify=None, cert=None
            )
            for base in bases
        }

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """From now on a call that breaks off raises a `StoppedError`."""
        self._stopped.set()

    def cut(self) -> None:
        """Break off the calls under way."""
        self._deadlines.cut_all()

    def close(self) -> None:
        """Close them all."""
        self._session.close()
        self._deadlines.close()

    def get(self, base: str, method: str, params: Mapping[str, Any]) -> Reply:
        """Call a public method, once, and return the reply whatever it says.

        Args:
            base: URL of the host, one of those told.
            method: its name.
            params: its parameters.

        Raises:
            UnreachableError: there is no connection to the host.
            TransientError: the call broke off, took too long, or answered far too much.
            StoppedError: it broke off after `stop`.
        """
        deadline_s = self._clock() + self._timeout_s
        timeout = (min(_CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        url = f"{base}/api/v2/public/{method}"
        environment = self._environment[base]
        try:
            request = self._session.prepare_request(requests.Request("GET", url, params=params))
            with (
                self._deadlines.within(self._timeout_s),
                self._session.send(
                    request, timeout=timeout, allow_redirects=False, **environment
                ) as response,
            ):
                body = self._body(response, deadline_s)
                return Reply(response.status_code, body, response.headers)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            if self._stopped.is_set():
                raise StoppedError("Stopped while the call was under way.") from exc
            late = self._clock() >= deadline_s
            why = f"it took longer than {self._timeout_s:g} seconds" if late else _cause(exc)
            if _is_unconnected(exc):
                raise UnreachableError(f"{shown(base)} cannot be reached: {why}.") from exc
            raise TransientError(f"The call to {shown(url)} broke off: {why}.") from exc

    def _body(self, response: requests.Response, deadline_s: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > _MAX_BODY_BYTES:
                raise TransientError("The reply is longer than any should be.")
            if self._clock() > deadline_s:
                raise TransientError(f"The call took longer than {self._timeout_s:g} seconds.")
        return b"".join(chunks)


def _session() -> Session:
    session = Session()
    adapter = HTTPAdapter(pool_connections=2, pool_maxsize=MAX_CONNECTIONS, pool_block=True)
    adapter.poolmanager.pool_classes_by_scheme = POOLS
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _is_unconnected(exc: BaseException) -> bool:
    """Whether no connection was made; one that broke is another matter."""
    # The library's own tries, of which there are none, are used up only by making a connection.
    return bool(exc.args) and isinstance(exc.args[0], urllib3.exceptions.MaxRetryError)


def _cause(exc: BaseException) -> str:
    """The innermost reason: the outer ones repeat the address and the retries."""
    while inner := exc.__cause__ or exc.__context__:
        exc = inner
    text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
    return shown(text).rstrip(".")[:_SHOWN_CHARACTERS]
