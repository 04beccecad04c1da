"""One connection to PostgreSQL by ADBC; the only module that knows the driver."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped]
import pyarrow as pa

from lake.errors import LoadError
from load.address import LOCK_WAIT_S, connectable, secrets, shown

# Limits that a server, a role or a database may set for all sessions would end a long load halfway,
# and the waits between two partitions as well; some are not known to older servers.
_SETTINGS_SQL = """
    SELECT set_config(name, CASE name WHEN 'lock_timeout' THEN $1 ELSE '0' END, false)
    FROM pg_settings
    WHERE name IN ('lock_timeout', 'statement_timeout', 'transaction_timeout',
                   'idle_in_transaction_session_timeout', 'idle_session_timeout')
"""
_LOCK_NOT_AVAILABLE = "55P03"

# The driver encodes one Arrow batch at a time; this many rows keep its buffer to a few megabytes.
_ROWS_PER_BATCH = 65_536


class Database:
    """A connection with a transaction always open: what is done counts from `commit` on.

    Attributes:
        shown: where it is, for messages, e.g. `host/dbname`; the URI itself is not kept.
        version: of the server, as `server_version_num` has it, e.g. 180004.
        is_in_doubt: whether the server went away in a commit, so that nobody knows whether what was
            done since the one before counts.
    """

    def __init__(self, uri: str, lock_wait_s: float = LOCK_WAIT_S) -> None:
        """Connect.

        Args:
            uri: libpq URI.
            lock_wait_s: seconds that a statement waits for another session's lock before it fails.

        Raises:
            UsageError: the URI cannot be read.
            LoadError: the server cannot be reached, or refuses us.
        """
        address = connectable(uri)
        self.shown = shown(address)
        self.is_in_doubt = False
        self._lock_wait_s = lock_wait_s
        self._connection = _connect(address, self.shown)
        try:
            self.query(_SETTINGS_SQL, (str(math.ceil(lock_wait_s * 1000)),))
            self.version = int(self.query("SELECT current_setting('server_version_num')")[0][0])
            self.commit()
        except LoadError:
            self.close()
            raise

    def __repr__(self) -> str:
        """Show where it is, never the user or the password."""
        return f"Database({self.shown!r})"

    def __enter__(self) -> Self:
        """Return the connection; it is closed at the end, and what was not committed is undone."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement; `$1` and on stand for the parameters.

        Raises:
            LoadError: the server refuses it, or is gone.
        """
        with self._explained(), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query and return its rows.

        Raises:
            LoadError: the server refuses it, or is gone.
        """
        with self._explained(), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall())

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run one query and return its rows as Arrow, the values as the server sent their bytes.

        Raises:
            LoadError: the server refuses it, or is gone.
        """
        with self._explained(), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return cursor.fetch_arrow_table()

    def ingest(self, schema: str, table: str, rows: Iterable[pa.Table], columns: pa.Schema) -> None:
        """Append rows to a table by one COPY, in the transaction that is open.

        The columns' types must be those of the table: the driver does not convert (see
        `load.handshake`).

        Args:
            schema: of the table.
            table: its name.
            rows: pieces, taken one after the other as they are sent.
            columns: of every piece.

        Raises:
            LoadError: the server refuses a row, or is gone.
            BaseException: what `rows` raised; the transaction can only be rolled back.
        """
        raised: list[BaseException] = []

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for piece in rows:
                    yield from piece.to_batches(max_chunksize=_ROWS_PER_BATCH)
            except BaseException as exc:
                raised.append(exc)  # the driver would turn it into a text
                raise

        reader = pa.RecordBatchReader.from_batches(columns, batches())
        try:
            with self._explained(), self._connection.cursor() as cursor:
                cursor.adbc_ingest(table, reader, mode="append", db_schema_name=schema)
        except Exception:
            if raised:
                raise raised[0] from None
            raise

    def commit(self) -> None:
        """Make what was done since the last commit count.

        Raises:
            LoadError: the server refuses, and nothing of it counts; or the server is gone, and
                either all of it counts or nothing (`is_in_doubt`).
        """
        with self._explained():
            try:
                self._connection.commit()
            except adbc.Error as exc:
                self.is_in_doubt = exc.sqlstate is None  # the server's own answer has one
                raise

    def rollback(self) -> None:
        """Undo what was done since the last commit.

        Raises:
            LoadError: the server is gone; it undoes the transaction by itself.
        """
        with self._explained():
            self._connection.rollback()

    def undo(self) -> None:
        """Undo what was done since the last commit, whatever state the connection is in.

        Where the server cannot be asked, the connection is closed: the server does it by itself.
        """
        try:
            self.rollback()
        except LoadError:
            self.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, undoing what was not committed."""
        try:
            self._connection.close()
        except adbc.Error:
            return  # it was broken already; the server undoes the open transaction

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except adbc.Error as exc:
            told = f"PostgreSQL at {self.shown} says: {_message(exc)}"
            if exc.sqlstate == _LOCK_NOT_AVAILABLE:
                told += (
                    f". Another session held the lock for more than {self._lock_wait_s:g} s; "
                    "pg_stat_activity and pg_blocking_pids() tell which"
                )
            raise LoadError(told) from exc
        except (ValueError, OverflowError) as exc:
            # Of PostgreSQL's times, and of its infinite ones, Python has none.
            raise LoadError(f"PostgreSQL at {self.shown} holds what cannot be read: {exc}") from exc


def _connect(uri: str, name: str) -> adbc.Connection:
    try:
        return adbc.connect(uri)
    except adbc.Error as exc:
        message = _message(exc)
        hidden = message
        for secret in secrets(uri):
            hidden = hidden.replace(secret, "***")
        # A traceback prints the cause too, so a cause that holds the password is cut off.
        cause = exc if hidden == message else None
        raise LoadError(
            f"PostgreSQL at {name} cannot be reached: {hidden}. Nothing was changed. Check that "
            "the server runs and that the address (BASISLAKE_POSTGRES) is right, then run the "
            "command again."
        ) from cause


def _message(exc: BaseException) -> str:
    text, _, _ = str(exc).partition("Query was:")
    return " ".join(text.split()).rstrip(".")
