"""The settings of each of our transactions in the server's session."""

import math

# A server, a role or a database may set these for all sessions. The limits would abort a long load;
# the others would hide rows from us or quote the names of types. The server notices a client that
# vanished from the network after a minute instead of two hours.
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


def settings_sql(lock_wait_s: float, version: int) -> str:
    """Return the statement that sets, for one transaction, the settings that a server supports.

    Args:
        lock_wait_s: seconds that a statement waits for another session's lock.
        version: of the server, as `server_version_num` has it.
    """
    limit_ms = str(math.ceil(lock_wait_s * 1000))
    newer = {name: "0" for name, since in _KNOWN_SINCE.items() if version >= since}
    values = {**_SETTINGS, **newer, "lock_timeout": limit_ms}
    calls = (f"set_config('{name}', '{value}', true)" for name, value in values.items())
    return f"SELECT {', '.join(calls)}"
