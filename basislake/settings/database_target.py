"""The database of a command: its address, and how to use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from basislake.cli.defaults import EMBEDDED
from basislake.settings.lake_and_database import database, known_database
from lake import Lake
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S


@dataclass(frozen=True, slots=True)
class Target:
    """A database to load into, or to compare with.

    Attributes:
        postgres: libpq URI, or `embedded`.
        schema: of the tables.
        lock_wait_s: seconds to wait for a lock that another session holds.
        keep: whether the embedded one keeps running afterwards; None leaves that as it is.
    """

    postgres: str = EMBEDDED
    schema: str = DEFAULT_SCHEMA
    lock_wait_s: float = LOCK_WAIT_S
    keep: bool | None = None

    @contextmanager
    def open(self, lake: Lake) -> Iterator[str]:
        """Yield its libpq URI; for `embedded`, start that PostgreSQL.

        Raises:
            UsageError: the database is `embedded`, but the lake is not on this machine's disk.
        """
        with database(self.postgres, lake, keep=self.keep) as uri:
            yield uri

    @contextmanager
    def known(self, lake: Lake) -> Iterator[str | None]:
        """Yield its libpq URI as `open` does, or None if the embedded one was never created; for
        commands that only read.
        """
        with known_database(self.postgres, lake, keep=self.keep) as uri:
            yield uri
