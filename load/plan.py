"""What a load has to do, worked out from the lake's partitions and the database's ledger; pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lake.tables import Table
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
        fills: tables to be made with their rows, the largest first.
        jobs: partitions to be sent into tables that are there, in the order of the feeds.
        withdrawn: partitions that the lake no longer holds.
        unchanged: how many partitions of each table the database holds already.
    """

    fills: tuple[Fill, ...] = ()
    jobs: tuple[Job, ...] = ()
    withdrawn: tuple[Key, ...] = ()
    unchanged: dict[str, int] = field(default_factory=dict)

    @property
    def all_jobs(self) -> list[Job]:
        """All partitions to be sent."""
        return [*(job for fill in self.fills for job in fill.jobs), *self.jobs]


def plan(
    wanted: Iterable[Partition],
    digests: Mapping[Key, str],
    entries: Mapping[Key, Entry],
    absent: Collection[str],
    *,
    full: bool = False,
) -> Plan:
    """Compare the lake's partitions with the ledger's entries.

    Args:
        wanted: partitions that the database should hold.
        digests: of the content of each of them.
        entries: of the ledger, of rows that are there.
        absent: names of our tables that are not there.
        full: send everything, whatever the ledger says.
    """
    jobs = [Job(p, digests[p.key], None if full else entries.get(p.key)) for p in wanted]
    keys = {job.partition.key for job in jobs}
    changed = [job for job in jobs if job.held is None or job.held.digest != job.digest]
    fills: list[Fill] = []
    rest: list[Job] = []
    for feed in FEEDS:
        own = tuple(job for job in changed if job.partition.feed is feed)
        if own and feed.table.name in absent and feed.table.partition:
            fills.append(Fill(feed.table, own))
        else:
            rest += own
    fills.sort(key=lambda fill: -sum(job.partition.rows for job in fill.jobs))
    counts = dict.fromkeys((feed.table.name for feed in FEEDS), 0)
    for job in jobs:
        counts[job.partition.key[0]] += 1
    for job in changed:
        counts[job.partition.key[0]] -= 1
    withdrawn = sorted(key for key in entries if key not in keys and key[0] in counts)
    return Plan(tuple(fills), tuple(rest), tuple(withdrawn), counts)
