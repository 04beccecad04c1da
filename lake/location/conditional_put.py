"""Checks that an object store, or a file system, keeps the first commit of a version and refuses
every later one.

Writers rely on this alone: if a store replaces the first commit with the second, it loses rows and
both writers believe that theirs are stored. On disk the library creates a hard link, which fails
if the file exists.
"""

import errno
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.schema import PrimitiveType

from lake.errors import LakeError, UsageError
from lake.files import parquet
from lake.location.urls import is_local

_SCHEMA = Schema([Field("probe", PrimitiveType("long"))])
_WRITERS = 2
# Of writers that start at the same moment one rarely sees the other's commit before its own.
_TRIES = 20

# Errors of the system for a file system without hard links, such as exFAT.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

# The option by which the library renames a commit into place, replacing an existing one. Only for
# places to which nothing else writes.
BY_RENAME = {"allow_unsafe_rename": "true"}

# Lakes that this process has checked, with their storage options.
_checked: set[tuple[str, frozenset[tuple[str, str]]]] = set()


def check(table_uri: str, options: Mapping[str, str]) -> None:
    """Refuse a store that would lose commits, before the first commit of this process to its lake.

    Two writers create the same small table below the lake at the same moment; the check deletes it
    afterwards. On disk the check links a small file and deletes it.

    Args:
        table_uri: a table's folder in the lake.
        options: storage options of the object store.

    Raises:
        LakeError: the store accepts both commits.
        UsageError: the file system has no hard links, so no commit can be made there.
        DeltaError, OSError: the store cannot be reached; see `lake.library_errors.explained`.
    """
    root = table_uri.rpartition("/")[0]
    known = (root, frozenset(options.items()))
    if table_uri.startswith("memory:") or known in _checked:
        return
    if is_local(table_uri):
        if not (BY_RENAME.items() <= options.items() or has_links(Path(root))):
            raise UsageError(
                f"A lake cannot be written at {root}: its file system has no hard links, which "
                "keep one commit from replacing another. Nothing was stored. Choose a folder on "
                "another file system or an object store; only copies by `basislake backup` can be "
                "stored here."
            )
    elif keeps_first(root, options) is False:
        raise LakeError(
            f"The store of {root} ignores If-None-Match: a second commit replaces the first, so "
            "writers would lose each other's rows. Nothing was written. Use a store with "
            "conditional writes (docs/operations.md)."
        )
    _checked.add(known)


def keeps_first(root: str, options: Mapping[str, str]) -> bool | None:
    """Whether a store refuses the second of two simultaneous commits; None if no two commits
    coincided.

    Args:
        root: of a lake; files written below it are deleted again.
        options: storage options of the object store.

    Raises:
        DeltaError, OSError: the store cannot be reached; see `lake.library_errors.explained`.
    """
    for _ in range(_TRIES):
        outcomes = _race(f"{root}/_probe-{uuid4().hex}", options)
        if all(outcomes):
            return False
        if False in outcomes:
            return True
    return None


def has_links(folder: Path) -> bool:
    """Whether a folder's file system has hard links; the commit itself reports other errors."""
    probe = folder / f"_probe-{uuid4().hex}"
    link = probe.with_suffix(".link")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError:
        return True
    try:
        link.hardlink_to(probe)
    except OSError as exc:
        return exc.errno not in _NO_LINKS
    finally:
        for path in (probe, link):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return True


def _race(uri: str, options: Mapping[str, str]) -> list[bool | None]:
    start = Barrier(_WRITERS)
    try:
        with ThreadPoolExecutor(_WRITERS) as pool:
            writers = [pool.submit(_write, uri, options, start) for _ in range(_WRITERS)]
            return [writer.result() for writer in writers]
    finally:
        store = parquet.filesystem(uri, options)
        with suppress(OSError):
            for info in parquet.below(store):
                store.delete_file(info.path)


def _write(uri: str, options: Mapping[str, str], start: Barrier) -> bool | None:
    """Whether the store accepted a commit; None if the library saw the other one and sent none."""
    start.wait()
    try:
        DeltaTable.create(
            uri,
            schema=_SCHEMA,
            mode="error",
            storage_options=dict(options) or None,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except CommitFailedError:
        return False
    except DeltaError:
        if DeltaTable.is_deltatable(uri, dict(options) or None):
            return None
        raise
    return True
