"""Addresses of databases: validates them before libpq does, and shows them without passwords.

In its errors libpq quotes the part of a malformed URI that it cannot parse, and that part may be
the password. So this module refuses a URI that libpq could misread, without quoting it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from lake.errors import UsageError

DEFAULT_SCHEMA = "public"
# Seconds to wait for a lock that another session holds.
LOCK_WAIT_S = 30.0
# Seconds to wait for a server that does not answer, unless the URI or the environment sets them.
CONNECT_TIMEOUT_S = 10

# Defaults for the URI. If a server vanishes from the network, the connection fails after a minute;
# by libpq's defaults it would wait two hours for an answer, or a quarter of an hour if sent data is
# not acknowledged. Unix sockets ignore these.
_DEFAULTS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "fallback_application_name": "basislake",
}

# Folders of the server's socket: this build of libpq looks in the first, and the servers of most
# distributions use the second.
_SOCKET_FOLDER = "/tmp"  # noqa: S108
_DISTRIBUTIONS_FOLDER = Path("/var/run/postgresql")
_PORT = "5432"
_SERVICE = "the service"

_URI = re.compile(
    r"postgres(?:ql)?://"
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^@/?]*)"
    r"(?:/(?P<database>[^@/?]*))?"
    r"(?:\?(?P<query>[^?@]*))?"
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::\d*)?")
_ONLY_PORT = re.compile(r"^:\d*$")
_PORT_AT_END = re.compile(r":\d*$")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def connectable(
    uri: str,
    environment: Mapping[str, str] = os.environ,
    socket_folder: Path = _DISTRIBUTIONS_FOLDER,
) -> str:
    """Return the URI with time-outs for a silent server, and with the folder of the socket if the
    server of this machine uses another one than libpq expects.

    Args:
        uri: `postgresql://user:password@host:port/dbname?option=value`; special characters
            percent-encoded.
        environment: environment variables of libpq.
        socket_folder: of the distribution's server.

    Raises:
        UsageError: it is malformed; the message does not quote it.
    """
    parts = _parts(uri)
    if parts is None:
        raise UsageError(
            "The PostgreSQL address is not a URI like postgresql://user:password@host:5432/dbname; "
            "nothing was changed. Write special characters of its parts percent-encoded, e.g. %40 "
            "for @, %2F for / and %25 for %."
        )
    there = {option.partition("=")[0] for option in parts["query"].split("&")}
    added = [
        f"{name}={value}"
        for name, value in _DEFAULTS.items()
        if name not in there
        and (name != "connect_timeout" or "PGCONNECT_TIMEOUT" not in environment)
    ]
    if not _place(parts, environment) and (socket_folder / _socket(parts, environment)).exists():
        added.append(f"host={quote(str(socket_folder), safe='/')}")
    join = "&" if parts["query"] else "" if uri.endswith("?") else "?"
    return f"{uri}{join}{'&'.join(added)}"


def unquoting(uri: str) -> str:
    """Return the URI with a setting for the session: the server quotes names only if needed."""
    setting = quote(" -c quote_all_identifiers=off")
    before, has_options, after = uri.partition("&options=" if "&options=" in uri else "?options=")
    if not has_options:
        return f"{uri}&options={quote(os.environ.get('PGOPTIONS', ''))}{setting}"
    given, others, rest = after.partition("&")
    return f"{before}{has_options}{given}{setting}{others}{rest}"


def shown(uri: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the place of a database for people, e.g. `host/dbname`, without user, password or
    options.
    """
    parts = _parts(uri)
    if parts is None:
        return "a PostgreSQL address that cannot be read"
    place = _place(parts, environment) or _SOCKET_FOLDER
    database = unquote(parts["database"]) or _options(parts["query"]).get("dbname", "")
    if place.startswith("/") and "," not in place:
        place = f"the socket {_PORT_AT_END.sub('', place)}/{_socket(parts, environment)}"
    elif not place.startswith(_SERVICE):
        return f"{place}/{database}" if database else place
    return f"{place} (database {database})" if database else place


def secrets(uri: str) -> set[str]:
    """Return the passwords in a URI, encoded and decoded, so that no message repeats them."""
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


def _place(parts: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The place where libpq connects: a host and its address, the folder of a socket, or a service;
    empty if neither the URI nor the environment names any.
    """
    options = _options(parts["query"])
    host = unquote(_ONLY_PORT.sub("", parts["hosts"])) or options.get("host", "")
    service = options.get("service") or environment.get("PGSERVICE")
    if service and not host:
        return f"{_SERVICE} {service}"
    host = host or environment.get("PGHOST", "")
    address = options.get("hostaddr", environment.get("PGHOSTADDR", ""))
    return f"{host} ({address})" if host and address else host or address


def _socket(parts: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The name of a server's socket in its folder."""
    port = parts["hosts"].rpartition(":")[2] if ":" in parts["hosts"] else ""
    port = port or _options(parts["query"]).get("port") or environment.get("PGPORT") or _PORT
    return f".s.PGSQL.{port}"


def _options(query: str) -> dict[str, str]:
    pairs = (option.partition("=") for option in query.split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs}
