"""One connection to PostgreSQL by ADBC; the only module that knows the driver."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped]
import pyarrow as pa

from lake.errors import LoadError
from load.address import connectable, secrets, shown

# The driver encodes one Arrow batch at a time; this many rows keep its buffer to a few megabytes.
_ROWS_PER_BATCH = 65_536


class Database:
    """A connection with a transaction always open: what is done counts from `commit` on.

    Attributes:
        shown: `host/dbname`, for messages; the URI itself is not kept.
    """

    def __init__(self, uri: str) -> None:
        """Connect.

        Raises:
            UsageError: the URI cannot be read.
            LoadError: the server cannot be reached, or refuses us.
        """
        self.shown = shown(uri)
        self._connection = _connect(connectable(uri), self.shown)

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

    def ingest(self, schema: str, table: str, rows: pa.Table) -> None:
        """Append rows to a table by COPY, in the transaction that is open.

        The columns' types must be those of the table: the driver does not convert (see
        `load.handshake`).

        Raises:
            LoadError: the server refuses a row, or is gone.
        """
        batches = rows.to_reader(max_chunksize=_ROWS_PER_BATCH)
        with self._explained(), self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, batches, mode="append", db_schema_name=schema)

    def commit(self) -> None:
        """Make what was done since the last commit count.

        Raises:
            LoadError: the server is gone, or refuses; nothing of the transaction counts.
        """
        with self._explained():
            self._connection.commit()

    def rollback(self) -> None:
        """Undo what was done since the last commit.

        Raises:
            LoadError: the server is gone; it undoes the transaction by itself.
        """
        with self._explained():
            self._connection.rollback()

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
            raise LoadError(f"PostgreSQL at {self.shown} says: {_message(exc)}") from exc


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
