"""The addresses of the real exchange, and the name of the exchange at an address."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urljoin, urlsplit

from lake.errors import UsageError
from lake.location.urls import is_base

WWW_URL = "https://www.deribit.com"
HISTORY_URL = "https://history.deribit.com"
DERIBIT = "deribit"

# Its test network, test.deribit.com, is another exchange.
_DERIBIT_HOSTS = frozenset({"deribit.com", "www.deribit.com", "history.deribit.com"})

# A password may contain anything, so the pattern removes rather too much.
_USER = re.compile("//.*@", re.DOTALL)
_SHOWN_CHARACTERS = 200


def exchange_name(url: str) -> str:
    """Return the name of the exchange at a URL, whatever the port: `deribit` for the real one,
    `localhost` for any on this machine, else the host; pure.
    """
    host = _host(url)
    if host in _DERIBIT_HOSTS:
        return DERIBIT
    return "localhost" if is_loopback(url) else host


def check_hosts(www: str, history: str) -> None:
    """Refuse to mix lists of Deribit with lists of another exchange.

    Args:
        www: the exchange that lists active instruments and has the candles.
        history: the one that lists expired instruments.

    Raises:
        UsageError: one of them is Deribit and the other is not.
    """
    if (www == DERIBIT) != (history == DERIBIT):
        raise UsageError(
            f"Active instruments and candles would come from {www}, expired instruments from "
            f"{history}. Nothing was fetched. Give both --exchange-url and --history-url "
            "(BASISLAKE_EXCHANGE_URL and BASISLAKE_HISTORY_URL), or neither."
        )


def base_of(url: str) -> str:
    """Return a base URL without a slash at the end.

    Raises:
        UsageError: it is not the http or https URL of a host, with or without a path.
    """
    if not url.startswith(("https://", "http://")) or not is_base(url):
        raise UsageError(
            f"{shown(url)!r} is not the http or https URL of a host; give one like {WWW_URL}."
        )
    return url.rstrip("/")


def shown(text: str) -> str:
    """Return a text without the users and passwords of URLs in it."""
    return _USER.sub("//", text)


def shown_target(url: str, location: str) -> str:
    """Return the target of a redirect, without users, passwords and parameters.

    Args:
        url: of the call.
        location: from the reply, relative to `url`.
    """
    try:
        parts = urlsplit(urljoin(url, location))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that cannot be read"
    target = f"{parts.scheme}://{host}{parts.path}".encode("unicode_escape").decode()
    return target[:_SHOWN_CHARACTERS]


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine, so that no proxy can reach it."""
    host = _host(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    found = mapped or address
    # Connecting to the unspecified address connects to this machine.
    return found is not None and (found.is_loopback or found.is_unspecified)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        # It has no usable host; the call will report that.
        return ""


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host is written as, even in an old form such as 127.1."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
