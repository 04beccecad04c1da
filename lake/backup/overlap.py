"""Refuses a copy between two places that are the same, or one inside the other."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lake.errors import UsageError
from lake.lake import Lake
from lake.location.endpoints import PREFIXES
from lake.tables import TABLES

_ENDPOINT = re.compile("endpoint|account_name")


def check_apart(source: Lake, target: Lake) -> None:
    """Refuse to copy a lake onto or into itself, or over a folder that contains it.

    Folders are compared by their identity on disk, so links, `..`, mounts and upper and lower case
    make no difference.

    Raises:
        UsageError: the places overlap.
    """
    if source.is_local != target.is_local:
        return
    overlap = _overlap_on_disk if source.is_local else _overlap_in_stores
    if overlap(source, target):
        raise UsageError(
            f"{source.uri} cannot be copied to {target.uri}: they are the same place, or one is "
            "inside the other. Nothing was copied. Choose a place outside the lake."
        )


def _overlap_on_disk(source: Lake, target: Lake) -> bool:
    one, other = _folders(source), _folders(target)
    return bool(
        _identities(one) & _identities(_with_parents(other))
        or _identities(other) & _identities(_with_parents(one))
    )


def _folders(lake: Lake) -> list[Path]:
    """The folders of a lake: each table's may be a link to another place."""
    return [Path(os.path.realpath(f"{lake.uri}/{name}")) for name in ("", *TABLES)]


def _with_parents(folders: list[Path]) -> set[Path]:
    return {place for folder in folders for place in (folder, *folder.parents)}


def _identities(folders: Iterable[Path]) -> set[object]:
    """Identities of the folders that exist: device and number, which follow mounts, and the listed
    path, since some file systems number a folder differently each time.
    """
    found = set[object]()
    for folder in folders:
        with suppress(OSError):
            known = folder.stat()
            found |= {(known.st_dev, known.st_ino), _as_listed(folder)}
    return found


def _as_listed(folder: Path) -> Path:
    """The path in the upper and lower case in which the disk lists it, if it can be listed."""
    if folder == folder.parent:
        return folder
    try:
        names = {path.name: path.name.casefold() for path in folder.parent.iterdir()}
    except PermissionError:
        # A user may traverse a folder without the right to list it, e.g. /home.
        names = {}
    alike = (name for name, folded in names.items() if folded == folder.name.casefold())
    name = folder.name if folder.name in names else next(alike, folder.name)
    return _as_listed(folder.parent) / name


def _overlap_in_stores(source: Lake, target: Lake) -> bool:
    (store, account, one), (other_store, other_account, other) = map(_place, (source, target))
    if store != other_store or (account and other_account and account != other_account):
        return False
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _place(lake: Lake) -> tuple[str, str, list[str]]:
    """Kind of store, account or endpoint as far as the address contains it, and the names in bucket
    and prefix. The environment is the same for both lakes of a copy.
    """
    scheme, _, rest = lake.uri.partition("://")
    bucket, *names = rest.split("/")
    container, _, host = bucket.partition("@")
    account = host.partition(".")[0] or ",".join(
        sorted(value for name, value in lake.options.items() if _ENDPOINT.search(name.lower()))
    )
    return PREFIXES.get(scheme, scheme), account, [container.lower(), *names]
