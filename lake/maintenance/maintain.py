"""Maintenance of a lake: compacts small files, and deletes replaced files and old logs."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from lake.errors import UsageError
from lake.lake import Lake
from lake.library_errors import explained
from lake.location.urls import is_local
from lake.maintenance.compaction import Compacted, compact, planned
from lake.properties.table_properties import KEPT_HOURS

_HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Maintained:
    """Result of maintenance, or its plan.

    Attributes:
        compacted: what the compaction did.
        removed: files that no reader needs, by table.
    """

    compacted: Compacted
    removed: dict[str, int] = field(default_factory=dict)


def maintain(
    lake: Lake,
    program: str,
    keep: timedelta | None = None,
    *,
    unsafe: bool = False,
    dry: bool = False,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Maintained:
    """Compact, delete files that were replaced or never committed, and shorten logs.

    Safe next to writers and readers: the files that they need are younger than `keep`.

    Args:
        lake: to maintain.
        program: name and version, for the log.
        keep: how long replaced and uncommitted files stay; default: as the tables declare, a day.
        unsafe: permit less than a day; a running build, or a reader, may lose files.
        dry: change nothing, and return the plan.
        report: called with the number of finished groups of files and of all groups.

    Raises:
        UsageError: the time is not safe; nothing was changed.
        LakeError: the store cannot be read or written.
        ConflictError: other writers kept replacing the same files.
    """
    if keep is not None and keep < KEPT_HOURS * _HOUR and not unsafe:
        raise UsageError(
            f"Files younger than {KEPT_HOURS} hours may belong to a writer that has not committed "
            "yet, or to a running reader. Nothing was deleted. If no other command uses this lake, "
            "--unsafe deletes them."
        )
    done = Maintained(planned(lake) if dry else compact(lake, program, report))
    for name, snapshot in lake.snapshots().items():
        if snapshot.delta is None:
            continue
        with explained(f"old files of {name} cannot be deleted at {snapshot.uri}"):
            gone = snapshot.delta.vacuum(
                retention_hours=None if keep is None else int(keep / _HOUR),
                dry_run=dry,
                enforce_retention_duration=False,
                full=True,
            )
            if not dry:
                snapshot.delta.create_checkpoint()
                snapshot.delta.cleanup_metadata()
            halves = _half_written(snapshot.uri, KEPT_HOURS * _HOUR if keep is None else keep)
            for path in [] if dry else halves:
                path.unlink(missing_ok=True)
        done.removed[name] = len(gone) + len(halves)
    return done


def _half_written(table_uri: str, keep: timedelta) -> list[Path]:
    """Partial files of killed writers on this machine's disk: the library writes under temporary
    names, renames complete files, and never lists the others.
    """
    if not is_local(table_uri):
        return []
    until_s = time.time() - keep.total_seconds()
    found = []
    for path in Path(table_uri).rglob("*.parquet#*"):
        # A running writer may have renamed it meanwhile.
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= until_s:
                found.append(path)
    return found
