"""The version of the tables' shape, marked in each table: what an older or newer basislake made.

A lake without the mark was made before there was one; its tables have the shape of version 1.
"""

from collections.abc import Mapping

from lake.errors import LakeError

VERSION = 1
_MARK = "basislake.schema"
# In the table of instruments only; see `lake.origin`.
ORIGIN = "basislake.exchange"

# Every table is made with these. By default Delta Lake forgets versions after 30 days, and with
# them what rows were made from. And every checkpoint names what went in the last week, for the
# vacuums of other programs, which must not run here: ours reads the commits (`lake.vacuum`).
PROPERTIES = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.deletedFileRetentionDuration": "interval 3 hours",
    _MARK: str(VERSION),
}


def version_of(properties: Mapping[str, str | None]) -> int:
    """Return the version that a table's properties tell; 0 where there is no mark.

    Raises:
        ValueError: the mark is no whole number.
    """
    return int(properties.get(_MARK) or 0)


def lacking(properties: Mapping[str, str | None]) -> dict[str, str]:
    """Return the properties that a table of an older basislake is to be marked with; what it has
    otherwise, since somebody chose so, is left.

    Raises:
        ValueError: the mark is no whole number.
    """
    held = {name for name in properties if name != _MARK or version_of(properties) == VERSION}
    return {name: value for name, value in PROPERTIES.items() if name not in held}


def check(table: str, uri: str, properties: Mapping[str, str | None]) -> None:
    """Refuse a table that a newer basislake made: its rows may mean something else.

    Args:
        table: its name.
        uri: where it is.
        properties: of the table.

    Raises:
        LakeError: the version is not known here.
    """
    mark = properties.get(_MARK)
    if mark is not None and not (mark.isdecimal() and int(mark) <= VERSION):
        raise LakeError(
            f"{table} at {uri} was made by a newer basislake (schema {mark}; this one knows "
            f"{VERSION}). Nothing was changed; install the newer one to use this lake."
        )
