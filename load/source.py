"""What PostgreSQL should hold: the lake's curated partitions, each with a digest of its content."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import polars as pl

from lake import Lake
from lake.digest import frame_digest
from lake.errors import LoadError
from lake.files import DataFile
from lake.fingerprint import digest_of
from lake.snapshot import Snapshot
from lake.tables import BASIS, CANDLES, INSTRUMENTS
from load.ledger import Entry, Key
from load.tables import FEEDS, WHOLE, Feed


class _Known(NamedTuple):
    kind: str
    expiry: date | None


@dataclass(frozen=True, slots=True)
class Partition:
    """Rows of one PostgreSQL table that are replaced together.

    Attributes:
        feed: the table, and how it is fed.
        name: the instrument, or `all`.
        rows: how many.
        expiry: the instrument's expiry date (UTC), None where it has none.
        snapshot: the version of the lake's table that the rows come from.
        files: that hold them.
    """

    feed: Feed
    name: str
    rows: int
    expiry: date | None
    snapshot: Snapshot
    files: tuple[DataFile, ...]

    @property
    def key(self) -> Key:
        """The table's name and the partition's: the key of its row in `lake_loads`."""
        return self.feed.table.name, self.name

    def digest(self) -> str:
        """Return a sha256 of the content; no row is read where one file holds it, written by us.

        Raises:
            LakeError: the lake cannot be read.
        """
        return self._digest(digest_of(self.snapshot, self.files))

    def read(self) -> pl.DataFrame:
        """Return the rows as the lake's table has them, in its order.

        Raises:
            LakeError: the lake cannot be read.
        """
        return self.snapshot.read(partition=self.name if self.feed.source.partition else None)

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows that were read as PostgreSQL should hold them, in its table's order."""
        return self.feed.frame(rows, self.expiry)

    def begins_with(self, rows: pl.DataFrame, entry: Entry) -> bool:
        """Whether this is what an entry of the ledger was loaded from, and more rows after it.

        Args:
            rows: that were read.
            entry: of the ledger.
        """
        if self.feed.kind is None or not 0 < entry.rows < rows.height:
            return False
        before = frame_digest(self.feed.source, rows.head(entry.rows))
        return self._digest(before) == entry.digest

    def _digest(self, content: str) -> str:
        text = f"{self.feed.table.name}\n{content}\n{self.expiry}"
        return hashlib.sha256(text.encode()).hexdigest()


def partitions(lake: Lake) -> list[Partition]:
    """Return all partitions that PostgreSQL should hold, in the order they are loaded.

    Raises:
        LakeError: the lake cannot be read.
        LoadError: the lake has candles or basis of an instrument that it has no record of.
    """
    snapshots = {table.name: lake.snapshot(table) for table in (INSTRUMENTS, CANDLES, BASIS)}
    known = _known(snapshots[INSTRUMENTS.name])
    return [p for feed in FEEDS for p in _of_feed(feed, snapshots[feed.source.name], known)]


def digests(wanted: Iterable[Partition]) -> dict[Key, str]:
    """Return the digest of each partition's content.

    Raises:
        LakeError: the lake cannot be read.
    """
    return {partition.key: partition.digest() for partition in wanted}


def _of_feed(feed: Feed, snapshot: Snapshot, known: dict[str, _Known]) -> Iterator[Partition]:
    if feed.kind is None:
        if snapshot.rows:
            yield Partition(feed, WHOLE, snapshot.rows, None, snapshot, snapshot.files)
        return
    for name, files in sorted(snapshot.by_partition().items()):
        if name not in known:
            raise LoadError(
                f"{snapshot.table.name} has rows of {name}, but instruments has no record of it; "
                "nothing was loaded. Run `basislake instruments`, then load again."
            )
        rows = sum(file.rows for file in files)
        if known[name].kind == feed.kind and rows:
            yield Partition(feed, name, rows, known[name].expiry, snapshot, files)


def _known(instruments: Snapshot) -> dict[str, _Known]:
    rows = instruments.read().select("instrument", "kind", pl.col("expires_at").dt.date())
    return {name: _Known(kind, expiry) for name, kind, expiry in rows.iter_rows()}
