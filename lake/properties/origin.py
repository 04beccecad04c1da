"""The exchange that a lake's raw data came from, a property of its table of instruments. Two
exchanges never share a lake. The first command that writes to the lake sets the property.
"""

from datetime import UTC, datetime

import orjson

from lake.commit import set_lake_properties
from lake.errors import UsageError
from lake.lake import Lake
from lake.properties.table_properties import CLOCK, ORIGIN
from lake.snapshot import Snapshot
from lake.tables import INSTRUMENTS


def check_origin(lake: Lake, origin: str) -> None:
    """Refuse data of an exchange other than the lake's.

    Raises:
        UsageError: the lake holds another exchange's data.
        LakeError: the lake cannot be read.
    """
    _check(lake, lake.snapshot(INSTRUMENTS).origin, origin)


def set_origin(lake: Lake, origin: str, program: str, clock: datetime | None = None) -> None:
    """Record the exchange of the lake's data, before any data is written; a missing lake is
    created.

    Args:
        lake: to be written to.
        origin: the exchange.
        program: name and version, for the lineage.
        clock: of the exchange, if known; stored with the property, see `first_clock`.

    Raises:
        UsageError: the lake holds another exchange's data.
        LakeError: the lake cannot be read or written.
        ConflictError: other writers kept writing the table of instruments.
    """
    properties = {ORIGIN: origin}
    if clock is not None:
        ahead_s = (clock - datetime.now(UTC)).total_seconds()
        properties[CLOCK] = orjson.dumps([clock, ahead_s], option=orjson.OPT_UTC_Z).decode()

    def properties_of(base: Snapshot) -> dict[str, str]:
        _check(lake, base.origin, origin)
        return {} if base.origin else properties

    set_lake_properties(lake, properties_of, program)


def first_clock(lake: Lake) -> tuple[datetime, float] | None:
    """Return the exchange's clock at the time when the origin was recorded, and by how many seconds
    it was ahead of that machine's clock; None if it was not recorded.

    Raises:
        LakeError: the lake cannot be read.
    """
    text = lake.snapshot(INSTRUMENTS).properties.get(CLOCK)
    try:
        seen, ahead_s = orjson.loads(text or "null")
        return datetime.fromisoformat(seen), float(ahead_s)
    except (ValueError, TypeError):
        return None


def _check(lake: Lake, own: str | None, origin: str) -> None:
    if own not in (None, origin):
        raise UsageError(
            f"The lake at {lake.uri} holds data of {own}, but this command uses "
            f"{origin}. Nothing was fetched or changed: two exchanges never share a lake. "
            "Give another folder with --lake, or that exchange's address with --exchange-url and "
            "--history-url."
        )
