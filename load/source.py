"""The source of a load: the lake's curated slices, and whether the ledger has their content."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import polars as pl

from lake import Lake
from lake.errors import LoadError
from lake.files.content_hash import frame_digest, in_order
from lake.files.slices import Slice, slices
from lake.snapshot import Snapshot
from lake.state import State
from lake.table import BATCH
from lake.tables import CURATED, INSTRUMENTS
from load import carry_daily
from load.ledger import Entry, Key
from load.tables import FEEDS, WHOLE, Feed


class _Known(NamedTuple):
    kind: str
    expiry: date | None


@dataclass(frozen=True, slots=True)
class Partition:
    """Rows of one PostgreSQL table that are replaced together.

    Attributes:
        feed: the declaration of the table and its source.
        name: the instrument and the month, as `BTC-PERPETUAL/2024-05`, or `all`.
        rows: number of rows.
        expiry: the instrument's expiry date (UTC), None where it has none.
        snapshot: the version of the lake's table with the rows.
        batch: the newest batch that the table was built from.
        slice: of the rows; None for a table in one piece.
    """

    feed: Feed
    name: str
    rows: int
    expiry: date | None
    snapshot: Snapshot
    batch: int
    slice: Slice | None = None

    @property
    def key(self) -> Key:
        """The names of table and partition: the key of its row in `lake_loads`."""
        return self.feed.table.name, self.name

    @property
    def instrument(self) -> str:
        """The instrument of the rows, or `all`."""
        return self.slice.instrument if self.slice else self.name

    def digest(self, rows: pl.DataFrame | None = None) -> str:
        """Return a sha256 of the content; if one file of basislake has it, no row is needed.

        Args:
            rows: of the partition, where they have been read already.

        Raises:
            LakeError: the lake cannot be read.
        """
        known = self.slice.known_digest if self.slice else None
        if known is None:
            known = frame_digest(self.feed.source, self.read() if rows is None else rows)
        return self._digest(known)

    def is_as_loaded(self, entry: Entry) -> bool:
        """Whether an entry of the ledger was loaded from this content; rows are read only if there
        are as many, in several files.
        """
        return entry.rows == self.rows and entry.digest == self.digest()

    def read(self) -> pl.DataFrame:
        """Return the rows of the lake's table, in the order of the source.

        Raises:
            LakeError: the lake cannot be read.
        """
        if self.slice:
            return self.slice.read()
        return in_order(self.feed.source, self.snapshot.read())

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the given lake rows as rows of PostgreSQL, in its table's order."""
        return self.feed.frame(rows, self.expiry)

    def begins_with(self, rows: pl.DataFrame, entry: Entry) -> bool:
        """Whether the first rows are those that an entry of the ledger was loaded from.

        Args:
            rows: of the partition.
            entry: of the ledger, loaded from fewer rows.
        """
        before = frame_digest(self.feed.source, rows.head(entry.rows))
        return self._digest(before) == entry.digest

    def _digest(self, content: str) -> str:
        text = f"{self.feed.table.name}\n{content}\n{self.expiry}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Daily(Partition):
    """All rows of the view `carry_daily`.

    Attributes:
        still: the lake.
        candles: the slices of its candles.
    """

    still: State = field(kw_only=True)
    candles: tuple[Slice, ...] = field(kw_only=True)

    def digest(self, rows: pl.DataFrame | None = None) -> str:  # noqa: ARG002
        """Return a sha256 of what the rows are worked out from; see `load.carry_daily`."""
        return self._digest(carry_daily.inputs_digest(self.still, self.candles))

    def read(self) -> pl.DataFrame:
        """Return the rows, as the view has them."""
        return carry_daily.read(self.still)


def partitions(lake: Lake) -> list[Partition]:
    """Return all partitions that PostgreSQL should have, in the order of loading.

    Raises:
        LakeError: the lake cannot be read.
        LoadError: the lake has candles or basis of an instrument without a record.
    """
    still = lake.state()
    names = {feed.source.name for feed in FEEDS}
    snapshots = still.snapshots(names)
    known = _known(snapshots[INSTRUMENTS.name])
    batch = still.built_as_of()
    found = [
        p
        for feed in FEEDS
        if not feed.view
        for p in _of_feed(feed, snapshots[feed.source.name], known, batch)
    ]
    futures = {name for name, instrument in known.items() if instrument.kind == "future"}
    for feed in FEEDS:
        if feed.view and (rows := carry_daily.count(still, futures)):
            at = snapshots[feed.source.name]
            own = tuple(p.slice for p in found if p.slice and p.snapshot is at)
            found.append(Daily(feed, WHOLE, rows, None, at, batch, still=still, candles=own))
    return found


def as_loaded(wanted: Iterable[Partition], entries: Mapping[Key, Entry]) -> set[Key]:
    """Return the partitions whose content the ledger's entries were loaded from.

    Raises:
        LakeError: the lake cannot be read.
    """
    return {p.key for p in wanted if p.key in entries and p.is_as_loaded(entries[p.key])}


def _of_feed(
    feed: Feed, snapshot: Snapshot, known: dict[str, _Known], batch: int
) -> Iterator[Partition]:
    if feed.kind is None:
        if snapshot.rows:
            newest = batch if snapshot.table in CURATED else snapshot.counter(BATCH)
            yield Partition(feed, WHOLE, snapshot.rows, None, snapshot, newest)
        return
    for own in slices(snapshot):
        name = own.instrument
        if name not in known:
            raise LoadError(
                f"{snapshot.table.name} has rows of {name}, but the table instruments has no "
                "record of it. Nothing was loaded. Run `basislake instruments`, then load again."
            )
        if known[name].kind == feed.kind and (rows := own.count()):
            yield Partition(feed, own.name, rows, known[name].expiry, snapshot, batch, own)


def _known(instruments: Snapshot) -> dict[str, _Known]:
    rows = instruments.read().select("instrument", "kind", pl.col("expires_at").dt.date())
    return {name: _Known(kind, expiry) for name, kind, expiry in rows.iter_rows()}
