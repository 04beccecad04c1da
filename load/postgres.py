"""A connection to PostgreSQL by ADBC; the only module that uses the driver."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from types import TracebackType
from typing import Any, Self

import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped]
import pyarrow as pa

from lake.errors import LoadError
from load.arrow_batches import Batches
from load.database_address import LOCK_WAIT_S, connectable, secrets, shown, unquoting
from load.failures import ServerError
from load.sessions import settings_sql

READ_COMMITTED = "READ COMMITTED"

_LOCK_NOT_AVAILABLE = "55P03"


class Database:
    """A connection; changes take effect at `commit`. Each method raises a LoadError if the server
    refuses, or if the connection is lost.

    A transaction begins by `begin`, or with the first statement after a commit or rollback.
    Settings are valid for one transaction and leave no trace in the session, so a pooler may give
    the server's session to another client after every transaction.

    Attributes:
        shown: the address for messages, e.g. `host/dbname`; the URI itself is not kept.
        version: of the server, as in `server_version_num`, e.g. 180004.
        is_closed: whether the connection can no longer be used.
        is_in_doubt: whether a commit is running, or was when the connection was lost or stopped: it
            is unknown whether the changes since the previous commit took effect.
    """

    def __init__(self, uri: str, lock_wait_s: float = LOCK_WAIT_S) -> None:
        """Connect.

        Args:
            uri: libpq URI.
            lock_wait_s: seconds that a statement waits for another session's lock before it fails.

        Raises:
            UsageError: the URI cannot be read.
            LoadError: the server cannot be reached, or refuses the connection.
        """
        address = connectable(uri)
        self._set_up(shown(address), lock_wait_s, 0)
        self._connection = _connect(address, self.shown)
        try:
            self._look(address)
        except LoadError:
            self.close()
            raise

    def another(self) -> "Database":
        """Return another connection to the same server, which takes 7 ms instead of 75: the driver
        reads the server's types once for both. Until it is open, this connection is not closed.

        Raises:
            LoadError: the server cannot be reached, or refuses; or this connection is closed.
        """
        other = object.__new__(Database)
        other._set_up(self.shown, self._lock_wait_s, self.version)
        # The driver does not check that the connection it clones is still open.
        with self._closing:
            if self.is_closed:
                raise LoadError(f"The connection to PostgreSQL at {self.shown} was closed")
            # The server has accepted the URI, so no message contains its password.
            other._connection = _reached(self._connection.adbc_clone, self.shown)
        return other

    def _set_up(self, shown: str, lock_wait_s: float, version: int) -> None:
        self.shown, self.version = shown, version
        self.is_in_doubt = False
        self._lock_wait_s = lock_wait_s
        self._has_begun = self._is_stopped = self.is_closed = False
        self._closing = Lock()

    def _look(self, address: str) -> None:
        """Read the server's version, and make it write names as the driver expects them."""
        sql = "SELECT current_setting('server_version_num')"
        ((version,),) = self.query(sql)
        if isinstance(version, bytes):  # no type was recognised, because their names were quoted
            self._connection.close()
            self._connection = _connect(unquoting(address), self.shown)
            self._has_begun = False
            ((version,),) = self.query(sql)
        self.version = int(version)
        self.rollback()

    def __repr__(self) -> str:
        """Show the address, never the user or the password."""
        return f"Database({self.shown!r})"

    def __enter__(self) -> Self:
        """Return the connection; it is closed at the end, and uncommitted changes are undone."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def begin(self) -> None:
        """Begin a transaction; an open one is rolled back.

        Needed only before a wait during which the session would be idle without the settings of a
        transaction.
        """
        self._check_not_stopped()
        if self._has_begun:
            self.rollback()
        self._has_begun = True
        self.execute(f"SET TRANSACTION ISOLATION LEVEL {READ_COMMITTED}")
        self.execute(settings_sql(self._lock_wait_s, self.version))

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement; `$1` and so on are the parameters."""
        with self._executed(sql, parameters):
            pass

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query and return its rows."""
        with self._executed(sql, parameters) as cursor:
            return list(cursor.fetchall())

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run one query and return its rows as Arrow, with the bytes of the server's values."""
        with self._executed(sql, parameters) as cursor:
            return cursor.fetch_arrow_table()

    def ingest(
        self, schema: str, table: str, pieces: Iterable[pa.Table], columns: pa.Schema
    ) -> None:
        """Append rows to a table by one COPY, in the open transaction.

        The columns' types must be those of the table: the driver does not convert (see
        `load.schema_check`).

        Args:
            schema: of the table.
            table: its name.
            pieces: of rows, read one after the other during sending.
            columns: of every piece.

        Raises:
            LoadError: the server refuses a row, or the connection is lost.
            BaseException: what `pieces` raised; the transaction can only be rolled back.
        """
        self._ready()
        batches = Batches(pieces, self._check_not_stopped)
        try:
            reader = pa.RecordBatchReader.from_batches(columns, batches)
            with self._explained(), self._connection.cursor() as cursor:
                cursor.adbc_ingest(table, reader, mode="append", db_schema_name=schema)
        except Exception:
            # Not kept in `batches`: the driver references them, invisible to the garbage collector.
            raised, batches.raised = batches.raised, None
            if raised is not None:
                raise raised from None
            raise

    def commit(self) -> None:
        """Commit the changes since the last commit.

        Raises:
            LoadError: the server refuses, and no change takes effect; or the connection is lost,
                and either all changes take effect or none (`is_in_doubt`).
        """
        self._check_not_stopped()
        self.is_in_doubt = True
        with self._explained():
            try:
                self._connection.commit()
            except adbc.Error as exc:
                self.is_in_doubt = exc.sqlstate is None  # the server's own answer has one
                raise
        self._has_begun = False
        # A server that waits for its standby commits even if the statement is cancelled.
        self.is_in_doubt = self._is_stopped

    def rollback(self) -> None:
        """Undo the changes since the last commit.

        Raises:
            LoadError: the connection is lost; the server rolls the transaction back.
        """
        with self._explained():
            self._connection.rollback()
        self._has_begun = False

    def undo(self) -> None:
        """Undo the changes since the last commit, whatever state the connection is in.

        If the server does not respond, the connection is closed: the server then rolls back.
        """
        try:
            self.rollback()
        except LoadError:
            self.close()
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End the statement that another thread runs on this connection, and refuse all later
        statements except a rollback.

        The server may not have begun the statement yet, so repeat the call until the other thread
        ends.
        """
        self._is_stopped = True
        with self._closing:
            if not self.is_closed:
                with suppress(adbc.Error):  # the server is not reachable
                    self._connection.adbc_cancel()

    def close(self) -> None:
        """Close the connection; uncommitted changes are undone."""
        with self._closing:
            self.is_closed = True
            # It was lost already, or an abandoned thread uses it; the server rolls the transaction
            # back.
            with suppress(adbc.Error, RuntimeError):
                self._connection.close()

    def _ready(self) -> None:
        """Begin a transaction if none is open."""
        self._check_not_stopped()
        if not self._has_begun:
            self.begin()

    @contextmanager
    def _executed(self, sql: str, parameters: Sequence[Any]) -> Iterator[adbc.Cursor]:
        self._ready()
        with self._explained(), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            yield cursor

    def _check_not_stopped(self) -> None:
        if self._is_stopped:
            raise LoadError(f"The work in PostgreSQL at {self.shown} was stopped")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except adbc.Error as exc:
            message = f"PostgreSQL at {self.shown} says: {_message(exc)}"
            if exc.sqlstate == _LOCK_NOT_AVAILABLE:
                message += (
                    f". Another session held the lock for more than {self._lock_wait_s:g} s; "
                    "pg_stat_activity and pg_blocking_pids() show which"
                )
            raise ServerError(message, exc.sqlstate) from exc
        except (ValueError, OverflowError) as exc:
            # Python cannot represent all of PostgreSQL's times, such as the infinite ones.
            raise LoadError(f"PostgreSQL at {self.shown} holds an unreadable value: {exc}") from exc


def _connect(uri: str, name: str) -> adbc.Connection:
    return _reached(lambda: adbc.connect(uri), name, secrets(uri))


def _reached(
    connect: Callable[[], adbc.Connection], name: str, hidden: Collection[str] = ()
) -> adbc.Connection:
    """Return a new connection; no error message or cause contains one of the hidden texts."""
    try:
        return connect()
    except adbc.Error as exc:
        message = reason = _message(exc)
        for secret in hidden:
            reason = reason.replace(secret, "***")
        # A traceback prints the cause too, so a cause that contains the password is cut off.
        cause = exc if reason == message else None
        raise LoadError(
            f"PostgreSQL at {name} cannot be reached: {reason}. Nothing was changed. Check that "
            "the server runs and that the address (BASISLAKE_POSTGRES) is right, then run the "
            "command again."
        ) from cause


def _message(exc: BaseException) -> str:
    text, _, _ = str(exc).partition("Query was:")
    return " ".join(text.split()).rstrip(".?")
