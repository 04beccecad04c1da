"""Checks the endpoint of an object store before a library uses it: libraries panic on a malformed
one, and show a password in it in their messages.
"""

from collections.abc import Mapping

from lake.errors import UsageError
from lake.location.urls import is_base

# Prefix of the settings of each kind of store, by the scheme of its addresses.
PREFIXES = {
    "s3": "AWS_",
    "s3a": "AWS_",
    "gs": "GOOGLE_",
    "az": "AZURE_",
    "azure": "AZURE_",
    "abfs": "AZURE_",
    "abfss": "AZURE_",
}
_ENDPOINTS = ("ENDPOINT_URL", "ENDPOINT_URL_S3", "ENDPOINT", "STORAGE_ENDPOINT")
_TRUE = frozenset({"1", "true", "on", "yes", "y", "t"})


def check_endpoint(scheme: str, options: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Refuse an endpoint that no library can use, or that contains a password; pure.

    Args:
        scheme: of the lake's address.
        options: storage options, which override the environment.
        environment: environment variables.

    Raises:
        UsageError: the endpoint is malformed; the message names the setting, and no password.
    """
    if (prefix := PREFIXES.get(scheme)) is None:
        return
    settings = {name: text for name, text in environment.items() if name.startswith(prefix)}
    given = {prefix + name.upper().removeprefix(prefix): text for name, text in options.items()}
    if any(name.removeprefix(prefix) in _ENDPOINTS for name in given):
        settings = {n: t for n, t in settings.items() if n.removeprefix(prefix) not in _ENDPOINTS}
    settings |= given
    is_plain_allowed = settings.get(f"{prefix}ALLOW_HTTP", "").lower() in _TRUE
    for name in _ENDPOINTS:
        if (url := settings.get(prefix + name)) is not None:
            _check(prefix, prefix + name, url, is_plain_allowed=is_plain_allowed)


def _check(prefix: str, name: str, url: str, *, is_plain_allowed: bool) -> None:
    if "@" in url:
        raise UsageError(
            f"{name} holds a user name or a password. Nothing was read or stored. Give only "
            "https://HOST:PORT there; docs/operations.md names the settings for credentials."
        )
    if not url.startswith(("https://", "http://")) or not is_base(url):
        raise UsageError(
            f"{name} is not the http or https URL of an object store: {url!r}. Nothing was read "
            "or stored. Give one like https://HOST:PORT, or unset it."
        )
    if url.startswith("http://") and not is_plain_allowed:
        raise UsageError(
            f"{name} is a URL without TLS: {url}. Nothing was read or stored. Set "
            f"{prefix}ALLOW_HTTP=true to use it, or give an https URL."
        )
