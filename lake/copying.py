"""A lake copied to another folder or store, with every version: commit by commit, data first.

The copy is a lake at any moment, as the source was at some moment. Copying again goes on from
there, so a copy that was killed is finished, and an old one is brought up to date.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow.fs as pafs

from lake import files
from lake.actions import commit_files, read_actions
from lake.errors import LakeError
from lake.fingerprint import fingerprint
from lake.past import given_up
from lake.snapshot import explained
from lake.store import Lake
from lake.tables import COVERAGE, CURATED, INSTRUMENTS, RAW_CANDLES, Table
from lake.upkeep import checkpoint
from lake.versions import PinnedLake

# A table is made from those before it, so its commits are copied after theirs, and which of them to
# copy is settled before theirs.
_ORDER = (INSTRUMENTS, RAW_CANDLES, COVERAGE, *CURATED)

# A file is held in memory while it is copied, 40 MB for the largest.
_COPIES_AT_ONCE = 4
_DOCUMENTS = "runs"
_CHANGING_DOCUMENTS = 20


@dataclass(slots=True)
class Copied:
    """What was copied.

    Attributes:
        versions: of each table, that both sides hold now; None where there is none.
        files: of data, copied.
        bytes: in them.
        held: files of data that the copy held already.
        fingerprint: of the source at these versions.
        damaged: files of the copy, as `table/path`, that hold other rows than their name says.
        is_equal: whether the rows of the copy, all read again, have the same fingerprint.
    """

    versions: dict[str, int | None] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    held: int = 0
    fingerprint: str = ""
    damaged: tuple[str, ...] = ()
    is_equal: bool = False


@dataclass(frozen=True, slots=True)
class _Share:
    """One table's commits that are to be copied."""

    table: Table
    source: pafs.FileSystem
    target: pafs.FileSystem
    commits: Mapping[int, str]
    known: Mapping[int, str]

    @property
    def version(self) -> int | None:
        return max(self.commits, default=None)

    @property
    def new(self) -> dict[int, str]:
        """Paths of the commits that the target lacks, by version, in order."""
        return {v: self.commits[v] for v in sorted(self.commits) if v not in self.known}


def copy(
    source: Lake,
    target: Lake,
    threads: int,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Copied:
    """Copy a lake, or what it holds more than its copy, and prove the copy by its fingerprint.

    Others may write to the source meanwhile; what they commit is left to the next time.

    Args:
        source: to copy from.
        target: a place that holds nothing, or an earlier copy.
        threads: partitions that are read at once for the proof.
        report: told how many of how many files are copied.

    Raises:
        LakeError: a side cannot be read or written, or the target holds something else. What was
            copied stays, and copying again goes on from there.
    """
    done = Copied()
    shares = [_share(source, target, table) for table in reversed(_ORDER)]
    listed = [(share, _listed(share)) for share in reversed(shares)]
    wanted = sum(len(sizes) for _, sizes in listed)
    for share, sizes in listed:
        with explained(f"{share.table.name} cannot be copied from {source.uri} to {target.uri}"):
            _data(share, sizes, done, lambda: report(done.files + done.held, wanted))
            for path in share.new.values():
                _put(share.target, path, _get(share.source, path))
        done.versions[share.table.name] = share.version
    _copy_documents(source, target)
    checkpoint(target)
    _prove(source, target, threads, done)
    return done


def _share(source: Lake, target: Lake, table: Table) -> _Share:
    sides = []
    for side in (source, target):
        uri = f"{side.uri}/{table.name}"
        with explained(f"the log of {table.name} cannot be read at {uri}"):
            # To look at a folder must not make it.
            store = files.filesystem(uri, side.options) if not files.is_absent(uri) else None
            sides.append((store, commit_files(store) if store else {}))
    (store, commits), (_, known) = sides
    if set(commits) != set(range(len(commits))):
        raise LakeError(
            f"The log of {table.name} at {source.uri} lacks a version, so it cannot be copied."
        )
    uri = f"{target.uri}/{table.name}"
    if not commits and not known:
        return _Share(table, store, None, {}, {})
    share = _Share(table, store, files.filesystem(uri, target.options), commits, known)
    _check_copy(share, target)
    return share


def _check_copy(share: _Share, target: Lake) -> None:
    """Refuse a target that is no earlier copy."""
    newest = max(share.known, default=-1)
    is_alike = set(share.known) <= set(share.commits) and len(share.known) == newest + 1
    for version in {0, newest} if share.known and is_alike else ():
        path = share.commits[version]
        is_alike = is_alike and _get(share.source, path) == _get(share.target, path)
    if not is_alike:
        raise LakeError(
            f"{target.uri} holds another {share.table.name}, or versions of it that the source "
            "lacks. Nothing was changed there; choose a place that is empty, or an earlier copy."
        )


def _listed(share: _Share) -> dict[str, int]:
    """The files that the commits to be copied add, with their sizes in bytes, less those of
    versions that the source gave up.
    """
    commits = list(read_actions(share.source, share.new))
    gone = given_up(share.table, commits)
    added = {path: size for commit in commits for path, size in commit.added.items()}
    return {path: size for path, size in added.items() if path not in gone}


def _data(
    share: _Share, sizes: Mapping[str, int], done: Copied, report: Callable[[], None]
) -> None:
    if not sizes:
        return
    held = {info.path: info.size for info in files.below(share.target)}
    lacking = [path for path, size in sizes.items() if held.get(path) != size]
    done.held += len(sizes) - len(lacking)
    with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
        for size in pool.map(lambda path: _copy_file(share, path, sizes[path]), lacking):
            done.files += 1
            done.bytes += size
            report()


def _copy_file(share: _Share, path: str, size: int) -> int:
    data = _get(share.source, path)
    if len(data) != size:
        raise LakeError(
            f"{share.table.name}/{path} has {len(data):,} bytes where its commit says {size:,}; "
            "the source is damaged. What was copied before stays."
        )
    _put(share.target, path, data)
    return size


def _copy_documents(source: Lake, target: Lake) -> None:
    """The records of runs, which `explain` names; older ones do not change any more."""
    with explained(f"{_DOCUMENTS} cannot be copied from {source.uri} to {target.uri}"):
        own, other = (files.filesystem(side.uri, side.options) for side in (source, target))
        held = set(files.listed(other, _DOCUMENTS))
        paths = sorted(files.listed(own, _DOCUMENTS), reverse=True)
        for place, path in enumerate(paths):
            if place < _CHANGING_DOCUMENTS or path not in held:
                _put(other, path, _get(own, path))


def _prove(source: Lake, target: Lake, threads: int, done: Copied) -> None:
    expected = fingerprint(PinnedLake(source, done.versions), threads)
    found = fingerprint(PinnedLake(target, done.versions), threads, verify=True)
    done.fingerprint, done.damaged = expected.lake, found.damaged
    done.is_equal = found.tables == expected.tables and not found.damaged


def _get(store: pafs.FileSystem, path: str) -> bytes:
    with store.open_input_stream(path) as stream:
        data: bytes = stream.read()
        return data


def _put(store: pafs.FileSystem, path: str, data: bytes) -> None:
    # All at once, so that nothing is there where writing fails.
    with store.open_output_stream(path, buffer_size=len(data) + 1) as sink:
        sink.write(data)
