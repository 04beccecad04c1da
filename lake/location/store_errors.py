"""Rewrites library errors about an object store as short messages without secrets."""

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

# Environment variables that no message may show.
_SECRET = re.compile(r"(AWS|AZURE|GOOGLE)_.*(SECRET|TOKEN|KEY|SAS|PASSWORD|ACCOUNT$)(?!_ID|_FILE)")
_NO_SECRET = frozenset({"AWS_ACCESS_KEY_ID"})
_SHORTEST_SECRET = 6
# The password in a URL, such as that of an endpoint or a proxy.
_LOGIN = re.compile(r"//[^/\s\"']+@")

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_BRANCHES = re.compile(r"\s*[↳\n]\s*")

# Patterns that occur only in errors of stores; a path on disk may contain the same words below.
_OF_STORE = re.compile(
    r"Generic (S3|GCS|MicrosoftAzure|HTTP client|Config) error|loading credentials"
    r"|credential provider|Failed to parse config"
)
# What a library cannot read of the settings themselves.
_OF_SETTING = re.compile(
    "Generic Config error|Generic HTTP client error: builder error|Failed to parse config"
)
# A store's answer; a message shows its code and sentence.
_ANSWER = re.compile(r"<\?xml.*?<Code>(.*?)</Code>.*?<Message>(.*?)</Message>.*</Error>")
_UNCONNECTED = re.compile(
    r"Error performing \w+ (?P<host>https?://[^/\s]+).*client error \(Connect\): (?P<why>.*)"
)
# Patterns of other errors, and our messages; the first that matches is used.
_KNOWN = (
    (
        re.compile(r"\b(NoSuchBucket|ContainerNotFound)\b"),
        (
            "the store has no bucket of this name, so nothing was read or stored. Create the "
            "bucket, or correct the lake's address or the store's endpoint"
        ),
    ),
    (
        re.compile(r"Missing (SecretAccessKey|AccessKeyId)|Account must be specified"),
        (
            "the environment holds only a part of the credentials for the store, so nothing was "
            "read or stored. Set {settings} (docs/operations.md)"
        ),
    ),
    (
        # Without credentials a library asks the cloud's metadata service for those of a role.
        re.compile(
            r"/latest/api/token|/latest/meta-data|169\.254\.1\d\d\.|/computeMetadata/|IMDS"
            r"|loading credentials|no credentials"
        ),
        (
            "no credentials for the store were found in the environment, and no role of this "
            "machine gives any, so nothing was read or stored. Set {settings} (docs/operations.md)"
        ),
    ),
    (
        re.compile(
            r"\b(InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken"
            r"|TokenRefreshRequired|invalid_grant|AuthenticationFailed|AuthorizationFailure"
            r"|AccessDenied|Access Denied)\b"
        ),
        (
            "the store refuses the credentials: {answer}. Its content is unchanged. Check that "
            "{settings} are right and permit listing, reading and writing this bucket "
            "(docs/operations.md)"
        ),
    ),
    (
        _OF_SETTING,
        (
            "a setting of the store cannot be used: {message}. Nothing was read or stored. Check "
            "storage options, and environment variables of proxies and those beginning with AWS_, "
            "GOOGLE_ or AZURE_"
        ),
    ),
)

_SETTINGS = {
    "GCS": "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY",
    "MicrosoftAzure": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "S3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
}


def plain(message: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a library's message about a store on one line, without colours and without secrets of
    the environment; known errors get our message, with what to do.
    """
    message = masked(_on_one_line(message), environment)
    return _known(message, environment) if _OF_STORE.search(message) else message


def is_of_setting(message: str) -> bool:
    """Return whether a library refuses a setting of the store, which the user has to correct."""
    return bool(_OF_SETTING.search(_on_one_line(message)))


def masked(message: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a message with the secrets of the environment and of URLs masked."""
    for name, value in environment.items():
        is_secret = _SECRET.match(name) and name not in _NO_SECRET
        if is_secret and len(value) >= _SHORTEST_SECRET:
            message = message.replace(value, f"({name})")
    return _LOGIN.sub("//***@", message)


def _on_one_line(message: str) -> str:
    return _BRANCHES.sub(": ", _ESCAPES.sub("", message)).strip(": ")


def _known(message: str, environment: Mapping[str, str]) -> str:
    message = _ANSWER.sub(r"\2 (\1)", message)
    for pattern, sentence in _KNOWN:
        if pattern.search(message):
            answer = message.rpartition(": ")[2].rstrip(".")
            return sentence.format(settings=_settings(message), answer=answer, message=message)
    if found := _UNCONNECTED.search(message):
        way = _proxy(found["host"], environment)
        return f"no connection to the store at {found['host']}: {found['why']}{way}"
    return message


def _settings(message: str) -> str:
    """The names of the settings with the credentials of the store in a message."""
    found = (names for store, names in _SETTINGS.items() if f"Generic {store} error" in message)
    return next(found, _SETTINGS["S3"])


def _proxy(url: str, environment: Mapping[str, str]) -> str:
    """A sentence that names the setting of the proxy for a host; empty without a proxy."""
    # Imported on failure only; missing in the types of the standard library.
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # noqa: PLC0415

    parts = urlsplit(url)
    scheme = f"{parts.scheme}_proxy"
    names = (scheme, scheme.upper(), "all_proxy", "ALL_PROXY")
    name = next((name for name in names if environment.get(name)), "")
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not name or proxy_bypass_environment(parts.netloc, {"no": excepted}):
        return ""
    return f". {name} sends this call through a proxy; NO_PROXY can exclude the store's host"
