"""What a load tells while it works, and what it comes to."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is, told after every partition that was sent.

    Attributes:
        done: partitions sent so far.
        total: partitions to send.
        rows: sent so far.
        table: of the partition just sent.
        partition: just sent.
    """

    done: int
    total: int
    rows: int
    table: str
    partition: str


def silent(_: Progress) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class TableCounts:
    """What a load did to one table.

    Attributes:
        loaded: partitions sent.
        appended: of these, to how many only new rows were added.
        unchanged: partitions that the database held already.
        removed: partitions that the lake no longer holds.
        rows: sent.
    """

    loaded: int = 0
    appended: int = 0
    unchanged: int = 0
    removed: int = 0
    rows: int = 0


@dataclass(slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        partitions_loaded: sent, because their content was new or changed.
        partitions_appended: of these, to how many only new rows at their end were added.
        partitions_unchanged: not sent, because the database held their content already.
        partitions_removed: deleted, because the lake no longer holds them.
        rows_loaded: rows sent.
        verified: true where the database's own figures of every partition that was sent equal the
            lake's; a load where they do not ends in an error instead. None where nothing was sent,
            for then nothing was compared.
        unchanged_since: when the partitions that were not sent were verified, by the ledger: the
            oldest of these times (UTC); None where all were sent. What was changed in the database
            since then does not show; `compare` reads all of it.
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
