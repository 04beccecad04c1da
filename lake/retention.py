"""Gives up old versions of the curated tables, whose rows can always be made again from raw ones.

A table is marked first and its files go then, so a version that cannot be read is always known to
be given up (`Snapshot.given_up`). What a kill leaves between the two a vacuum removes. Raw candles,
instruments and coverage keep every version.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow.fs as pafs

from lake import files, log
from lake.actions import KEPT_FROM, commit_file, given_up, read_actions
from lake.errors import UsageError
from lake.log import Commit
from lake.snapshot import Snapshot, explained
from lake.store import Lake
from lake.tables import CURATED

# Nobody reads one version for so long, and the clocks of machines differ by less.
LEAST_KEPT = timedelta(hours=1)

_DELETES_AT_ONCE = 16


@dataclass(slots=True)
class GivenUp:
    """What was given up.

    Attributes:
        versions: of all curated tables together.
        files: removed.
        bytes: in them.
    """

    versions: int = 0
    files: int = 0
    bytes: int = 0


def kept_from(commits: Iterable[Commit], until: datetime) -> int:
    """Return the oldest version to keep: the one that was the newest at a time; pure.

    Every version that a reader may have opened since then is kept.

    Args:
        commits: of a table.
        until: that time.
    """
    return max((commit.version for commit in commits if commit.at <= until), default=0)


def give_up(
    lake: Lake,
    keep: timedelta,
    program: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> GivenUp:
    """Remove the files that only versions of curated tables need which newer ones replaced long
    ago.

    Args:
        lake: to relieve.
        keep: how long a version can still be read after the next one replaced it.
        program: name and version, for the lineage.
        now: UTC.

    Raises:
        UsageError: so short a time would take files from under readers.
        LakeError: the store cannot be read or written.
        ConflictError: another program does the same at this moment.
    """
    if keep < LEAST_KEPT:
        raise UsageError(
            f"Replaced versions are kept for {LEAST_KEPT // timedelta(hours=1)} hour at least, for "
            "somebody may be reading them; nothing was removed."
        )
    done = GivenUp()
    for table in CURATED:
        snapshot = lake.snapshot(table)
        if snapshot.version is not None:
            with explained(f"old versions of {table.name} cannot be given up at {snapshot.uri}"):
                _give_up(lake, snapshot, now() - keep, program, done)
    return done


def _give_up(lake: Lake, snapshot: Snapshot, until: datetime, program: str, done: GivenUp) -> None:
    before, newest = snapshot.counter(KEPT_FROM), snapshot.version or 0
    commits = lake.history(snapshot.table, newest - before + 1)
    first = min(kept_from(commits, until), newest)
    # A commit of upkeep replaced no version.
    if all(commit.is_upkeep for commit in commits if before < commit.version <= first):
        return
    lineage = {"program": program, log.UPKEEP: f"versions before {first} given up"}
    lake.commit(snapshot, [], lineage, marks={KEPT_FROM: first})
    store = files.filesystem(snapshot.uri, snapshot.options)
    known = list(read_actions(store, {v: commit_file(v) for v in range(before + 1, newest + 2)}))
    sizes = _removed(store, given_up(known) - {file.path for file in snapshot.files})
    done.versions += first - before
    done.files += len(sizes)
    done.bytes += sum(sizes)


def _removed(store: pafs.FileSystem, paths: set[str]) -> list[int]:
    """Remove files, and return the sizes of those that were there."""

    def remove(path: str) -> int | None:
        with suppress(FileNotFoundError):
            size: int = store.get_file_info(path).size or 0
            store.delete_file(path)
            return size
        return None

    with ThreadPoolExecutor(_DELETES_AT_ONCE) as pool:
        return [size for size in pool.map(remove, sorted(paths)) if size is not None]
