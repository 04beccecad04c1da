"""The schema version of the tables, and the table properties that each table is created with."""

from collections.abc import Mapping

from lake.errors import LakeError

VERSION = 4
_MARK = "basislake.schema"
# Facts about the whole lake are properties of the table of instruments; see
# `lake.properties.origin` and `lake.properties.scope`. A copy of a lake has the same properties.
ORIGIN = "basislake.exchange"
CLOCK = "basislake.clock"
SCOPE = "basislake.scope"
OF_THE_LAKE = (ORIGIN, CLOCK, SCOPE)

# How long deleted files stay for readers that opened them, and commits in the log. Nothing else
# needs them for longer: the rows themselves record what was known when. A table gets the properties
# below when it is created, so a new value does not change existing lakes, except for half-written
# files and the least `--older-than` of `maintain`.
KEPT_HOURS = 24
# Each commit since the last checkpoint adds half a millisecond to the opening of the table; a
# checkpoint costs some milliseconds.
_CHECKPOINT_EVERY_COMMITS = 10

PROPERTIES = {
    "delta.checkpointInterval": str(_CHECKPOINT_EVERY_COMMITS),
    "delta.deletedFileRetentionDuration": f"interval {KEPT_HOURS} hours",
    "delta.logRetentionDuration": f"interval {KEPT_HOURS} hours",
    _MARK: str(VERSION),
}


def check(table: str, uri: str, properties: Mapping[str, str | None]) -> None:
    """Refuse a table with another schema version: its rows may have another meaning.

    Raises:
        LakeError: an earlier or a newer basislake wrote the table.
    """
    mark = properties.get(_MARK)
    version = int(mark) if mark and mark.isdecimal() else 0
    if (mark and version > VERSION) or (mark and not version):
        raise LakeError(
            f"{table} at {uri} was written by a newer basislake (schema {mark}; this version reads "
            f"{VERSION}). Nothing was changed. Install the newer version to use this lake."
        )
    if version < VERSION:
        raise LakeError(
            f"{table} at {uri} was written by an earlier basislake and lacks columns that this "
            "version needs. Nothing was changed. Fetch the data again into another folder: "
            "`basislake run --lake ANOTHER`."
        )
