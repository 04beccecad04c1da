"""The plan of a load, computed from the lake's partitions and the database's ledger; pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from lake.table import Table
from load.ledger import Entry, Key
from load.source import Partition
from load.tables import FEEDS

# Partitions that have grown share a transaction, which saves 2 ms of statements for each; but not
# all of them, so that both connections have work.
_TOGETHER = 8


class PartitionJob(NamedTuple):
    """A partition to send.

    Attributes:
        partition: of the lake.
        held: its ledger entry, None if the database has none, or if the load must not rely on it.
    """

    partition: Partition
    held: Entry | None = None

    @property
    def stored(self) -> int:
        """How many of its first rows may be stored already, if it has grown; else 0."""
        held, partition = self.held, self.partition
        has_grown = held is not None and held.is_known and held.rows < partition.rows
        return held.rows if held and has_grown and not partition.feed.view else 0


class Fill(NamedTuple):
    """A table to create, fill and give its keys, in one transaction.

    Attributes:
        table: that does not exist yet.
        jobs: its partitions, at least one.
    """

    table: Table
    jobs: tuple[PartitionJob, ...]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The plan of a load.

    Attributes:
        removed: partitions that the lake no longer has.
        whole: tables in one piece to send, before partitions of other tables that may refer to
            their rows.
        fills: tables to create with their rows, the largest first.
        jobs: partitions to send into existing tables, in the order of the feeds.
        kept: partitions that the database has already.
    """

    removed: tuple[Key, ...] = ()
    whole: tuple[PartitionJob, ...] = ()
    fills: tuple[Fill, ...] = ()
    jobs: tuple[PartitionJob, ...] = ()
    kept: tuple[Key, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether the load has anything to do."""
        return bool(self.removed or self.all_jobs)

    @property
    def all_jobs(self) -> list[PartitionJob]:
        """All partitions to send."""
        return [*self.whole, *(job for fill in self.fills for job in fill.jobs), *self.jobs]

    @property
    def groups(self) -> list[tuple[PartitionJob, ...]]:
        """`jobs` by transaction: some that have grown of one table, or one other."""
        found: list[tuple[PartitionJob, ...]] = [(j,) for j in self.jobs if not j.stored]
        grown = [job for job in self.jobs if job.stored]
        for _, same in groupby(grown, lambda job: job.partition.feed.table.name):
            own = tuple(same)
            found += (own[at : at + _TOGETHER] for at in range(0, len(own), _TOGETHER))
        return found

    @property
    def unchanged(self) -> dict[str, int]:
        """Number of partitions of each table that the database has already."""
        counts = Counter(table for table, _ in self.kept)
        return {feed.table.name: counts[feed.table.name] for feed in FEEDS}


def plan(
    wanted: Sequence[Partition],
    as_loaded: Collection[Key],
    entries: Mapping[Key, Entry],
    absent: Collection[str],
) -> LoadPlan:
    """Compare the lake's partitions with the ledger's entries.

    Args:
        wanted: partitions that the database should have.
        as_loaded: those whose content the ledger's entries were loaded from.
        entries: of the ledger, for existing rows.
        absent: names of our missing tables.
    """
    changed = [PartitionJob(p, entries.get(p.key)) for p in wanted if p.key not in as_loaded]
    whole: list[PartitionJob] = []
    fills: list[Fill] = []
    rest: list[PartitionJob] = []
    for feed in FEEDS:
        own = tuple(job for job in changed if job.partition.feed is feed)
        if not feed.table.partition:
            whole += own
        elif own and feed.table.name in absent:
            fills.append(Fill(feed.table, own))
        else:
            rest += own
    fills.sort(key=lambda fill: -sum(job.partition.rows for job in fill.jobs))
    keys, ours = {partition.key for partition in wanted}, {feed.table.name for feed in FEEDS}
    removed = sorted(key for key in entries if key not in keys and key[0] in ours)
    sent = {job.partition.key for job in changed}
    kept = tuple(partition.key for partition in wanted if partition.key not in sent)
    return LoadPlan(tuple(removed), tuple(whole), tuple(fills), tuple(rest), kept)
