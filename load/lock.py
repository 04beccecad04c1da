"""The lock that keeps two loads from running in one schema."""

from lake.errors import LoadError
from load.postgres import Database

# Two loads into one schema would delete and send the same rows. The lock belongs to a transaction,
# so a pooler's session never keeps it.
_LOCK_SQL = "SELECT pg_try_advisory_xact_lock(hashtextextended('basislake load into ' || $1, 0))"
# Some columns are null if our role may not see all of the session.
_HOLDER_SQL = """
    SELECT a.pid, a.usename::text, a.application_name, host(a.client_addr), a.state,
           to_char(a.state_change AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint
          = hashtextextended('basislake load into ' || $1, 0)
"""


def lock(database: Database, schema: str) -> None:
    """Keep other loads out of a schema until the connection's transaction ends.

    Raises:
        LoadError: another load is at work there; nothing was changed.
    """
    if database.query(_LOCK_SQL, (schema,))[0][0]:
        return
    held = database.query(_HOLDER_SQL, (schema,))
    by = f": {_described(*held[0])}" if held else ""
    end = (
        f" If its machine is lost, `SELECT pg_terminate_backend({held[0][0]})` ends it."
        if held
        else ""
    )
    raise LoadError(
        f"Another load is writing to the schema {schema!r} of {database.shown}{by}. Nothing was "
        f"changed. Wait until it ends, then load again.{end}"
    )


def _described(
    pid: int, user: str, program: str | None, host: str | None, state: str | None, since: str | None
) -> str:
    """Describe the session, with the details that the server reports."""
    where = f" from {host}" if host else ""
    doing = f", {state} since {since} UTC" if state else ""
    return f"process {pid} of the server ({program or 'a program'} of {user}{where}{doing})"
