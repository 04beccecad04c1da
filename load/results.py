"""The results of a load: its progress and its figures."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """Progress of a load, reported after every sent partition.

    Attributes:
        done: partitions sent so far.
        total: partitions to send.
        rows: sent so far.
        table: of the last sent partition.
        partition: sent last.
    """

    done: int
    total: int
    rows: int
    table: str
    partition: str


def silent(_: LoadProgress) -> None:
    """Report nothing."""


@dataclass(slots=True)
class TableCounts:
    """The figures of a load for one table.

    Attributes:
        loaded: partitions sent.
        appended: of these, the number that got only new rows.
        unchanged: partitions that the database had already.
        removed: partitions that the lake no longer has.
        rows: sent.
    """

    loaded: int = 0
    appended: int = 0
    unchanged: int = 0
    removed: int = 0
    rows: int = 0


@dataclass(slots=True)
class LoadResult:
    """The result of a load.

    Attributes:
        partitions_loaded: sent, because their content was new or changed.
        partitions_appended: of these, the number that got only new rows at their end.
        partitions_unchanged: not sent, because the database had their content already.
        partitions_removed: deleted, because the lake no longer has them.
        rows_loaded: rows sent.
        verified: true if the database's own figures of every sent partition equal the lake's; if
            they differ, the load ends in an error instead. None if nothing was sent, and so
            nothing was compared.
        unchanged_since: the oldest time, by the ledger, at which partitions that were not sent were
            verified (UTC); None if all were sent. Later changes in the database are not detected;
            `compare` reads everything.
        seconds: from start to the last commit.
        tables: the same counts, by table.
    """

    partitions_loaded: int = 0
    partitions_appended: int = 0
    partitions_unchanged: int = 0
    partitions_removed: int = 0
    rows_loaded: int = 0
    verified: bool | None = None
    unchanged_since: datetime | None = None
    seconds: float = 0.0
    tables: dict[str, TableCounts] = field(default_factory=dict)
