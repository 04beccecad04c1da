"""Work of DuckDB that Ctrl-C ends."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import duckdb

T = TypeVar("T")

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# A signal may interrupt another thread and end no wait early, so waits are short.
_POLL_S = 0.05


def interruptible(
    connection: duckdb.DuckDBPyConnection, works: Iterable[Callable[[], T]]
) -> list[T]:
    """Do works of a connection, one after the other, and return their results.

    The works are done in a thread: Python handles a signal only between two bytecode instructions,
    and a query is one. The signal takes effect when they have ended, so that the connection can be
    closed then.

    Raises:
        KeyboardInterrupt: from outside.
    """
    with _deferred() as received, ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: [work() for work in works if not received])
        while not running.done():
            wait([running], _POLL_S)
            if received:
                # Again and again: one interrupt is not enough if the query has not begun.
                connection.interrupt()
    return running.result()


@contextmanager
def _deferred() -> Iterator[list[int]]:
    """Put signals off until the end of the block; the list has those received so far. If one raised
    in the middle, the locks of a `Future` could stay locked.
    """
    received: list[int] = []
    # Python delivers signals to the main thread only.
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {
        number: handler
        for number in _SIGNALS
        if is_main and callable(handler := signal.getsignal(number))
    }
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: received.append(number))
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    # In the order of `_SIGNALS`: Ctrl-C last, which ends less.
    for number, handler in handlers.items():
        if number in received:
            handler(number, None)
