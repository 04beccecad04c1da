"""Addresses of databases: checked before libpq sees them, and shown without their passwords.

libpq quotes the piece of a malformed URI that it cannot read, and that piece may be the password;
so a URI that it could misread is refused here, in words that do not quote it.
"""

import os
import re
from urllib.parse import unquote

from lake.errors import UsageError

DEFAULT_SCHEMA = "public"
# Seconds to wait for a lock that another session holds.
LOCK_WAIT_S = 30.0
# Seconds to wait for a server that does not answer, where neither the URI nor the environment says.
CONNECT_TIMEOUT_S = 10

# Where the URI does not say otherwise. A server that vanished from the network without a word is
# noticed after a minute; by default a wait for its answer lasts two hours.
_DEFAULTS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "fallback_application_name": "basislake",
}

_URI = re.compile(
    r"postgres(?:ql)?://"
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^@/?]*)"
    r"(?:/(?P<database>[^@/?]*))?"
    r"(?:\?(?P<query>[^?@]*))?"
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::\d*)?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def connectable(uri: str) -> str:
    """Return the URI with limits to how long a server may keep silent.

    Args:
        uri: `postgresql://user:password@host:port/dbname?option=value`; special characters
            percent-encoded.

    Raises:
        UsageError: it is not such a URI; the message does not quote it.
    """
    parts = _parts(uri)
    if parts is None:
        raise UsageError(
            "The PostgreSQL address is not a URI like postgresql://user:password@host:5432/dbname; "
            "nothing was done. Write special characters of its parts percent-encoded, e.g. %40 "
            "for @, %2F for / and %25 for %."
        )
    there = {option.partition("=")[0] for option in parts["query"].split("&")}
    added = [
        f"{name}={value}"
        for name, value in _DEFAULTS.items()
        if name not in there
        and (name != "connect_timeout" or "PGCONNECT_TIMEOUT" not in os.environ)
    ]
    join = "&" if parts["query"] else "" if uri.endswith("?") else "?"
    return f"{uri}{join}{'&'.join(added)}"


def shown(uri: str) -> str:
    """Return `host/dbname` of a URI for people to read: never its user, password or options."""
    parts = _parts(uri)
    if parts is None:
        return "a PostgreSQL address that cannot be read"
    options = _options(parts["query"])
    host = unquote(parts["hosts"]) or options.get("host") or options.get("hostaddr") or "localhost"
    database = unquote(parts["database"]) or options.get("dbname", "")
    return f"{host}/{database}" if database else host


def secrets(uri: str) -> set[str]:
    """Return the passwords in a URI, as written and as meant, so that no message repeats them."""
    parts = _parts(uri)
    if parts is None:
        return {uri}
    raw = [parts["password"]]
    raw += [
        value
        for name, _, value in (option.partition("=") for option in parts["query"].split("&"))
        if "password" in name
    ]
    return {text for value in raw for text in (value, unquote(value)) if text}


def _parts(uri: str) -> dict[str, str] | None:
    match = _URI.fullmatch(uri)
    if match is None or re.search(r"\s", uri) or _BAD_PERCENT.search(uri):
        return None
    if not all(_HOST.fullmatch(host) for host in match["hosts"].split(",")):
        return None
    return {name: value or "" for name, value in match.groupdict().items()}


def _options(query: str) -> dict[str, str]:
    pairs = (option.partition("=") for option in query.split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs}
