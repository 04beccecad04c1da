"""Where exchanges are: the addresses of the real one, and which exchange an address is of."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from lake.errors import UsageError

WWW_URL = "https://www.deribit.com"
HISTORY_URL = "https://history.deribit.com"
DERIBIT = "deribit"

# Its test network, test.deribit.com, is another exchange.
_DERIBIT_HOSTS = frozenset({"deribit.com", "www.deribit.com", "history.deribit.com"})

# A password may hold anything, so rather too much is left out.
_USER = re.compile("//.*@", re.DOTALL)
_SPACE = re.compile(r"\s")


def exchange_name(url: str) -> str:
    """Return which exchange is at a URL, whatever the port: `deribit` for the real one, `localhost`
    for any on this machine, else the host; pure.
    """
    host = _host(url)
    if host in _DERIBIT_HOSTS:
        return DERIBIT
    return "localhost" if _is_loopback(host) else host


def check_hosts(www: str, history: str) -> None:
    """Refuse lists of instruments half of which would be Deribit's.

    Args:
        www: the exchange that lists active instruments and has the candles.
        history: the one that lists expired instruments.

    Raises:
        UsageError: one of them is Deribit and the other is not.
    """
    if (www == DERIBIT) != (history == DERIBIT):
        raise UsageError(
            f"Active instruments and candles would come from {www}, expired instruments from "
            f"{history}. Nothing was asked; give both --exchange-url and --history-url "
            "(BASISLAKE_EXCHANGE_URL and BASISLAKE_HISTORY_URL), or neither."
        )


def base_of(url: str) -> str:
    """Return a base URL without a slash at the end.

    Raises:
        UsageError: it is no http or https URL of a host, with or without a path.
    """
    if not url.startswith(("https://", "http://")) or not _is_base(url):
        raise UsageError(
            f"{shown(url)!r} is not the http or https URL of a host; give one like {WWW_URL}."
        )
    return url.rstrip("/")


def shown(text: str) -> str:
    """Return a text without the users and passwords of the URLs in it."""
    return _USER.sub("//", text)


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port raises where there cannot be such a one.
        is_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_host and not (parts.query or parts.fragment or _SPACE.search(url))


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        # It names no host that could be called; the call will say so.
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
