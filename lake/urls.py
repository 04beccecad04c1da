"""What an address is: the URL of a host, or a path on this machine's disk."""

import re
from urllib.parse import urlsplit

_SPACE = re.compile(r"[\s\x00-\x20\x7f]")


def is_base(url: str) -> bool:
    """Whether a URL names a host, a usable port where it names one, and no more than a path."""
    try:
        parts = urlsplit(url)
        # Reading the port raises where there cannot be such a one.
        is_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_host and not (parts.query or parts.fragment or _SPACE.search(url))


def is_local(uri: str) -> bool:
    """Whether the address is a path on this machine's disk, not a URI of an object store."""
    return "://" not in uri
