"""Work of DuckDB that Ctrl-C ends: it is done in a thread, because Python handles Ctrl-C only
between two bytecode instructions, and a query is one.
"""

import _thread
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

import duckdb

T = TypeVar("T")

# Once Polars is loaded, Ctrl-C may interrupt another thread and end no wait early, so waits are
# short.
_POLL_S = 0.05


def interruptible(
    connection: duckdb.DuckDBPyConnection, works: Iterable[Callable[[], T]]
) -> list[T]:
    """Do works of a connection, one after the other, and return their results.

    Raises:
        KeyboardInterrupt: from outside. No work runs any more, so the connection can be closed.
    """
    is_over: list[bool] = []
    work = _Work(lambda: [each() for each in works if not is_over])
    try:
        work.start()
        while not work.is_done():
            work.wait()
        return work.result()
    except BaseException as exc:
        is_over.append(True)
        if (end := _ended(connection, work, exc)) is not exc:
            raise end from exc
        raise


def _ended(
    connection: duckdb.DuckDBPyConnection, work: "_Work[T]", end: BaseException
) -> BaseException:
    """Interrupt work until it ends; return what ends the caller then: of several interruptions, one
    that is more than Ctrl-C.
    """
    if work.is_done() or work.is_cancelled():
        return end
    # No further signal reaches a thread.
    _Work(partial(_interrupt, connection, work)).start()
    while not work.is_done():
        try:
            work.wait()
        except KeyboardInterrupt as further:
            end = end if type(further) is KeyboardInterrupt else further
    return end


def _interrupt(connection: duckdb.DuckDBPyConnection, work: "_Work[T]") -> None:
    """Interrupt a query until it ends: one interrupt is not enough if it has not begun."""
    while not work.is_done():
        connection.interrupt()
        work.wait()


class _Work(Generic[T]):
    """Work in a thread. Not a `Future`, whose locks stay locked if Ctrl-C comes while it is asked
    for its state.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._claim, self._end = _thread.allocate_lock(), _thread.allocate_lock()
        self._end.acquire()
        self._results: list[T] = []
        self._errors: list[BaseException] = []

    def start(self) -> None:
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._results.append(self._work())
        except BaseException as exc:  # noqa: BLE001  (whatever it is, it is raised again)
            self._errors.append(exc)
        finally:
            self._end.release()

    def is_cancelled(self) -> bool:
        """Whether the work has not begun; after this call it never will. Call it once."""
        return self._claim.acquire(blocking=False)

    def is_done(self) -> bool:
        return bool(self._results or self._errors)

    def wait(self) -> None:
        """Wait a moment, or until the work has ended."""
        if self._end.acquire(timeout=_POLL_S):
            self._end.release()

    def result(self) -> T:
        """Return the result, or raise what the work raised."""
        if self._errors:
            raise self._errors[0]
        return self._results[0]
