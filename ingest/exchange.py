"""The exchange client: the one place that calls Deribit, the one module that knows `requests`."""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter

from ingest.deadline import POOLS, Deadlines
from ingest.hosts import HISTORY_URL, WWW_URL, base_of, exchange_name, shown
from ingest.limiter import Limiter
from ingest.pace import wait_before_retry_s
from ingest.replies import Page, Reply, read_answer, read_candles, read_time
from ingest.windows import minutes_of
from lake.errors import (
    StoppedError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from lake.spans import Span

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_RETRIES = 6
MAX_CONNECTIONS = 8

_CHART = "get_tradingview_chart_data"
_LISTS = "get_instruments"

_CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1_048_576
_SHOWN_CHARACTERS = 200
# A failed call for candles that the first retry cures is not worth a line.
_ATTEMPTS_UNTOLD = 2
# So often a thread that waits looks whether it should stop.
_LONGEST_NAP_S = 0.5
# The whole list of instruments of all kinds is about 5 MB, a full page of candles under 1 MB.
_MAX_BODY_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What was asked so far; used by one thread.

    Attributes:
        calls: candle calls, repeats included.
        retries: candle calls that were made again after a transient failure.
        throttled: candle calls refused because there were too many.
    """

    calls: int = 0
    retries: int = 0
    throttled: int = 0

    def add(self, other: "Tally") -> None:
        """Count what another counted."""
        self.calls += other.calls
        self.retries += other.retries
        self.throttled += other.throttled


class Exchange:
    """Deribit's public REST API, over one session with keep-alive, safe to share among threads.

    Attributes:
        name: which exchange it is, see `ingest.hosts`.
        history_name: the same of the host that lists expired instruments.
    """

    def __init__(  # noqa: PLR0913  (each is a setting of its own, all but the first two by keyword)
        self,
        www_url: str = WWW_URL,
        history_url: str = HISTORY_URL,
        *,
        limiter: Limiter | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = DEFAULT_RETRIES,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Address the exchange; nothing is called.

        Args:
            www_url: base URL of active instruments, candles and the clock.
            history_url: base URL of expired instruments.
            limiter: gives leave for each call; no limit by default.
            timeout_s: seconds for one whole call, from connecting to the last byte.
            retries: how often a call is made again after a transient failure.
            session: to send with; a fresh one by default.
            sleep: waits between retries, in seconds.
            clock: seconds, never going back.
            draw: jitter between 0 and 1.
            tell: told of failures that last, from any thread.

        Raises:
            UsageError: a URL is not an http or https URL.
        """
        self._www_url = base_of(www_url)
        self.name = exchange_name(www_url)
        self.history_name = exchange_name(history_url)
        self._history_url = base_of(history_url)
        self._limiter = limiter or Limiter(0)
        self._deadlines = Deadlines()
        self._stopped = threading.Event()
        # More threads than processors would only hand the interpreter's lock to and fro.
        self._reading = threading.Semaphore(os.cpu_count() or 1)
        self._timeout_s = timeout_s
        self._retries = retries
        self._session = session or _session()
        # Proxies and certificates of the environment: to look them up costs as much as a call.
        self._environment = {
            base: self._session.merge_environment_settings(
                base, {}, stream=True, verify=None, cert=None
            )
            for base in (self._www_url, self._history_url)
        }
        self._sleep = sleep
        self._clock = clock
        self._draw = draw
        self._tell = tell

    def active_instruments(self, currency: str) -> list[object]:
        """Return the unparsed records of a coin's futures that are open, from `www`."""
        return self._instruments(self._www_url, currency, expired=False)

    def expired_instruments(self, currency: str) -> list[object]:
        """Return the unparsed records of a coin's expired futures, from the `history` host."""
        return self._instruments(self._history_url, currency, expired=True)

    def server_time(self, most_retries: int | None = None) -> datetime:
        """Return the exchange's clock, UTC.

        Args:
            most_retries: for a caller that has a patience of its own.

        Raises:
            UnreachableError: there is no connection to it.
            ExchangeError: it gave no usable answer.
        """
        read = lambda reply: read_time(read_answer(reply))  # noqa: E731
        return self._call(self._www_url, "get_time", {}, read, most_retries=most_retries)

    def candles(self, instrument: str, window: Span, tally: Tally | None = None) -> Page:
        """Return an instrument's closed 1-minute candles of a window.

        Args:
            instrument: its name.
            window: whole minutes, half-open, at most 5,000 of them.
            tally: where the calls are counted.

        Raises:
            TransientError: no sound reply in all attempts.
            RejectedError: the exchange refuses the call, e.g. it does not know the instrument.
            ClosedDoorError: the exchange refuses all calls.
            StoppedError: `stop` was called.
        """
        start_ms, end_ms = minutes_of(window)
        params = {
            "instrument_name": instrument,
            "start_timestamp": start_ms,
            "end_timestamp": end_ms,
            "resolution": "1",
        }
        read = lambda reply: read_candles(reply, window)  # noqa: E731
        return self._call(self._www_url, _CHART, params, read, tally or Tally())

    @property
    def calls_per_second(self) -> float:
        """What is allowed now; infinite without a limit."""
        return self._limiter.calls_per_second

    def stop(self) -> None:
        """Make no more calls: threads that wait for leave or for a retry get a `StoppedError`."""
        self._stopped.set()
        self._limiter.stop()

    def cut(self) -> None:
        """Break off the calls under way, after `stop`."""
        self._deadlines.cut_all()

    def close(self) -> None:
        """Close the connections, and the shared pace."""
        self._session.close()
        self._deadlines.close()
        self._limiter.close()

    def _instruments(self, base: str, currency: str, *, expired: bool) -> list[object]:
        params = {"currency": currency, "kind": "future", "expired": str(expired).lower()}
        return self._call(base, _LISTS, params, _read_list)

    def _call(
        self,
        base: str,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[Reply], T],
        tally: Tally | None = None,
        most_retries: int | None = None,
    ) -> T:
        """Make a call, again and again where that may help; without a tally it is one for a list or
        the clock, which everything waits for.
        """
        retries = self._retries if most_retries is None else min(most_retries, self._retries)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_attempt(retries + 1),
            wait=self._wait_s,
            sleep=self._nap,
            before_sleep=lambda state: self._before_retry(state, tally),
            reraise=True,
        )
        return retrying(lambda: self._ask(base, method, params, read, tally or Tally()))

    def _before_retry(self, state: tenacity.RetryCallState, tally: Tally | None) -> None:
        if tally:
            tally.retries += 1
        is_told = not tally or state.attempt_number >= _ATTEMPTS_UNTOLD
        if is_told and state.outcome and state.next_action:
            wait_s = state.next_action.sleep
            again = f"Asking again in {wait_s:.0f} s." if wait_s else "Waiting with all calls."
            self._tell(f"{state.outcome.exception()} {again}")

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ThrottledError):
            # The limiter makes everybody wait, this call too.
            return 0.0
        asked_s = error.retry_after_s if isinstance(error, TransientError) else None
        return wait_before_retry_s(state.attempt_number, asked_s, self._draw())

    def _nap(self, seconds: float) -> None:
        """Wait in short naps, so that a stop is noticed."""
        while seconds > 0 and not self._stopped.is_set():
            self._sleep(min(seconds, _LONGEST_NAP_S))
            seconds -= _LONGEST_NAP_S

    def _ask(
        self,
        base: str,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[Reply], T],
        tally: Tally,
    ) -> T:
        """Make one attempt, with leave, and tell the limiter what came of it."""
        asked_at = self._limiter.wait(to_list=method == _LISTS)
        if method == _CHART:
            tally.calls += 1
        try:
            reply = self._send(base, method, params)
            with self._reading:
                value = read(reply)
        except ThrottledError as exc:
            tally.throttled += 1
            self._limiter.refused(asked_at, exc.retry_after_s)
            raise
        self._limiter.answered()
        return value

    def _send(self, base: str, method: str, params: Mapping[str, Any]) -> Reply:
        deadline_s = self._clock() + self._timeout_s
        timeout = (min(_CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        url = f"{base}/api/v2/public/{method}"
        request = self._session.prepare_request(requests.Request("GET", url, params=params))
        environment = self._environment[base]
        try:
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


def _session() -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=2, pool_maxsize=MAX_CONNECTIONS, pool_block=True)
    adapter.poolmanager.pool_classes_by_scheme = POOLS
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read_list(reply: Reply) -> list[object]:
    result = read_answer(reply).result
    if not isinstance(result, list):
        raise TransientError("The exchange's list of instruments is not a list.")
    return result


def _is_unconnected(exc: BaseException) -> bool:
    """Whether no connection was made; one that broke is another matter."""
    # The library's own tries, of which there are none, are used up only by making a connection.
    return bool(exc.args) and isinstance(exc.args[0], urllib3.exceptions.MaxRetryError)


def _cause(exc: BaseException) -> str:
    """The innermost reason: the outer ones repeat the address and the retries."""
    while inner := exc.__cause__ or exc.__context__:
        exc = inner
    text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
    return text.rstrip(".")[:_SHOWN_CHARACTERS]
