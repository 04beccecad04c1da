"""Tells addresses apart: the URL of a host, or a path on this machine's disk."""

import re
from urllib.parse import urlsplit

_SPACE = re.compile(r"[\s\x00-\x20\x7f]")


def is_base(url: str) -> bool:
    """Whether a URL has a host, a valid port if any, and nothing after its path."""
    try:
        parts = urlsplit(url)
        # Reading an invalid port raises.
        is_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_host and not (parts.query or parts.fragment or _SPACE.search(url))


def is_local(uri: str) -> bool:
    """Whether the address is a path on this machine's disk, not a URI of an object store."""
    return "://" not in uri
