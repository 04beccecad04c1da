"""Early check whether a database can be loaded into, before a run spends hours on the data."""

import re

from basislake.cli.defaults import EMBEDDED
from basislake.output.screen import say
from basislake.settings.database_target import Target
from lake import Lake
from lake.errors import LoadError, UsageError
from load.postgres import Database
from load.prepare import check_schema_name, look

# Messages of libpq for a wrong address, in contrast to an unreachable server. A server that uses
# another language counts as unreachable.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba.conf entry"
    r"|permission denied|not permitted to log in|does not support SSL|certificate verify failed"
    r"|definition of service|invalid "
)

# $1 is the schema, which may be absent.
_RIGHTS_SQL = """
    SELECT current_setting('TimeZone'), has_database_privilege(current_database(), 'CREATE'),
           (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1)
"""


def check_access(target: Target, lake: Lake) -> None:
    """Refuse a database or a schema that a load would refuse. An unreachable database only gets a
    warning, as it may be back by the time of the load.

    Raises:
        UsageError: the address, the user, the schema or its content is wrong; or the database is
            `embedded`, but the lake is not on this machine's disk.
    """
    check_schema_name(target.schema)
    target.check_place(lake)
    if target.postgres == EMBEDDED:
        return
    try:
        database = Database(target.postgres, target.lock_wait_s)
    except LoadError as exc:
        if _REFUSED.search(str(exc)):
            raise UsageError(str(exc)) from exc
        say(f"Warning: {exc} Fetching and building start anyway; the load will try again.")
        return
    with database:
        try:
            look(database, target.schema)
        except LoadError as exc:
            raise UsageError(str(exc)) from exc


def rights(target: Target) -> str:
    """Return a phrase about a server that can be loaded into: its version, address and time zone.

    Raises:
        UsageError, LoadError: it cannot be loaded into, or not be reached.
    """
    check_schema_name(target.schema)
    with Database(target.postgres, target.lock_wait_s) as database:
        state = look(database, target.schema)
        ((zone, may_create, may_use),) = database.query(_RIGHTS_SQL, (target.schema,))
        version = f"{database.version // 10_000}.{database.version % 10_000}"
        server = f"PostgreSQL {version} at {database.shown}, time zone {zone}"
    if not (may_use if state.has_schema else may_create):
        raise LoadError(
            f"{server}: this user may not create {'tables in' if state.has_schema else 'the'} "
            f"schema {target.schema}."
        )
    return server
