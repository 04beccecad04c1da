"""Keeps a lake in shape: marks of older tables, checkpoints of long logs; no row changes."""

from lake import files, log, schema
from lake.actions import LOG
from lake.guard import explained
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import TABLES
from lake.transaction import mark

# Opening a table reads the commits since its last checkpoint, each of which is a request in an
# object store. The library writes a checkpoint itself after 100.
_MOST_COMMITS = 10


def outdated(lake: Lake) -> list[str]:
    """Return the tables that an older basislake made: their schema is older, or they lack one of
    the properties that tables are made with now.

    Raises:
        LakeError: a table cannot be read, or a newer basislake made it.
    """
    return [name for name, snapshot in lake.snapshots().items() if _lacking(snapshot)]


def upgrade(lake: Lake, program: str) -> list[str]:
    """Bring tables that an older basislake made to the schema and the properties of this one;
    return their names.

    Version 0, without a mark, has the shape of version 1: its tables get the mark. A property that
    somebody set otherwise stays.

    Args:
        lake: to bring up to date.
        program: name and version, for the lineage.

    Raises:
        LakeError: a table cannot be read or written, or a newer basislake made it.
        ConflictError: another writer was faster; run it again.
    """
    names = outdated(lake)
    for name in names:
        snapshot = lake.snapshot(TABLES[name])
        lacking = _lacking(snapshot)
        told = {"program": program, log.UPKEEP: f"marked with {', '.join(sorted(lacking))}"}
        mark(snapshot, lacking, told)
    return names


def checkpoint(lake: Lake) -> list[str]:
    """Write a checkpoint of every table whose log grew long since the last; return their names.

    Earlier versions stay readable, for no commit is removed from a log.

    Raises:
        LakeError: the store cannot be read or written.
    """
    written = []
    for name, snapshot in lake.snapshots().items():
        if snapshot.version is None:
            continue
        with explained(f"no checkpoint of {name} can be written at {snapshot.uri}"):
            if snapshot.version - _last_checkpoint(snapshot) >= _MOST_COMMITS:
                snapshot.opened.create_checkpoint()
                written.append(name)
    return written


def _lacking(snapshot: Snapshot) -> dict[str, str]:
    """The properties that a table is to be marked with, none where it does not exist."""
    if snapshot.version is None:
        return {}
    return schema.lacking(snapshot.opened.metadata().configuration)


def _last_checkpoint(snapshot: Snapshot) -> int:
    """The version of the newest checkpoint, 0 where there is none."""
    store = files.filesystem(snapshot.uri, snapshot.options)
    names = (path.rpartition("/")[2] for path in files.listed(store, LOG))
    stems = (name.partition(".")[0] for name in names if ".checkpoint." in name)
    return max((int(stem) for stem in stems if stem.isdecimal()), default=0)
