"""The connections of one command to a database: a few at most; Ctrl-C ends all of them.

The driver's calls cannot be interrupted. So other threads make them, and the main thread waits,
because it receives every signal; it then makes the server cancel the running statements.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from lake.errors import LoadError
from load.database_address import LOCK_WAIT_S
from load.postgres import Database

# Each connection has one partition in memory: 0.4 GB for the largest, a perpetual of 4 M minutes.
# On 2 cores two connections are 1.4 times as fast as one, and more are no faster.
CONNECTIONS = 2

# A cancelled statement ends at once. If the server does not answer, the command does not wait: its
# threads are abandoned, and end with the process.
_ENDS_WITHIN_S = 10.0
_POLL_S = 0.1
_IN_DOUBT = (
    "PostgreSQL was stopped during a commit: it stored all of that commit or nothing. Run the "
    "same command again to find out."
)

W = TypeVar("W")
R = TypeVar("R")


class Connections:
    """The connections of one command to one database; `connected` makes and closes them."""

    def __init__(self, uri: str, lock_wait_s: float) -> None:
        """Prepare; no connection is opened yet.

        Args:
            uri: libpq URI.
            lock_wait_s: seconds that a statement waits for another session's lock.
        """
        self._uri = uri
        self._lock_wait_s = lock_wait_s
        self._opened: list[Database] = []
        self._is_stopped = self._is_closed = False
        self._lock = Lock()

    @property
    def is_in_doubt(self) -> bool:
        """Whether a commit is running, or it is unknown how one ended."""
        return any(database.is_in_doubt for database in self._opened)

    def open(self) -> Database:
        """Return a new connection; it is closed with the others.

        Raises:
            UsageError: the URI cannot be read.
            LoadError: the server cannot be reached, or refuses the connection.
        """
        with self._lock:
            first = next((known for known in self._opened if not known.is_closed), None)
        database = first.another() if first else Database(self._uri, self._lock_wait_s)
        with self._lock:
            self._opened.append(database)
            if self._is_closed:
                database.close()
            elif self._is_stopped:
                database.stop()
        return database

    def each(
        self, first: Database, work: Callable[[Database, W], R], pieces: Iterable[W]
    ) -> Generator[tuple[W, R]]:
        """Do pieces of work over a few connections, and yield them when done.

        Closing the generator waits for the pieces in progress.

        Args:
            first: one of the connections. Others join it as soon as the server grants them; if it
                grants none, this one does all the work.
            work: does one piece; a connection on which a piece failed gets no other.
            pieces: begun in this order.

        Raises:
            BasislakeError: a piece failed; pieces not yet begun are not done.
        """
        shared = _Pieces(work, pieces)

        def join() -> None:
            with suppress(LoadError):
                shared.do(self.open())

        if shared.total:
            _started(partial(shared.do, first))
        for _ in range(1, min(CONNECTIONS, shared.total)):
            _started(join)
        return shared.outcomes()

    def stop(self) -> None:
        """End the running statements of all connections; see `Database.stop`."""
        with self._lock:
            self._is_stopped = True
            opened = list(self._opened)
        for database in opened:
            database.stop()

    def close(self) -> None:
        """Close all connections; uncommitted work is undone."""
        with self._lock:
            self._is_closed = True
            opened = list(self._opened)
        for database in opened:
            database.close()


class _Pieces(Generic[W, R]):
    """Pieces of work that several threads share."""

    def __init__(self, work: Callable[[Database, W], R], pieces: Iterable[W]) -> None:
        self._work = work
        self._todo = deque(pieces)
        self._begun = 0
        self._is_over = False
        self._lock = Lock()
        self._ended: SimpleQueue[tuple[W, R] | BaseException] = SimpleQueue()
        self.total = len(self._todo)

    def do(self, database: Database) -> None:
        """Do pieces over a connection until none is left, or one failed anywhere."""
        while True:
            with self._lock:
                if self._is_over or not self._todo:
                    return
                piece = self._todo.popleft()
                self._begun += 1
            try:
                self._ended.put((piece, self._work(database, piece)))
            except BaseException as exc:  # noqa: BLE001  (whatever it is, it is raised again)
                self._end()
                self._ended.put(exc)

    def outcomes(self) -> Generator[tuple[W, R]]:
        """Yield finished pieces; after a failure, raise it once the pieces begun have ended."""
        ended, failure = 0, None
        try:
            while ended < (self._begun if self._is_over else self.total):
                outcome = self._ended.get()
                ended += 1
                if isinstance(outcome, BaseException):
                    failure = failure or outcome
                else:
                    yield outcome
        finally:
            self._end()
            for _ in range(ended, self._begun):
                self._ended.get()
        if failure:
            raise failure

    def _end(self) -> None:
        with self._lock:
            self._is_over = True


def connected(
    uri: str,
    work: Callable[[Connections], R],
    lock_wait_s: float = LOCK_WAIT_S,
    meanwhile: Callable[[], object] = lambda: None,
) -> R:
    """Do work with a database and return its result; Ctrl-C ends it within seconds.

    Args:
        uri: libpq URI.
        work: done in another thread; may use the connections from several.
        lock_wait_s: seconds that a statement waits for another session's lock.
        meanwhile: done in this thread at the same time.

    Raises:
        UsageError: the URI cannot be read.
        LoadError: the server cannot be reached, or refuses the connection.
        KeyboardInterrupt: from outside; a note says whether it came during a commit.
    """
    connections = Connections(uri, lock_wait_s)
    result: Future[R] = Future()

    def run() -> R:
        try:
            return work(connections)
        finally:
            connections.close()

    try:
        _started(partial(settle, result, run))
        meanwhile()
        _wait(result, math.inf)
        return result.result()
    except BaseException as exc:
        if not result.done():
            _stop(connections, result)
            if connections.is_in_doubt:
                exc.add_note(_IN_DOUBT)
        raise


def settle(future: Future[R], work: Callable[[], R]) -> None:
    """Do work; its result, or what it raises, becomes that of a future."""
    try:
        value = work()
    except BaseException as exc:  # noqa: BLE001  (whatever it is, it is raised again)
        future.set_exception(exc)
    else:
        future.set_result(value)


def _stop(connections: Connections, result: Future[R]) -> None:
    """Stop the work, and wait until it has ended, or until nothing answers."""

    def stop() -> None:
        # One call is not enough if the server has not begun the statement.
        while not result.done():
            connections.stop()
            wait([result], _POLL_S)

    _started(stop)
    _wait(result, _ENDS_WITHIN_S)


def _wait(result: Future[R], seconds: float) -> None:
    """Wait for a result in short steps: once Polars is loaded, Ctrl-C ends no wait early."""
    until_s = time.monotonic() + seconds
    while not result.done() and time.monotonic() < until_s:
        wait([result], _POLL_S)


def _started(work: Callable[[], None]) -> None:
    """Run a function in a thread that does not keep the process from ending."""
    Thread(target=work, daemon=True, name="postgres").start()
