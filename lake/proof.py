"""The proof that a copy of a lake holds the same rows, by fingerprints, and the mending of what it
finds damaged in the copy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake import files
from lake.errors import LakeError
from lake.fingerprint import fingerprint
from lake.guard import explained
from lake.store import Lake
from lake.versions import PinnedLake


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of comparing a copy with its source.

    Attributes:
        is_equal: whether the rows of the copy, all read again, have the fingerprint of the source.
        fingerprint: of the source.
        mended: files of the copy that were damaged, and were copied once more.
        damaged: files of the copy, as `table/path`, that hold other rows than their name says or
            cannot be read, and could not be mended.
        damaged_source: those of the source; looked for where the copy differs.
    """

    is_equal: bool = False
    fingerprint: str = ""
    mended: int = 0
    damaged: tuple[str, ...] = ()
    damaged_source: tuple[str, ...] = ()


def prove(
    source: Lake, target: Lake, versions: Mapping[str, int | None], threads: int
) -> Proof | None:
    """Compare a copy with its source, and copy once more what is damaged in the copy, where the
    source's own is sound. None where the source gave up meanwhile what was copied.

    Args:
        source: that was copied.
        target: the copy.
        versions: of every table, that both hold.
        threads: partitions that are read at once.

    Raises:
        LakeError: a side cannot be read, or the copy cannot be written.
    """
    origin, copied = PinnedLake(source, versions), PinnedLake(target, versions)
    damaged_source: tuple[str, ...] = ()
    try:
        expected = fingerprint(origin, threads)
        found = fingerprint(copied, threads, verify=True)
        if found.damaged or found.tables != expected.tables:
            damaged_source = fingerprint(origin, threads, verify=True).damaged
    except LakeError:
        if _is_overtaken(origin):
            return None
        raise
    if damaged_source and _is_overtaken(origin):
        return None
    again = [path for path in found.damaged if path not in damaged_source]
    if again:
        _mend(source, target, again)
        found = fingerprint(copied, threads, verify=True)
    is_equal = found.tables == expected.tables and not found.damaged
    return Proof(is_equal, expected.lake, len(again), found.damaged, damaged_source)


def _mend(source: Lake, target: Lake, damaged: Iterable[str]) -> None:
    """Copy files, named as `table/path`, once more."""
    with explained(f"damaged files of {target.uri} cannot be copied once more from {source.uri}"):
        own, other = (files.filesystem(side.uri, side.options) for side in (source, target))
        for path in damaged:
            files.put(other, path, files.get(own, path))


def _is_overtaken(origin: Lake) -> bool:
    """Whether files of versions that were just copied were given up."""
    return any(
        bool(snapshot.given_up) or any(f.within for f in snapshot.located(snapshot.files))
        for snapshot in origin.snapshots().values()
    )
