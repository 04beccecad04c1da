"""The database of a command: its address, and how to use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from basislake.cli.defaults import EMBEDDED
from basislake.output.screen import say
from lake import Lake
from lake.errors import UsageError
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S
from load.embedded.server import embedded, psql_command, stop_command


@dataclass(frozen=True, slots=True)
class Target:
    """A database to load into, or to compare with.

    Attributes:
        postgres: libpq URI, or `embedded`: the PostgreSQL next to the lake.
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
        if self.postgres != EMBEDDED:
            yield self.postgres
            return
        self.check_place(lake)
        folder = _folder(lake)
        with embedded(folder, keep=self.keep) as uri:
            if self.keep:
                say(
                    f"The embedded PostgreSQL keeps running. Connect:\n  {psql_command(uri)}\n"
                    f"Stop it:\n  {stop_command(folder)}"
                )
            yield uri

    @contextmanager
    def known(self, lake: Lake) -> Iterator[str | None]:
        """Yield its libpq URI as `open` does, or None if the embedded one was never created; for
        commands that only read.
        """
        if self.postgres == EMBEDDED and not (lake.is_local and _folder(lake).exists()):
            yield None
            return
        with self.open(lake) as uri:
            yield uri

    def check_place(self, lake: Lake) -> None:
        """Refuse the embedded PostgreSQL for a lake that is not on this machine's disk.

        Raises:
            UsageError: it is elsewhere.
        """
        if self.postgres == EMBEDDED and not lake.is_local:
            raise UsageError(
                "The embedded PostgreSQL needs a lake on disk. Give --postgres URI for this lake."
            )


def _folder(lake: Lake) -> Path:
    """The data folder of the embedded PostgreSQL of a lake on disk."""
    return Path(lake.uri) / "postgres"
