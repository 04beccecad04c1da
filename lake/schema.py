"""The version of the tables' shape, marked in each table, and what each is made with besides."""

from collections.abc import Mapping

from lake.errors import LakeError

VERSION = 4
_MARK = "basislake.schema"
# Facts about the whole lake are properties of the table of instruments; see `lake.origin` and
# `lake.scope`. A copy of a lake has the same.
ORIGIN = "basislake.exchange"
CLOCK = "basislake.clock"
SCOPE = "basislake.scope"
OF_THE_LAKE = (ORIGIN, CLOCK, SCOPE)

# A reader keeps the files that it has opened for so long, and a commit stays in the log. Nothing in
# the lake needs either for longer: what was known when is in the rows.
KEPT_HOURS = 24
# Each commit that no checkpoint holds yet costs whoever opens the table half a millisecond; a
# checkpoint costs some milliseconds.
_CHECKPOINT_EVERY_COMMITS = 10

PROPERTIES = {
    "delta.checkpointInterval": str(_CHECKPOINT_EVERY_COMMITS),
    "delta.deletedFileRetentionDuration": f"interval {KEPT_HOURS} hours",
    "delta.logRetentionDuration": f"interval {KEPT_HOURS} hours",
    _MARK: str(VERSION),
}


def check(table: str, uri: str, properties: Mapping[str, str | None]) -> None:
    """Refuse a table of another shape: its rows may mean something else.

    Args:
        table: its name.
        uri: where it is.
        properties: of the table.

    Raises:
        LakeError: it was made by an earlier basislake, or by a newer one.
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
