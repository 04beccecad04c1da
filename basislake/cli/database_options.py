"""The options of verbs that work with a database: which one, and how."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from basislake.cli.defaults import EMBEDDED
from basislake.cli.options import F, grouped, setting
from basislake.cli.parameter_types import Number
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S

if TYPE_CHECKING:
    from basislake.settings.database_target import Target

_LONGEST_LOCK_WAIT_S = 86_400.0


_postgres_option = setting(
    "--postgres",
    metavar="URI",
    envvar="BASISLAKE_POSTGRES",
    default=EMBEDDED,
    help="libpq URI, or `embedded`: a PostgreSQL in the lake's folder `postgres`. Other "
    "users of this machine can see a password on the command line; use BASISLAKE_POSTGRES, "
    "PGPASSWORD or ~/.pgpass instead",
)


def schema_option(meaning: str) -> Callable[[F], F]:
    """Add --schema, with this help; the command gets `schema`."""
    return setting(
        "--schema",
        metavar="NAME",
        envvar="BASISLAKE_SCHEMA",
        default=DEFAULT_SCHEMA,
        help=meaning,
    )


_lock_wait_option = click.option(
    "--lock-wait",
    "lock_wait_s",
    metavar="SECONDS",
    type=Number(min=0, min_open=True, max=_LONGEST_LOCK_WAIT_S),
    default=LOCK_WAIT_S,
    help="How long to wait for a lock that another database session holds",
)


def reading_options(command: F) -> F:
    """Add the settings of a database that is only read; the command gets `target`."""
    options = (_postgres_option, schema_option("Schema of the tables"), _lock_wait_option)
    return grouped(command, options, _target, "target")


def target_options(command: F, schema: str = "Schema of the tables, created if missing") -> F:
    """Add the settings of the database, --schema with this help; the command gets `target`."""
    options = (
        _postgres_option,
        schema_option(schema),
        _lock_wait_option,
        click.option(
            "--keep/--no-keep",
            default=None,
            show_default=False,
            help="Leave the embedded PostgreSQL running and show how to connect; or stop it "
            "afterwards. By default its state does not change",
        ),
    )
    return grouped(command, options, _target, "target")


def _target(**values: Any) -> "Target":
    from basislake.settings.database_target import Target  # noqa: PLC0415

    return Target(**values)
