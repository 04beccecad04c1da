"""The scope of a lake, i.e. what it is meant to contain: a property of its table of instruments.

So every machine that opens the lake sees the same scope, a backup contains it, and reading it is
free if the table is open. `ingest.plan.scope` defines the meaning of its words.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from lake.commit import set_lake_properties
from lake.errors import LakeError
from lake.lake import Lake
from lake.properties.table_properties import SCOPE
from lake.snapshot import Snapshot
from lake.tables import INSTRUMENTS


def stored(lake: Lake) -> dict[str, Any]:
    """Return the stored scope; empty if the lake is meant to contain everything.

    Raises:
        LakeError: the lake cannot be read, or its scope is malformed.
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
    """Store the scope; a missing lake is created.

    Args:
        lake: to write to.
        scope: plain values; empty for everything.
        program: name and version, for the lineage.

    Raises:
        ConflictError: other writers kept writing the table of instruments; the scope is unchanged.
        LakeError: the lake cannot be written; the scope is unchanged.
    """
    text = orjson.dumps(scope, option=orjson.OPT_UTC_Z).decode()

    def properties_of(base: Snapshot) -> dict[str, str]:
        return {} if base.properties.get(SCOPE, "{}") == text else {SCOPE: text}

    set_lake_properties(lake, properties_of, program)
