"""What a load tells while it works, and what it comes to."""

from dataclasses import dataclass, field


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
        verified: whether the database's own figures of all that was sent equal the lake's; a load
            where they do not ends in an error instead.
        seconds: from start to the last commit.
        tables: the same counts, by table.
    """

    partitions_loaded: int = 0
    partitions_appended: int = 0
    partitions_unchanged: int = 0
    partitions_removed: int = 0
    rows_loaded: int = 0
    verified: bool = False
    seconds: float = 0.0
    tables: dict[str, TableCounts] = field(default_factory=dict)
