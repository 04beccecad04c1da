"""A lake copied to another folder or store, with every version: commit by commit, data first.

The copy is a lake when it is done, as the source was at some moment. Copying again goes on from
there, so a copy that was killed is finished, and an old one is brought up to date. A kill among the
commits of a table can leave its newest version there without files that the source has given up,
until the copy is finished. Where files are gone because the source gave them up meanwhile
(`lake.retention`), what is left to copy is planned anew, up to the commit that says so: the copy
then knows them as given up, too.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pyarrow.fs as pafs

from lake import files
from lake.actions import commit_files, read_actions
from lake.errors import LakeError
from lake.guard import explained
from lake.log_writer import LogWriter, reserved_for
from lake.overlap import check_apart
from lake.past import given_up
from lake.proof import Proof, prove
from lake.store import Lake
from lake.tables import COVERAGE, CURATED, INSTRUMENTS, RAW_CANDLES, Table
from lake.upkeep import checkpoint

# A table is made from those before it, so its commits are copied after theirs, and which of them to
# copy is settled before theirs.
_ORDER = (INSTRUMENTS, RAW_CANDLES, COVERAGE, *CURATED)

# A file is held in memory while it is copied, 40 MB for the largest.
_COPIES_AT_ONCE = 4
_DOCUMENTS = "runs"
_CHANGING_DOCUMENTS = 20

# A plan is made anew only where the source gave something up, which `follow` does once an hour.
MOST_PLANS = 50


@dataclass(slots=True)
class Copied:
    """What was copied.

    Attributes:
        versions: of each table, that both sides hold now; None where there is none.
        files: of data, copied.
        bytes: in them.
        held: files of data that the copy held already when this began.
        proof: that both sides hold the same rows then.
    """

    versions: dict[str, int | None] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    held: int = 0
    proof: Proof = field(default_factory=Proof)

    @property
    def is_equal(self) -> bool:
        """Whether the copy is proven."""
        return self.proof.is_equal


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


@dataclass(frozen=True, slots=True)
class _Step:
    """A table's files that are to be copied, with their sizes in bytes, and then its commits."""

    share: _Share
    lacking: Mapping[str, int]
    held: int


def copy(
    source: Lake,
    target: Lake,
    threads: int,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    most_plans: int = MOST_PLANS,
) -> Copied:
    """Copy a lake, or what it holds more than its copy, and prove the copy by its fingerprint. What
    the proof finds damaged in the copy is copied once more, where the source's own is sound.

    Others may write to the source meanwhile; what they commit is left to the next time, unless they
    give up what is still to be copied.

    Args:
        source: to copy from.
        target: a place that holds nothing, or an earlier copy.
        threads: partitions that are read at once for the proof.
        report: told how many of how many files are copied.
        most_plans: how often what is left to copy may be planned.

    Raises:
        UsageError: the places overlap (`lake.overlap`); nothing was copied.
        ConflictError: another writer committed to the target meanwhile; its commit stays.
        LakeError: a side cannot be read or written, the target holds something else, or the source
            gives up faster than it is copied. What was copied stays, and copying again goes on from
            there.
    """
    check_apart(source, target)
    plan = _planned(source, target)
    done = Copied(held=sum(step.held for step in plan))
    for _ in range(most_plans):
        if _carried_out(plan, source, target, done, report):
            _copy_documents(source, target)
            checkpoint(target)
            if proof := prove(source, target, done.versions, threads):
                done.proof = proof
                return done
        plan = _planned(source, target)
    raise LakeError(
        f"{source.uri} gave up files while they were copied to {target.uri}, again and again "
        f"(plans made: {most_plans}). What was copied stays; run the command again, best while "
        "nothing builds there."
    )


def _planned(source: Lake, target: Lake) -> list[_Step]:
    """The steps of a copy as the source is now, in order."""
    shares = [_share(source, target, table) for table in reversed(_ORDER)]
    return [_step(share) for share in reversed(shares)]


def _carried_out(
    plan: list[_Step],
    source: Lake,
    target: Lake,
    done: Copied,
    report: Callable[[int, int], None],
) -> bool:
    """Whether all steps were done; a step is left where the source gave up files of it."""
    wanted = done.held + done.files + sum(len(step.lacking) for step in plan)
    for step in plan:
        share = step.share
        with explained(f"{share.table.name} cannot be copied from {source.uri} to {target.uri}"):
            absent = _data(step, done, lambda: report(done.held + done.files, wanted))
            if absent:
                _check_given_up(share, absent)
                return False
            log = LogWriter(share.table, f"{target.uri}/{share.table.name}", target.options)
            for version, path in share.new.items():
                log.put(version, path, files.get(share.source, path))
        done.versions[share.table.name] = share.version
    return True


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
    held = files.filesystem(uri, target.options)
    newest = max(known, default=None)
    if newest is not None and reserved_for(files.get(held, known[newest])):
        del known[newest]
    share = _Share(table, store, held, commits, known)
    _check_copy(share, target)
    return share


def _check_copy(share: _Share, target: Lake) -> None:
    """Refuse a target that is no earlier copy."""
    newest = max(share.known, default=-1)
    is_alike = set(share.known) <= set(share.commits) and len(share.known) == newest + 1
    for version in {0, newest} if share.known and is_alike else ():
        path = share.commits[version]
        is_alike = is_alike and files.get(share.source, path) == files.get(share.target, path)
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


def _step(share: _Share) -> _Step:
    with explained(f"it cannot be told which files of {share.table.name} are to be copied"):
        sizes = _listed(share)
        held = {info.path: info.size for info in files.below(share.target)} if sizes else {}
    lacking = {path: size for path, size in sizes.items() if held.get(path) != size}
    return _Step(share, lacking, len(sizes) - len(lacking))


def _data(step: _Step, done: Copied, report: Callable[[], None]) -> list[str]:
    """Copy the files of a step, and return those that the source has not got."""
    absent = []
    with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
        found = pool.map(lambda file: _is_copied(step.share, *file), step.lacking.items())
        for (path, size), is_copied in zip(step.lacking.items(), found, strict=True):
            if not is_copied:
                absent.append(path)
                continue
            done.files += 1
            done.bytes += size
            report()
    return absent


def _is_copied(share: _Share, path: str, size: int) -> bool:
    try:
        data = files.get(share.source, path)
    except FileNotFoundError:
        return False
    if len(data) != size:
        raise LakeError(
            f"{share.table.name}/{path} has {len(data):,} bytes where its commit says {size:,}; "
            "the source is damaged. What was copied before stays."
        )
    files.put(share.target, path, data)
    return True


def _check_given_up(share: _Share, absent: list[str]) -> None:
    """Refuse a source that has not got files of which its commits up to now say that it has."""
    sizes = _listed(replace(share, commits=commit_files(share.source)))
    for path in absent:
        if path in sizes:
            raise LakeError(
                f"{share.table.name}/{path} is not there, and was not given up; the source is "
                "damaged. What was copied before stays."
            )


def _copy_documents(source: Lake, target: Lake) -> None:
    """The records of runs, which `explain` names; older ones do not change any more."""
    with explained(f"{_DOCUMENTS} cannot be copied from {source.uri} to {target.uri}"):
        own, other = (files.filesystem(side.uri, side.options) for side in (source, target))
        held = set(files.listed(other, _DOCUMENTS))
        paths = sorted(files.listed(own, _DOCUMENTS), reverse=True)
        for place, path in enumerate(paths):
            if place < _CHANGING_DOCUMENTS or path not in held:
                files.put(other, path, files.get(own, path))
