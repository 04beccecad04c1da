"""Sessions of the server: what ours are set to, and how another one is named in a message."""

import math

# A server, a role or a database may set these for all sessions. The limits would end a long load
# halfway; the others would hide rows from us or write the names of types in quotes. A client that
# vanished from the network is noticed by the server after a minute instead of two hours.
_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",
    "quote_all_identifiers": "off",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_KNOWN_SINCE = {"transaction_timeout": 170_000}

# Of `pg_stat_activity a`, what `described` takes; some are null where our role may not see all.
COLUMNS = (
    "a.pid, a.usename::text, a.application_name, host(a.client_addr), a.state, "
    "to_char(a.state_change AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
)
# Those that hold locks, in a transaction that is older than $1 seconds.
OLD_HOLDERS_SQL = f"""
    SELECT {COLUMNS} FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND a.xact_start < clock_timestamp() - make_interval(secs => $1)
      AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted
                  AND l.locktype = 'relation' AND l.mode <> 'AccessShareLock')
    ORDER BY a.xact_start LIMIT 3
"""


def settings_sql(lock_wait_s: float, version: int) -> str:
    """Return the statement that sets, for one transaction, what a server knows of.

    Args:
        lock_wait_s: seconds that a statement waits for another session's lock.
        version: of the server, as `server_version_num` has it.
    """
    limit_ms = str(math.ceil(lock_wait_s * 1000))
    newer = {name: "0" for name, since in _KNOWN_SINCE.items() if version >= since}
    values = {**_SETTINGS, **newer, "lock_timeout": limit_ms}
    calls = (f"set_config('{name}', '{value}', true)" for name, value in values.items())
    return f"SELECT {', '.join(calls)}"


def described(
    pid: int, user: str, program: str, host: str | None, state: str | None, since: str | None
) -> str:
    """Say which session this is, as far as the server tells."""
    where = f" from {host}" if host else ""
    doing = f", {state} since {since} UTC" if state else ""
    return f"process {pid} of the server ({program or 'a program'} of {user}{where}{doing})"
