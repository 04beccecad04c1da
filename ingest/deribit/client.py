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
from ingest.deribit.http import HttpConnections
from ingest.deribit.replies import CHART, Answer, HttpReply, read_answer, read_time
from ingest.rate_limit.limiter import Limiter
from ingest.rate_limit.policy import LONGEST_WAIT_S
from lake.errors import ThrottledError, TransientError, UnknownHostError
from lake.machine.cores import cores

_LISTS = "get_instruments"

# Waits between attempts double from the first one. A random part keeps threads from retrying at
# once.
_GROWING_S = tenacity.wait_exponential(0.5, LONGEST_WAIT_S)
_MOST_LONGER = 1.5
# Tries of a call to an unknown host, which end within seconds.
_UNKNOWN_HOST_TRIES = 3
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
        limiter: grants each call.
    """

    def __init__(
        self,
        www_url: str = WWW_URL,
        history_url: str = HISTORY_URL,
        *,
        limiter: Limiter | None = None,
        timeout_s: float = defaults.TIMEOUT_S,
        retries: int = defaults.RETRIES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare the client; nothing is called.

        Args:
            www_url: base URL of active instruments, candles and the clock.
            history_url: base URL of expired instruments.
            limiter: no limit by default.
            timeout_s: seconds for one whole call, from connecting to the last byte.
            retries: how often a call is repeated after a transient failure.
            sleep: waits between retries, in seconds.
            clock: monotonic seconds.
            tell: called with messages about lasting failures, from any thread.

        Raises:
            UsageError: a URL is not an http or https URL.
        """
        self._www_url = base_of(www_url)
        self.name = exchange_name(www_url)
        self.history_name = exchange_name(history_url)
        self._history_url = base_of(history_url)
        self.limiter = limiter or Limiter(0)
        bases = (self._www_url, self._history_url)
        self._connections = HttpConnections(bases, timeout_s, clock)
        # More threads than processors would only compete for the interpreter's lock.
        self._reading = threading.Semaphore(cores())
        self._retries = retries
        self._answered: set[str] = set()
        self._sleep = sleep
        self._tell = tell

    def instruments(self, currency: str, *, expired: bool) -> list[object]:
        """Return the unparsed records of a coin's futures: of those that are open from `www`, of
        expired ones from the `history` host.
        """
        params = {"currency": currency, "kind": "future", "expired": str(expired).lower()}
        return self.call(_LISTS, params, _read_list, is_history=expired)

    def server_time(self, most_retries: int | None = None) -> datetime:
        """Return the exchange's clock, UTC.

        Raises:
            UnreachableError: there is no connection to it.
            ExchangeError: it gave no usable answer.
        """
        return self.call(
            "get_time", {}, lambda reply: read_time(read_answer(reply)), most_retries=most_retries
        )

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[Answer], T],
        tally: CallCounts,
    ) -> T:
        """Make a call for rows; see `call`. `read` checks the answer."""
        return self.call(method, params, lambda reply: read(read_answer(reply)), tally)

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[HttpReply], T],
        tally: CallCounts | None = None,
        *,
        is_history: bool = False,
        most_retries: int | None = None,
    ) -> T:
        """Call a public method with retries, and return the result of `read` on the whole reply,
        even an error.

        Args:
            method: its name, without `public/`.
            params: of the call.
            read: if it raises a `TransientError` the call is repeated.
            tally: counts the calls; a call without one is for a list or the clock, for which
                everything waits.
            is_history: call the host of expired instruments.
            most_retries: overrides the number of retries.

        Raises:
            TransientError: no sound reply in all attempts.
            RejectedError: the exchange refuses the call, e.g. it does not know the instrument.
            ClosedDoorError: the exchange refuses all calls.
            StoppedError: `stop` was called.
        """
        base = self._history_url if is_history else self._www_url
        retries = self._retries if most_retries is None else min(most_retries, self._retries)

        def tries(state: tenacity.RetryCallState) -> int:
            # A name that was never resolved is probably mistyped, or there is no network.
            is_hopeless = isinstance(_error(state), UnknownHostError) and base not in self._answered
            return min(retries + 1, _UNKNOWN_HOST_TRIES) if is_hopeless else retries + 1

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=lambda state: state.attempt_number >= tries(state),
            wait=_wait_s,
            sleep=self._nap,
            before_sleep=lambda state: self._before_retry(
                state, _subject(method, params), tally, tries(state), is_told=most_retries is None
            ),
            reraise=True,
        )
        return retrying(lambda: self._once(base, method, params, read, tally or CallCounts()))

    def stop(self) -> None:
        """Make no more calls: threads that wait for the limiter or a retry get a `StoppedError`."""
        self._connections.stop()
        self.limiter.stop()

    def cut(self) -> None:
        """Abort the calls in flight, after `stop`."""
        self._connections.cut()

    def close(self) -> None:
        """Close the connections, and the shared rate limit. Calls in flight end: a second Ctrl-C
        may have ended the wait for them, and a program waits for its threads.
        """
        self.stop()
        self.cut()
        self._connections.close()
        self.limiter.close()

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

    def _nap(self, seconds: float) -> None:
        """Wait in short intervals, so that a stop is noticed."""
        while seconds > 0 and not self._connections.is_stopped:
            self._sleep(min(seconds, _LONGEST_NAP_S))
            seconds -= _LONGEST_NAP_S

    def _once(
        self,
        base: str,
        method: str,
        params: Mapping[str, Any],
        read: Callable[[HttpReply], T],
        tally: CallCounts,
    ) -> T:
        """Make one attempt after the limiter grants it, and report its outcome to the limiter."""
        asked_at = self.limiter.wait(to_list=method == _LISTS)
        tally.calls += 1
        try:
            reply = self._connections.get(base, method, params)
            self._answered.add(base)
            with self._reading:
                value = read(reply)
        except ThrottledError as exc:
            tally.throttled += 1
            self.limiter.refused(asked_at, exc.retry_after_s)
            raise
        self.limiter.answered()
        return value


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: those that the exchange asked for; else some that double."""
    error = _error(state)
    if isinstance(error, ThrottledError):
        # The limiter makes all threads wait, this one too.
        return 0.0
    asked_s = error.retry_after_s if isinstance(error, TransientError) else None
    if asked_s is not None:
        return min(asked_s, LONGEST_WAIT_S)
    return _GROWING_S(state) * random.uniform(1, _MOST_LONGER)  # noqa: S311  (no secret)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    """The error of the last try."""
    return state.outcome.exception() if state.outcome else None


def _subject(method: str, params: Mapping[str, Any]) -> str:
    """Subject of a call, for people: the instrument and the window's start, or the method and
    the instrument or coin.
    """
    if method == CHART:
        start = datetime.fromtimestamp(params["start_timestamp"] / 1000, UTC)
        return f"{params['instrument_name']} from {start:%Y-%m-%d %H:%M}Z"
    of = (params.get(name) for name in ("instrument_name", "index_name", "currency"))
    return " ".join([method, *filter(None, of)])


def _read_list(reply: HttpReply) -> list[object]:
    result = read_answer(reply).result
    if not isinstance(result, list):
        raise TransientError("The exchange's list of instruments is not a list.")
    return result
