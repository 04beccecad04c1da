"""Removes files that no version of a table needs: what killed writers left and no commit ever
named, and what is left of versions that were given up (`lake.retention`).

Every other version stays readable, so a file that any commit named is kept, also where later
commits replaced it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs as pafs

from lake import files
from lake.actions import commit_files, read_actions
from lake.errors import LakeError, UsageError
from lake.guard import explained
from lake.past import given_up
from lake.snapshot import Snapshot
from lake.store import Lake

# A writer names its files when it is done; a build of everything may take hours.
DEFAULT_AGE = timedelta(days=7)
SAFE_AGE = timedelta(days=1)


@dataclass(slots=True)
class Vacuumed:
    """What a vacuum did.

    Attributes:
        files: removed, or to be removed.
        bytes: in them.
        young: files that no version names and that a writer may still name.
    """

    files: int = 0
    bytes: int = 0
    young: int = 0


def vacuum(
    lake: Lake,
    age: timedelta = DEFAULT_AGE,
    *,
    unsafe: bool = False,
    dry: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Vacuumed:
    """Remove the data files that no version of their table needs and that are old.

    Args:
        lake: to tidy.
        age: younger files stay.
        unsafe: allow an age below `SAFE_AGE`, at which a running writer's files are removed and its
            commit then names files that are not there.
        dry: remove nothing.
        now: the store's clock, UTC.

    Raises:
        UsageError: the age is not safe.
        LakeError: the store cannot be read or written, or a log is not complete.
    """
    if age < SAFE_AGE and not unsafe:
        raise UsageError(
            f"Files younger than {SAFE_AGE.days * 24} hours may belong to a writer that has not "
            "committed yet; nothing was removed. Where no other command runs on this lake, "
            "--unsafe removes them."
        )
    done, until = Vacuumed(), now() - age
    for snapshot in lake.snapshots().values():
        if snapshot.version is not None:
            with explained(f"{snapshot.table.name} cannot be tidied at {snapshot.uri}"):
                _tidy(snapshot, until, done, dry=dry)
    return done


def needed(snapshot: Snapshot, store: pafs.FileSystem, commits: Mapping[int, str]) -> set[str]:
    """Return the paths of all data files that some commits of a table add, less those of versions
    that were given up.

    Args:
        snapshot: of the table.
        store: of its folder.
        commits: see `commit_files`.

    Raises:
        LakeError: a commit of the log is absent.
    """
    absent = set(range(max(commits, default=0) + 1)) - set(commits)
    if absent:
        raise LakeError(
            f"The log of {snapshot.table.name} at {snapshot.uri} lacks version {min(absent)}, so "
            "it cannot be told which files past versions need. Nothing was changed."
        )
    known = list(read_actions(store, commits))
    return {path for commit in known for path in commit.added} - given_up(snapshot.table, known)


def _tidy(snapshot: Snapshot, until: datetime, done: Vacuumed, *, dry: bool) -> None:
    store = files.filesystem(snapshot.uri, snapshot.options)
    # First the files, then the log: a commit in between names files of the list.
    found = _data_files(store)
    kept = needed(snapshot, store, commit_files(store))
    for info in found:
        if info.path in kept:
            continue
        if info.mtime is None or info.mtime > until:
            done.young += 1
            continue
        if not dry:
            store.delete_file(info.path)
        done.files += 1
        done.bytes += info.size
    for path in files.half_written(snapshot.uri):
        _remove_half(path, until, done, dry=dry)


def _remove_half(path: Path, until: datetime, done: Vacuumed, *, dry: bool) -> None:
    # A running writer may have ended it meanwhile.
    with suppress(FileNotFoundError):
        known = path.stat()
        if known.st_mtime > until.timestamp():
            done.young += 1
            return
        if not dry:
            path.unlink()
        done.files += 1
        done.bytes += known.st_size


def _data_files(store: pafs.FileSystem) -> list[pafs.FileInfo]:
    """All Parquet files in the table's folder, committed or not; those of the log are none."""
    return [
        info
        for info in files.below(store)
        if info.path.endswith(".parquet") and not info.path.startswith("_")
    ]
