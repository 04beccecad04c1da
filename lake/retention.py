"""Gives up what nobody needs any more of old versions, where it can be had again or is had still.

- Curated tables: every version that was replaced; a build makes its rows again from raw ones.
- `raw_candles`: small files that a compaction put together; each version is read from the larger
  file then, so none loses a row (`lake.pieces`). That file is read and proven first.
- `coverage`: versions that no build was made from.

A table is marked first and its files go then, so what cannot be read is always known to be given up
(`lake.past`). What a kill leaves between the two a vacuum removes. `instruments` keeps everything.
"""

from collections.abc import Callable, Collection, Container, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.fs as pafs

from lake import files, log
from lake.actions import BUILDS, GIVEN_UP, KEPT_FROM, Actions, commit_file, read_actions
from lake.errors import UsageError
from lake.fingerprint import prove
from lake.guard import explained
from lake.log import Commit
from lake.past import given_up
from lake.pieces import LISTED, holders
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import CANDLES, COVERAGE, CURATED, RAW_CANDLES, Table
from lake.versions import made_from, place

# Nobody reads one version for so long, and the clocks of machines differ by less.
LEAST_KEPT = timedelta(hours=1)

_DELETES_AT_ONCE = 16

# Coverage before the curated tables, for their marks tell which builds have been looked at; raw
# candles last, so that a damaged file of theirs keeps no build.
_ORDER = (COVERAGE, *CURATED, RAW_CANDLES)
# So many more builds are looked at: the clocks of machines differ.
_BUILDS_BEFORE = 16


@dataclass(slots=True)
class GivenUp:
    """What was given up.

    Attributes:
        versions: of the curated tables and of coverage, that cannot be read any more.
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


def unneeded(
    commits: Sequence[Actions], own: Container[int], until: int, needed: Collection[int]
) -> list[str]:
    """Return the files of a table that only some old versions need, and none that is needed; pure.

    A file that came before the commits, or that another program brought back since, stays: whether
    a version of before needs it cannot be told.

    Args:
        commits: of the table, all since a version, in order.
        own: the versions that basislake made.
        until: the last of the commits that made a version old.
        needed: versions.
    """
    came: dict[str, int] = {}
    for commit in commits:
        for path in commit.added if commit.version in own else ():
            came.setdefault(path, commit.version)
    went = {path: c.version for c in commits if c.version <= until for path in c.removed}
    return sorted(
        path
        for path, end in went.items()
        if path in came and not any(came[path] <= need < end for need in needed)
    )


def needed_by(
    builds: Iterable[Commit], raw: Sequence[Commit], coverage: Sequence[Commit]
) -> dict[int, int]:
    """Return the versions of coverage that builds were made from, or would be made from if they
    were made again, each with the version of `raw_candles`; pure.

    Args:
        builds: commits of a curated table.
        raw: commits of `raw_candles`.
        coverage: commits of `coverage`.
    """
    found: dict[int, int] = {}
    for build in builds:
        version = made_from(build, RAW_CANDLES)
        if version is not None:
            own = made_from(build, COVERAGE)
            again = place(coverage, log.upkept(raw, version)).version
            found |= {known: version for known in (own, again) if known is not None}
    return found


def give_up(
    lake: Lake,
    keep: timedelta,
    program: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> GivenUp:
    """Remove the files that only old versions need, as far as they are given up.

    Args:
        lake: to relieve.
        keep: how long everything stays after a newer version replaced it.
        program: name and version, for the lineage.
        now: UTC.

    Raises:
        UsageError: so short a time would take files from under readers.
        LakeError: the store cannot be read or written, or a file that stands for small ones is
            damaged, which stay then.
        ConflictError: another program does the same at this moment.
    """
    if keep < LEAST_KEPT:
        raise UsageError(
            f"Replaced versions are kept for {LEAST_KEPT // timedelta(hours=1)} hour at least, for "
            "somebody may be reading them; nothing was removed."
        )
    done, until = GivenUp(), now() - keep
    for table in _ORDER:
        snapshot = lake.snapshot(table)
        if snapshot.version is not None:
            with explained(f"old versions of {table.name} cannot be given up at {snapshot.uri}"):
                _give_up(lake, snapshot, until, program, done)
    return done


def _give_up(lake: Lake, snapshot: Snapshot, until: datetime, program: str, done: GivenUp) -> None:
    table = snapshot.table
    before, newest = snapshot.counter(KEPT_FROM), snapshot.version or 0
    commits = lake.history(table, since=before - 1)
    first = min(kept_from(commits, until), newest)
    passed = [commit for commit in commits if before < commit.version <= first]
    if not any(_gives_up(table, commit) for commit in passed):
        return
    store = files.filesystem(snapshot.uri, snapshot.options)
    known = list(read_actions(store, {v: commit_file(v) for v in range(before + 1, newest + 1)}))
    if table is RAW_CANDLES:
        for path in _holding(known, first):
            prove(snapshot, path)
    told: dict[str, Any] = {"program": program, log.UPKEEP: f"versions before {first} given up"}
    if table is COVERAGE:
        needed = _needed(lake, commits, is_first=not before)
        own = {commit.version for commit in commits if made_from(commit, RAW_CANDLES) is not None}
        told[GIVEN_UP] = unneeded(known, own, first, needed)
        told[BUILDS] = sorted(set(needed.values()))
    version = lake.commit(snapshot, [], told, marks={KEPT_FROM: first})
    # Ours is among those since, whoever commits at the same time.
    known += read_actions(store, {v: commit_file(v) for v in range(newest + 1, version + 1)})
    gone = given_up(table, known) - {file.path for file in snapshot.files}
    sizes = _removed(store, gone)
    if table is not RAW_CANDLES:
        done.versions += len(gone) if table is COVERAGE else first - before
    done.files += len(sizes)
    done.bytes += sum(sizes)


def _holding(commits: Iterable[Actions], until: int) -> list[str]:
    """The files that hold the rows of small ones once those up to a version are given up."""
    return sorted(set(holders(c.lineage for c in commits if c.version <= until).values()))


def _gives_up(table: Table, commit: Commit) -> bool:
    """Whether files that a commit replaced may be given up."""
    return LISTED in commit.lineage if table is RAW_CANDLES else not commit.is_upkeep


def _needed(lake: Lake, coverage: Sequence[Commit], *, is_first: bool) -> dict[int, int]:
    """See `needed_by`; of the builds since the last were given up, and of all where no coverage
    was yet.
    """
    kept = lake.snapshot(CANDLES).counter(KEPT_FROM)
    builds = lake.history(CANDLES, since=-1 if is_first else kept - _BUILDS_BEFORE)
    made = [version for build in builds if (version := made_from(build, RAW_CANDLES)) is not None]
    raw = lake.history(RAW_CANDLES, since=min(made) - 1) if made else []
    return needed_by(builds, raw, coverage)


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
