"""The address of a lake: a folder on this machine's disk, or a prefix in an object store.

The libraries that reach a store (delta-rs, Polars) read endpoint and credentials from the usual
environment variables themselves (`AWS_…`, `GOOGLE_…`, `AZURE_…`); this module passes none.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lake.errors import UsageError
from lake.location.endpoints import PREFIXES, check_endpoint
from lake.location.store_options import check_options
from lake.location.urls import is_local

# delta-rs parses some paths as URLs, so these characters would name another folder, or no history.
_UNSAFE = frozenset("%?#\\\x7f") | {chr(code) for code in range(32)}
_SHOWN = "% ? # \\, line breaks and other control characters"
# delta-rs also takes a prefix that begins with `name:` for a URL.
_UNSAFE_IN_STORES = _UNSAFE | {":"}
# Amazon's, Google's and Azure's rules allow fewer; Azure has containers such as $web.
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*(@[A-Za-z0-9.-]+)?")

# Stores that both delta-rs and Polars reach. Each opening of `memory` is a new, empty store.
_STORES = (*PREFIXES, "memory")

# Concurrent commits are safe only if the store refuses to replace an existing version. That is the
# default, but an environment variable could switch it off; an option overrides the variable.
_SAFE_COMMITS = {"s3": {"aws_conditional_put": "etag"}, "s3a": {"aws_conditional_put": "etag"}}

# Quotes that a shell would have removed.
_QUOTED = re.compile(r"""^(["'`]).*\1$""", re.DOTALL)

# Without a slash, a URI would name a folder of this machine, such as `s3:`.
_LACKS_SLASH = re.compile(rf"({'|'.join(_STORES)}|file|https?):/?(?!/)", re.IGNORECASE)

# A secret key may contain a slash, so the match may extend past the bucket.
_CREDENTIALS = re.compile(r"[^@]*:.*@", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a lake.

    Attributes:
        uri: absolute path or URI, without a slash at the end.
        options: storage options, as delta-rs and Polars take them; they may hold secrets.
    """

    uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the lake is on this machine's disk."""
        return is_local(self.uri)


def address_of(
    text: str,
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Address:
    """Read an address: `./lake-data`, `file:///data/lake`, `s3://bucket/prefix`, `gs://…`,
    `az://…`.

    Args:
        text: as the user gave it.
        options: storage options in addition to the environment.
        environment: environment variables.

    Raises:
        UsageError: no lake can be at this address, it holds credentials, or the store's endpoint
            or another option cannot be used.
    """
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if not text:
        raise UsageError("The lake's address is empty: give a folder, or s3://bucket/prefix.")
    if _QUOTED.search(text):
        raise UsageError(
            f"The lake's address is in quotes ({text[0]}) that no shell removed. Give it without "
            "quotes, e.g. in the file that sets BASISLAKE_LAKE."
        )
    if _LACKS_SLASH.match(text):
        scheme = text.partition(":")[0]
        raise UsageError(
            f"The lake's address begins with {scheme}: without // after it. Nothing was read or "
            "stored. Write s3://bucket/prefix; for a folder of this name, give its absolute path."
        )
    if is_local(text):
        check_options(options or {}, environment, None)
        return _folder(text, options or {})
    address = _store(text, options or {})
    scheme = address.uri.partition(":")[0]
    check_options(address.options, environment, PREFIXES.get(scheme))
    check_endpoint(scheme, address.options, environment)
    return address


def _folder(text: str, options: Mapping[str, str]) -> Address:
    try:
        # For `./~` the library would drop the `./`, and so read it as a home folder.
        path = (Path(text).expanduser() if text.startswith("~") else Path(text)).absolute()
    except RuntimeError as exc:
        user = Path(text).parts[0]
        raise UsageError(
            f"{text!r} begins with {user}, but this machine has no such home folder. Give the "
            "absolute path of the lake's folder."
        ) from exc
    except FileNotFoundError as exc:
        raise UsageError(
            f"{text!r} is relative to the working folder, which no longer exists. Nothing was "
            "changed. Give the absolute path of the lake's folder."
        ) from exc
    if ".." in path.parts:
        # Some libraries resolve `..` in the text of a path, the system in the target of a link.
        path = path.resolve()
    if not _UNSAFE.isdisjoint(path.as_posix()):
        raise UsageError(f"A lake cannot be at {str(path)!r}: choose a path without {_SHOWN}.")
    return Address(str(path), dict(options))


def _store(text: str, options: Mapping[str, str]) -> Address:
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    place, _, _ = rest.partition("/")
    if _CREDENTIALS.match(rest) or ("@" in place and not scheme.startswith("abfs")):
        raise UsageError(
            f"The address of a lake in {scheme} holds credentials; give them in the environment "
            "(docs/operations.md) and leave only the bucket and the prefix."
        )
    if "?" in rest:
        raise UsageError(
            f"A lake cannot be at a signed or parametrised address ({text.partition('?')[0]}?…); "
            "give credentials in the environment (docs/operations.md)."
        )
    if scheme not in _STORES:
        raise UsageError(
            f"A lake cannot be at {text!r}: use a folder, or s3://bucket/prefix, gs://… or az://…."
        )
    if not place and scheme != "memory":
        raise UsageError(f"{text!r} names no bucket: a lake is at {scheme}://bucket/prefix.")
    if place and not _BUCKET.fullmatch(place):
        raise UsageError(
            f"A lake in {scheme} is at {scheme}://bucket/prefix, where the bucket's name has only "
            "letters, digits and . _ -; an endpoint and credentials belong in the environment "
            "(docs/operations.md)."
        )
    rest = rest.rstrip("/")
    if not _UNSAFE_IN_STORES.isdisjoint(rest):
        raise UsageError(f"A lake cannot be at {text!r}: choose a prefix without : {_SHOWN}.")
    if not {"", ".", ".."}.isdisjoint(rest.lstrip("/").split("/")[1:]):
        raise UsageError(
            f"A lake cannot be at {text!r}: choose a prefix without '.', '..' and empty names, "
            "which stores keep and libraries resolve."
        )
    return Address(f"{scheme}://{rest}", {**_SAFE_COMMITS.get(scheme, {}), **dict(options)})
