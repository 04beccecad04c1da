"""The deletion guard: refuses a load that would delete rows because a table of the lake is missing,
or because the lake is another one. It permits rows that a build removed from curated tables: a lake
never loses raw candles or records of instruments.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from lake import Lake
from lake.errors import LoadError
from lake.tables import INSTRUMENTS, RAW_CANDLES
from load.ledger import Key
from load.tables import FEEDS, WHOLE, instrument_of

_NAMED = 3
_SOURCES = {feed.table.name: feed.source.name for feed in FEEDS}


class LakeContent(NamedTuple):
    """The content of a lake.

    Attributes:
        tables: existing tables, by name.
        instruments: that have a record.
        fetched: instruments with raw candles; None if the table does not exist.
    """

    tables: Collection[str]
    instruments: Collection[str]
    fetched: Collection[str] | None


def holdings(lake: Lake) -> LakeContent:
    """Return the content of a lake.

    Raises:
        LakeError: the lake cannot be read.
    """
    there = {
        n: snapshot for n, snapshot in lake.snapshots().items() if snapshot.version is not None
    }
    raw = there.get(RAW_CANDLES.name)
    known = lake.read(INSTRUMENTS)["instrument"].to_list()
    return LakeContent(set(there), set(known), None if raw is None else set(raw.by_partition()))


def reason_against(deleted: Iterable[Key], has: LakeContent) -> str | None:
    """Return why a database should not lose some partitions; None if it should; pure.

    Args:
        deleted: partitions in the database that the lake does not have.
        has: the content of the lake.
    """
    gone = list(deleted)
    lost = sorted({_SOURCES[table] for table, _ in gone} - set(has.tables))
    if lost:
        return (
            f"The lake has no table {', '.join(lost)}, which was loaded before. Check the lake's "
            "address; `basislake build` builds curated tables again. To empty the database, drop "
            "its tables"
        )
    foreign = sorted(
        {instrument_of(name) for _, name in gone if name != WHOLE and _is_foreign(name, has)}
    )
    if foreign:
        more = ", ..." if len(foreign) > _NAMED else ""
        return (
            f"The database was loaded from another lake: it has {', '.join(foreign[:_NAMED])}{more}"
            ", for which this lake has no raw candle, and a lake never loses raw candles. Check "
            "the lake's address, load into another database or --schema, or drop the tables first"
        )
    return None


def check(lake: Lake, shown: str, deleted: Collection[Key]) -> None:
    """Refuse to delete rows from a database that the lake itself never deleted.

    Args:
        lake: to load from.
        shown: address of the database, without a password.
        deleted: partitions in the database that the lake does not have.

    Raises:
        LoadError: the load is refused; nothing was changed.
        LakeError: the lake cannot be read.
    """
    why = reason_against(deleted, holdings(lake)) if deleted else None
    if why:
        raise LoadError(f"Nothing was loaded from the lake at {lake.uri} into {shown}. {why}.")


def _is_foreign(name: str, has: LakeContent) -> bool:
    instrument = instrument_of(name)
    is_known = instrument in has.instruments
    return not is_known or (has.fetched is not None and instrument not in has.fetched)
