"""Disk or store space of a lake, and how much of it maintenance can free."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from lake.files import parquet
from lake.lake import Lake
from lake.library_errors import explained
from lake.snapshot import LOG, Snapshot

# Unit of `st_blocks` on every file system.
_BLOCK_BYTES = 512
# Name for files directly in the lake's folder.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Disk:
    """Space that a lake uses.

    Attributes:
        used_bytes: all files in the lake's folder, as in `du`; in a store their sizes.
        live_bytes: data files of the current version of the tables.
        replaced_bytes: data files that no table needs any more.
        freed_bytes: replaced files that maintenance would delete now; it deletes the others a day
            after their replacement.
        folders: used_bytes by folder, of tables and others such as `postgres`, the largest first.
    """

    used_bytes: int
    live_bytes: int
    replaced_bytes: int
    freed_bytes: int
    folders: Mapping[str, int] = field(default_factory=dict)


def disk_of(lake: Lake, snapshots: Mapping[str, Snapshot]) -> Disk:
    """Return the space that a lake uses.

    Args:
        lake: on disk or in a store.
        snapshots: newest versions of its tables.

    Raises:
        LakeError: the files cannot be listed.
    """
    folders: dict[str, dict[str, int]] = {}
    with explained(f"the files of the lake at {lake.uri} cannot be listed"):
        for path, size in _local(lake.uri) if lake.is_local else _stored(lake):
            folder, _, below = path.partition("/")
            folders.setdefault(folder if below else OTHER, {})[below or path] = size
    live = replaced = freed = 0
    for name, at in snapshots.items():
        found = folders.get(name, {})
        held = {file.path for file in at.files}
        dead = {path: size for path, size in found.items() if _is_data(path) and path not in held}
        live += sum(found.get(path, 0) for path in held)
        replaced += sum(dead.values())
        freed += sum(dead.get(path, 0) for path in _vacuumed(at)) if dead else 0
    sizes = {folder: sum(found.values()) for folder, found in folders.items()}
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return Disk(sum(sizes.values()), live, replaced, freed, dict(largest))


def _is_data(path: str) -> bool:
    """Whether a file in a table's folder is a data file, even a partial one, and not of its log."""
    return not path.startswith(LOG) and ".parquet" in path


def _vacuumed(at: Snapshot) -> list[str]:
    """The files that `lake.maintenance.maintain` would delete now."""
    if at.delta is None:
        return []
    with explained(f"the files of {at.table.name} cannot be listed at {at.uri}"):
        return at.delta.vacuum(dry_run=True, enforce_retention_duration=False, full=True)


def _local(uri: str) -> Iterator[tuple[str, int]]:
    """Path below the lake, and bytes on the disk, of each file; unreadable folders are skipped."""
    # Strings, not paths: a lake has thousands of files.
    for folder, _, names in os.walk(uri):
        below = folder[len(uri) :].lstrip("/")
        for name in names:
            # It may have been deleted meanwhile.
            with suppress(OSError):
                size = os.lstat(f"{folder}/{name}").st_blocks * _BLOCK_BYTES
                yield f"{below}/{name}" if below else name, size


def _stored(lake: Lake) -> Iterator[tuple[str, int]]:
    for info in parquet.below(parquet.filesystem(lake.uri, lake.options)):
        yield info.path, info.size or 0
