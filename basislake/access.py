"""Whether a database can be loaded into, asked before hours are spent on what is loaded."""

import re

from basislake.defaults import EMBEDDED
from basislake.output import say
from basislake.settings import check_embeddable
from basislake.target import Target
from lake import Lake
from lake.errors import LoadError, UsageError
from load.postgres import Database
from load.prepare import check_schema_name, look

# What libpq says where the address is wrong, not the server away. A server may say it in another
# language, and is then taken to be away.
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


def check_access(target: Target, where: Lake) -> None:
    """Refuse a database or a schema that a load would refuse; a database that is merely away is
    named, and may be back by the time of the load.

    Raises:
        UsageError: the address, the user, the schema or what it holds is not right; or the embedded
            database is asked for and the lake is not on this machine's disk.
    """
    check_schema_name(target.schema)
    if target.postgres == EMBEDDED:
        check_embeddable(where)
        return
    try:
        database = Database(target.postgres, target.lock_wait_s)
    except LoadError as exc:
        if _REFUSED.search(str(exc)):
            raise UsageError(str(exc)) from exc
        say(f"Warning: {exc} Meanwhile fetching and building go on; a load tries again.")
        return
    with database:
        try:
            look(database, target.schema)
        except LoadError as exc:
            raise UsageError(str(exc)) from exc


def rights(target: Target) -> str:
    """Return what a server is, and that it can be loaded into, a phrase.

    Raises:
        UsageError, LoadError: it cannot be loaded into, or is away.
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
