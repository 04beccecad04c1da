"""The exchange client: calls Deribit within the rate limit, with retries."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import tenacity

from ingest.deribit import defaults
from ingest.deribit.call_counts import CallCounts
from ingest.deribit.hosts import HISTORY_URL, WWW_URL, base_of, exchange_name
from ingest.deribit.http import HttpConnections, Session
from ingest.deribit.replies import Answer, HttpReply, Page, read_answer, read_candles, read_time
from ingest.plan.windows import minutes_of
from ingest.rate_limit.limiter import Limiter
from ingest.rate_limit.policy import most_tries, wait_before_retry_s
from lake.errors import ThrottledError, TransientError, UnknownHostError
from lake.machine.cores import cores
from lake.time.intervals import Span

_CHART = "get_tradingview_chart_data"
_LISTS = "get_instruments"

# If the first retry of a call for candles succeeds, the failure is not worth a line.
_ATTEMPTS_UNTOLD = 2
# How often a waiting thread checks whether it should stop.
_LONGEST_NAP_S = 0.5

T = TypeVar("T")


class Exchange:
    """Deribit's public REST API, over one session with keep-alive, safe to share among threads.

    Attributes:
        name: name of the exchange, see `ingest.deribit.hosts`.
        history_name: name of the exchange that lists expired instruments.
    """

    def __init__(  # noqa: PLR0913  (each is a setting of its own, all but the first two by keyword)
        self,
        www_url: str = WWW_URL,
        history_url: str = HISTORY_URL,
        *,
        limiter: Limiter | None = None,
        timeout_s: float = defaults.TIMEOUT_S,
        retries: int = defaults.RETRIES,
        session: Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare the client; nothing is called.

        Args:
            www_url: base URL of active instruments, candles and the clock.
            history_url: base URL of expired instruments.
            limiter: grants each call; no limit by default.
            timeout_s: seconds for one whole call, from connecting to the last byte.
            retries: how often a call is repeated after a transient failure.
            session: to send with; a new one by default.
            sleep: waits between retries, in seconds.
            clock: monotonic seconds.
            draw: jitter between 0 and 1.
            tell: called with messages about lasting failures, from any thread.

        Raises:
            UsageError: a URL is not an http or https URL.
        """
        self._www_url = base_of(www_url)
        self.name = exchange_name(www_url)
        self.history_name = exchange_name(history_url)
        self._history_url = base_of(history_url)
        self._limiter = limiter or Limiter(0)
        bases = (self._www_url, self._history_url)
        self._connections = HttpConnections(bases, timeout_s, session, clock)
        # More threads than processors would only compete for the interpreter's lock.
        self._reading = threading.Semaphore(cores())
        self._retries = retries
        self._answered: set[str] = set()
        self._sleep = sleep
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
            most_retries: overrides the number of retries.

        Raises:
            UnreachableError: there is no connection to it.
            ExchangeError: it gave no usable answer.
        """
        read = lambda reply: read_time(read_answer(reply))  # noqa: E731
        return self._call(self._www_url, "get_time", {}, read, most_retries=most_retries)

    def candles(self, instrument: str, window: Span, tally: CallCounts | None = None) -> Page:
        """Return an instrument's closed 1-minute candles of a window.

        Args:
            instrument: its name.
            window: whole minutes, half-open, at most 5,000 of them.
            tally: counts the calls.

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
        return self._call(self._www_url, _CHART, params, read, tally or CallCounts())

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[Answer], T],
        tally: CallCounts,
    ) -> T:
        """Call a public method of the main host, and return the result of `read`.

        Args:
            method: its name, without `public/`.
            params: of the call.
            read: checks the answer; if it raises a `TransientError` the call is repeated.
            tally: counts the calls.

        Raises:
            ExchangeError: as `candles`.
        """
        return self._call(
            self._www_url, method, params, lambda reply: read(read_answer(reply)), tally
        )

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[HttpReply], T],
        *,
        is_history: bool = False,
        most_retries: int | None = None,
    ) -> T:
        """Call a public method, and return the result of `read` on the whole reply, even an error.

        Args:
            method: its name, without `public/`.
            params: of the call.
            read: if it raises a `TransientError` the call is repeated.
            is_history: call the host of expired instruments.
            most_retries: overrides the number of retries.

        Raises:
            ExchangeError: as `candles`, or what `read` raises.
        """
        base = self._history_url if is_history else self._www_url
        return self._call(base, method, params, read, most_retries=most_retries)

    @property
    def most_calls_per_second(self) -> float:
        """The limit in candle calls a second, infinite for none."""
        return self._limiter.most

    @property
    def expected_calls_per_second(self) -> float:
        """The expected rate of a long run; 0 without a limit."""
        return self._limiter.expected.calls_per_second

    @property
    def calls_per_second(self) -> float:
        """The current rate; infinite without a limit."""
        return self._limiter.calls_per_second

    def stop(self) -> None:
        """Make no more calls: threads that wait for the limiter or a retry get a `StoppedError`."""
        self._connections.stop()
        self._limiter.stop()

    def cut(self) -> None:
        """Abort the calls in flight, after `stop`."""
        self._connections.cut()

    def close(self) -> None:
        """Close the connections, and the shared rate limit."""
        self._connections.close()
        self._limiter.close()

    def _instruments(self, base: str, currency: str, *, expired: bool) -> list[object]:
        params = {"currency": currency, "kind": "future", "expired": str(expired).lower()}
        return self._call(base, _LISTS, params, _read_list)

    def _call(
        self,
        base: str,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[HttpReply], T],
        tally: CallCounts | None = None,
        most_retries: int | None = None,
    ) -> T:
        """Make a call, with retries; a call without a tally is one for a list or the clock, for
        which everything waits.
        """
        retries = self._retries if most_retries is None else min(most_retries, self._retries)

        def tries(state: tenacity.RetryCallState) -> int:
            return most_tries(
                retries,
                is_unknown_host=isinstance(_error(state), UnknownHostError),
                has_answered=base in self._answered,
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=lambda state: state.attempt_number >= tries(state),
            wait=self._wait_s,
            sleep=self._nap,
            before_sleep=lambda state: self._before_retry(
                state, _subject(method, params), tally, tries(state), is_told=most_retries is None
            ),
            reraise=True,
        )
        return retrying(lambda: self._ask(base, method, params, read, tally or CallCounts()))

    def _before_retry(
        self,
        state: tenacity.RetryCallState,
        subject: str,
        tally: CallCounts | None,
        tries: int,
        *,
        is_told: bool,
    ) -> None:
        """Count a retry, and report a lasting failure: its subject, the attempt, and the next step.
        The limiter reports calls that the rate limit refused.
        """
        if tally:
            tally.retries += 1
        error = _error(state)
        lasts = not tally or state.attempt_number >= _ATTEMPTS_UNTOLD
        if is_told and lasts and state.next_action and not isinstance(error, ThrottledError):
            self._tell(
                f"Warning: {subject}, try {state.attempt_number} of {tries}: {error} "
                f"Retrying in {state.next_action.sleep:.0f} s."
            )

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        if isinstance(error, ThrottledError):
            # The limiter makes all threads wait, this one too.
            return 0.0
        asked_s = error.retry_after_s if isinstance(error, TransientError) else None
        return wait_before_retry_s(state.attempt_number, asked_s, self._draw())

    def _nap(self, seconds: float) -> None:
        """Wait in short intervals, so that a stop is noticed."""
        while seconds > 0 and not self._connections.is_stopped:
            self._sleep(min(seconds, _LONGEST_NAP_S))
            seconds -= _LONGEST_NAP_S

    def _ask(
        self,
        base: str,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[HttpReply], T],
        tally: CallCounts,
    ) -> T:
        """Make one attempt after the limiter grants it, and report its outcome to the limiter."""
        asked_at = self._limiter.wait(to_list=method == _LISTS)
        tally.calls += 1
        try:
            reply = self._connections.get(base, method, params)
            self._answered.add(base)
            with self._reading:
                value = read(reply)
        except ThrottledError as exc:
            tally.throttled += 1
            self._limiter.refused(asked_at, exc.retry_after_s)
            raise
        self._limiter.answered()
        return value


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    """The error of the last try."""
    return state.outcome.exception() if state.outcome else None


def _subject(method: str, params: Mapping[str, Any]) -> str:
    """Subject of a call, for people: the instrument and the window's start, or the method and
    the instrument or coin.
    """
    if method == _CHART:
        start = datetime.fromtimestamp(params["start_timestamp"] / 1000, UTC)
        return f"{params['instrument_name']} from {start:%Y-%m-%d %H:%M}Z"
    of = (params.get(name) for name in ("instrument_name", "index_name", "currency"))
    return " ".join([method, *filter(None, of)])


def _read_list(reply: HttpReply) -> list[object]:
    result = read_answer(reply).result
    if not isinstance(result, list):
        raise TransientError("The exchange's list of instruments is not a list.")
    return result
