"""The settings of the database on the command line: where it is, and how it is used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from basislake.options import F, Number, grouped, postgres_option
from basislake.settings import EMBEDDED, database, known_database
from lake import Lake
from load.postgres import LOCK_WAIT_S
from load.run import DEFAULT_SCHEMA

_LONGEST_LOCK_WAIT_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Target:
    """A database to load into, or to compare with.

    Attributes:
        postgres: libpq URI, or `embedded`.
        schema: of the tables.
        lock_wait_s: seconds to wait for a lock that another session holds.
        keep: whether the embedded one goes on afterwards; None leaves that as it is.
    """

    postgres: str = EMBEDDED
    schema: str = DEFAULT_SCHEMA
    lock_wait_s: float = LOCK_WAIT_S
    keep: bool | None = None

    @contextmanager
    def open(self, where: Lake) -> Iterator[str]:
        """Give its libpq URI, starting the embedded one where that is asked for.

        Raises:
            UsageError: the embedded one is asked for and the lake is not on this machine's disk.
        """
        with database(self.postgres, where, keep=self.keep) as uri:
            yield uri

    @contextmanager
    def known(self, where: Lake) -> Iterator[str | None]:
        """Give its libpq URI as `open` does; None where the embedded one was never made, for the
        commands that only read.
        """
        with known_database(self.postgres, where, keep=self.keep) as uri:
            yield uri


def schema_option(meaning: str) -> Callable[[F], F]:
    """Add --schema, with this help; the command gets `schema`."""
    return click.option(
        "--schema",
        metavar="NAME",
        envvar="BASISLAKE_SCHEMA",
        show_envvar=True,
        default=DEFAULT_SCHEMA,
        help=meaning,
    )


def target_options(command: F) -> F:
    """Add the settings of the database; the command gets `target`."""
    options = (
        postgres_option,
        schema_option("Schema of the tables, made where it is absent"),
        click.option(
            "--lock-wait",
            "lock_wait_s",
            metavar="SECONDS",
            type=Number(min=0, min_open=True, max=_LONGEST_LOCK_WAIT_S),
            default=LOCK_WAIT_S,
            help="Wait so long for a lock that another session holds",
        ),
        click.option(
            "--keep/--no-keep",
            default=None,
            show_default=False,
            help="Leave the embedded PostgreSQL running, and say how to connect with psql; or stop "
            "one that was left running",
        ),
    )
    return grouped(command, options, Target, "target")
