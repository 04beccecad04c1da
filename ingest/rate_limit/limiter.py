"""The rate limiter that all threads and processes of a machine share, one for each exchange."""

import math
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path

from filelock import FileLock

from ingest.rate_limit.allowance import Rate, terms_of
from ingest.rate_limit.policy import (
    RateState,
    answered,
    ask_leave,
    ask_leave_to_list,
    begun,
    believable,
    rate_at,
    refused,
    to_remember,
)
from ingest.rate_limit.refusal_messages import Refusals
from ingest.rate_limit.remembered import Expected, Remembered, expected, host_tag
from lake.errors import StoppedError
from lake.machine.shared_folder import not_shared

_LAYOUT = struct.Struct(f"<{len(fields(RateState))}d")
# How long another process holds the lock: microseconds.
_LOCK_POLL_S = 0.001
# How often a waiting thread checks for a stop or a pause of all threads.
_LONGEST_NAP_S = 0.5


class Limiter:
    """Grants calls, and slows all processes down when the exchange refuses.

    Without a folder only the threads of this process share the rate. With a folder it is stored in
    a small file there, under a lock that ends with the process, so a killed process blocks no
    other.
    """

    def __init__(
        self,
        rate: Rate,
        *,
        folder: Path | None = None,
        url: str = "",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
        refusals: Refusals | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        """Set the limit; nothing is read or written.

        Args:
            rate: the most candle calls a second, 0 for no limit, or `auto`.
            folder: where processes share the rate.
            url: of the exchange; each has a rate of its own.
            clock: seconds, the same for all processes that share the folder.
            sleep: waits for some seconds.
            tell: called with a line when the exchange begins to refuse, and when that is over; from
                any thread.
            refusals: messages so far, of a limiter whose run this one continues.
            remembered: start value of `auto`, and store of the rate that it finds.
        """
        self._rate = rate
        self._terms = terms_of(rate)
        self._remembered = remembered if self._terms.is_auto else None
        self._cell = _Cell(folder / f"pace-{_LAYOUT.size}-{host_tag(url)}") if folder else _Memory()
        self._clock = clock
        self._sleep = sleep
        self._stopped = threading.Event()
        self._tell = tell
        self._refusals = refusals or Refusals()
        self._was_refused = False

    def wait(self, *, to_list: bool = False) -> float:
        """Wait until a call is granted, and return the time of that.

        Args:
            to_list: the call is one of `get_instruments`.

        Raises:
            StoppedError: `stop` was called.
            LakeError: the shared file cannot be used.
        """
        while True:
            if self._stopped.is_set():
                raise StoppedError("Stopped before the call was made.")
            is_free = math.isinf(self._terms.most) and not to_list
            if is_free and not self._cell.peek().refused_at:
                return self._clock()
            with self._cell.changing() as held:
                now = self._clock()
                state = self._begun(believable(held.state, now, self._terms), now)
                held.state, wait_s = (
                    ask_leave_to_list(state, now) if to_list else ask_leave(state, now, self._terms)
                )
                state = held.state
                self._was_refused = state.refusals > 0
                message = self._refusals.allowed(state, self._terms)
            self._say(message)
            if not wait_s:
                self._remember(state, now, is_new=not to_list)
                return now
            self._sleep(min(wait_s, _LONGEST_NAP_S))

    def refused(self, asked_at: float, wait_s: float | None) -> None:
        """Record that the exchange refused a call by its rate limit.

        Args:
            asked_at: the result of `wait` for this call.
            wait_s: the reply's `Retry-After`, None where absent.
        """
        with self._cell.changing() as held:
            now = self._clock()
            state = refused(held.state, now, asked_at, self._terms, wait_s)
            held.state = state
            message = self._refusals.refused(state, self._terms)
        self._was_refused = True
        self._remember(state, now, is_new=state.refused_at == now)
        self._say(message)

    def answered(self) -> None:
        """Record that the exchange answered a call."""
        if self._was_refused:
            with self._cell.changing() as held:
                held.state = answered(held.state)
            self._was_refused = False

    @property
    def most(self) -> float:
        """The limit in candle calls a second, infinite without one."""
        return self._terms.most

    @property
    def calls_per_second(self) -> float:
        """The current rate: the limit, or less while the rate rises; infinite without a limit."""
        now = self._clock()
        state = believable(self._cell.peek(), now, self._terms)
        return rate_at(self._begun(state, now), self._terms)

    @property
    def expected(self) -> Expected:
        """The expected rate of a long run."""
        return expected(self._rate, self._found(self._clock()))

    def _begun(self, state: RateState, now: float) -> RateState:
        """The state, started if the rate is `auto` and none was found yet."""
        if state.target or not self._terms.is_auto:
            return state
        return begun(state, self._found(now))

    def _found(self, now: float) -> float | None:
        return self._remembered.read(now) if self._remembered else None

    def _remember(self, state: RateState, now: float, *, is_new: bool) -> None:
        """Store the rate that was just found, outside of the lock of the state.

        Args:
            state: after a call was granted or refused.
            now: seconds.
            is_new: whether that changed it.
        """
        found = to_remember(state, self._terms) if self._remembered and is_new else None
        if self._remembered and found:
            self._remembered.write(found, now)

    def _say(self, message: str) -> None:
        if message:
            self._tell(message)

    def stop(self) -> None:
        """Grant no more calls; waiting threads notice it soon."""
        self._stopped.set()

    def close(self) -> None:
        """Close the shared file."""
        self._cell.close()


class _Memory:
    """A state in memory that the threads of one process share."""

    def __init__(self) -> None:
        self.state = RateState()
        self._lock = threading.RLock()

    @contextmanager
    def changing(self) -> Iterator["_Memory"]:
        with self._lock:
            yield self

    def peek(self) -> RateState:
        return self.state

    def close(self) -> None:
        pass


class _Cell(_Memory):
    """A state in a file of fixed size, written in place, which works even on a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._descriptor: int | None = None
        # The lock of `_Memory` serialises threads, so only one at a time takes the file's lock.
        lock_path = path.with_suffix(".lock")
        self._file_lock = FileLock(
            lock_path, poll_interval=_LOCK_POLL_S, thread_local=False, fallback_to_soft=False
        )

    @contextmanager
    def changing(self) -> Iterator["_Memory"]:
        with super().changing(), self._explained(), self._file_lock:
            self.state = self.peek()
            yield self
            os.pwrite(self._opened(), _LAYOUT.pack(*astuple(self.state)), 0)

    def peek(self) -> RateState:
        """The last written value, without waiting for writers."""
        with self._lock, self._explained():
            found = os.pread(self._opened(), _LAYOUT.size, 0)
        return RateState(*_LAYOUT.unpack(found)) if len(found) == _LAYOUT.size else RateState()

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise not_shared("The rate limit cannot be shared", self._path, exc) from exc

    def _opened(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # The umask decides who else may share the file, as for all files of a lake.
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        return self._descriptor
