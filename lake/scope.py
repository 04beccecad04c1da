"""What a lake is meant to hold, as a property of its table of instruments.

So every machine that opens the lake sees the same scope, a backup carries it, and reading it costs
nothing where the table is open. What the words in it mean is known to `ingest.scope`.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from lake.errors import LakeError
from lake.schema import SCOPE
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import INSTRUMENTS
from lake.transaction import mark_lake


def stored(lake: Lake) -> dict[str, Any]:
    """Return the scope as it was stored; empty where the lake is to hold everything.

    Raises:
        LakeError: the lake cannot be read, or the scope in it is not readable.
    """
    text = lake.snapshot(INSTRUMENTS).properties.get(SCOPE) or "{}"
    try:
        found = orjson.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LakeError(
            f"The scope of the lake at {lake.uri} cannot be read: {text[:100]!r}. No candle is "
            "affected. `basislake scope --all` sets the scope to everything."
        )
    return found


def store(lake: Lake, scope: Mapping[str, Any], program: str) -> None:
    """Store the scope; the lake is made where there is none.

    Args:
        lake: whose scope it is.
        scope: plain values; empty for everything.
        program: name and version, for the lineage.

    Raises:
        ConflictError: others kept writing the table of instruments; the scope is as it was.
        LakeError: the lake cannot be written; the scope is as it was.
    """
    text = orjson.dumps(scope, option=orjson.OPT_UTC_Z).decode()

    def marks_of(base: Snapshot) -> dict[str, str]:
        return {} if base.properties.get(SCOPE, "{}") == text else {SCOPE: text}

    mark_lake(lake, marks_of, program)
