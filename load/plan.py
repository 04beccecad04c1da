"""What a load has to do, worked out from the lake's partitions and the database's ledger; pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lake.table import Table
from load.ledger import Entry, Key
from load.source import Partition
from load.tables import FEEDS


class Job(NamedTuple):
    """A partition to be sent.

    Attributes:
        partition: of the lake.
        digest: of its content.
        held: what the database holds of it by its ledger, None where it holds nothing, or where
            that is not to be built upon.
    """

    partition: Partition
    digest: str
    held: Entry | None = None


class Fill(NamedTuple):
    """A table to be made, filled and given its keys, in one transaction.

    Attributes:
        table: that is not there yet.
        jobs: its partitions, at least one.
    """

    table: Table
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load has to do.

    Attributes:
        removed: partitions that the lake no longer holds.
        whole: tables in one piece to be sent, before any partition of another that may refer to
            their rows.
        fills: tables to be made with their rows, the largest first.
        jobs: partitions to be sent into tables that are there, in the order of the feeds.
        kept: partitions that the database holds already.
    """

    removed: tuple[Key, ...] = ()
    whole: tuple[Job, ...] = ()
    fills: tuple[Fill, ...] = ()
    jobs: tuple[Job, ...] = ()
    kept: tuple[Key, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether anything has to be done."""
        return bool(self.removed or self.all_jobs)

    @property
    def all_jobs(self) -> list[Job]:
        """All partitions to be sent."""
        return [*self.whole, *(job for fill in self.fills for job in fill.jobs), *self.jobs]

    @property
    def unchanged(self) -> dict[str, int]:
        """How many partitions of each table the database holds already."""
        counts = Counter(table for table, _ in self.kept)
        return {feed.table.name: counts[feed.table.name] for feed in FEEDS}


def plan(
    wanted: Sequence[Partition],
    digests: Mapping[Key, str],
    entries: Mapping[Key, Entry],
    absent: Collection[str],
) -> Plan:
    """Compare the lake's partitions with the ledger's entries.

    Args:
        wanted: partitions that the database should hold.
        digests: of the content of each of them.
        entries: of the ledger, of rows that are there.
        absent: names of our tables that are not there.
    """
    jobs = [Job(p, digests[p.key], entries.get(p.key)) for p in wanted]
    changed = [job for job in jobs if job.held is None or job.held.digest != job.digest]
    whole: list[Job] = []
    fills: list[Fill] = []
    rest: list[Job] = []
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
    return Plan(tuple(removed), tuple(whole), tuple(fills), tuple(rest), kept)
