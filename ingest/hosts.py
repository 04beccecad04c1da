"""Where exchanges are: the addresses of the real one, and which exchange an address is of."""

from ipaddress import ip_address
from urllib.parse import urlsplit

WWW_URL = "https://www.deribit.com"
HISTORY_URL = "https://history.deribit.com"
DERIBIT = "deribit"

# Its test network, test.deribit.com, is another exchange.
_DERIBIT_HOSTS = frozenset({"deribit.com", "www.deribit.com", "history.deribit.com"})


def exchange_name(url: str) -> str:
    """Return which exchange is at a URL, whatever the port: `deribit` for the real one, `localhost`
    for any on this machine, else the host; pure.
    """
    host = _host(url)
    if host in _DERIBIT_HOSTS:
        return DERIBIT
    return "localhost" if _is_loopback(host) else host


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
