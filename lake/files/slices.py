"""Slices: the rows of one instrument in one calendar month (UTC), the unit in which builds write,
compare and load curated rows.

A build writes files of one slice each. If another program compacts files, a slice is a part of each
of its files.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from lake.files.content_hash import frame_digest, in_order
from lake.files.parquet import DataFile
from lake.files.sorted_rows import read_rows
from lake.snapshot import Snapshot
from lake.time.intervals import MINUTE, Span

_FIRST, _END = datetime(2016, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
# Longer than any month, and shorter than any two.
_LONGEST = timedelta(days=32)


def month_of(time: datetime) -> datetime:
    """The first instant of the month that contains a time."""
    return time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_span(month: datetime) -> Span:
    """A month, by its first instant."""
    return Span(month, month_of(month + _LONGEST))


def months_in(span: Span) -> Iterator[datetime]:
    """The months that share an instant with a span."""
    month = month_of(span.start)
    while month < span.end:
        yield month
        month = month_span(month).end


def split(
    ts: pl.Series, firsts: Callable[[Span], Iterable[datetime]]
) -> Iterator[tuple[datetime, slice]]:
    """Yield the first instant of each part that has some of the sorted times, and their positions;
    `firsts` returns those of the parts that share an instant with a span, in order.
    """
    starts = list(firsts(Span(ts[0], ts[-1] + MINUTE))) if len(ts) else []
    places = [*ts.search_sorted(pl.Series(starts, dtype=ts.dtype)).to_list(), len(ts)]
    for start, begin, end in zip(starts, places, places[1:], strict=False):
        if begin < end:
            yield start, slice(begin, end)


def by_month(rows: pl.DataFrame) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """Split rows of one instrument by the month of their `ts`, each part sorted by it."""
    if not rows["ts"].is_sorted():
        rows = rows.sort("ts", maintain_order=True)
    return ((month, rows[place]) for month, place in split(rows["ts"], months_in))


@dataclass(frozen=True, slots=True)
class Slice:
    """One instrument's rows of one month.

    Attributes:
        snapshot: of the table.
        instrument: whose rows they are.
        month: its first instant.
        files: that may contain them.
    """

    snapshot: Snapshot
    instrument: str
    month: datetime
    files: tuple[DataFile, ...]

    @property
    def name(self) -> str:
        """`INSTRUMENT/YYYY-MM`."""
        return f"{self.instrument}/{self.month:%Y-%m}"

    @property
    def is_apart(self) -> bool:
        """Whether its files are known to contain no other rows."""
        return all(file_month(file) == self.month for file in self.files) and all(
            file.is_until(self.snapshot.until) for file in self.files
        )

    @property
    def known_digest(self) -> str | None:
        """The digest of its content, if known without reading it."""
        return self.files[0].digest if len(self.files) == 1 and self.is_apart else None

    def count(self) -> int:
        """Return its number of rows; they are read only if another program compacted files.

        Raises:
            LakeError: they cannot be read.
        """
        return sum(f.rows for f in self.files) if self.is_apart else self.read().height

    def digest(self) -> str:
        """Return the digest of its content (`lake.files.content_hash`).

        Raises:
            LakeError: it cannot be read.
        """
        return self.known_digest or frame_digest(self.snapshot.table, self.read())

    def read(self) -> pl.DataFrame:
        """Return its rows in the table's order, with the partition's column.

        Raises:
            LakeError: they cannot be read.
        """
        at, table = self.snapshot, self.snapshot.table
        spans = None if self.is_apart else [month_span(self.month)]
        rows = read_rows(table, at.uri, self.files, at.options, table.names, spans, at.until)
        return in_order(table, rows)


def slices(snapshot: Snapshot, instruments: Iterable[str] | None = None) -> list[Slice]:
    """Return the slices of a table that is partitioned by instrument, by instrument and month.

    If another program compacted files across months, some of the slices may have no rows.

    Args:
        snapshot: of the table.
        instruments: whose; all by default.
    """
    wanted = None if instruments is None else set(instruments)
    found: list[Slice] = []
    for name, files in sorted(snapshot.by_partition().items()):
        if wanted is not None and name not in wanted:
            continue
        months: dict[datetime, list[DataFile]] = {}
        for file in files:
            for month in months_of(file):
                months.setdefault(month, []).append(file)
        found += [Slice(snapshot, name, m, tuple(own)) for m, own in sorted(months.items())]
    return found


def newest_minutes(snapshot: Snapshot) -> dict[str, datetime]:
    """Return the newest time of each instrument of a table that is partitioned by instrument; rows
    are read only of files that do not tell.

    Raises:
        LakeError: they cannot be read.
    """
    found: dict[str, datetime] = {}
    for name, files in snapshot.by_partition().items():
        known = [file.last for file in files if file.last is not None]
        untold = [file for file in files if file.last is None]
        if untold:
            known += snapshot.rows_of(untold)["ts"].to_list()
        found |= {name: max(known)} if known else {}
    return found


def months_of(file: DataFile) -> list[datetime]:
    """Return the months whose rows a file may contain; all of its table if it records none."""
    if file.first is None or file.last is None:
        return list(months_in(Span(_FIRST, _END)))
    return list(months_in(Span(file.first, file.last + MINUTE)))


def file_month(file: DataFile) -> datetime | None:
    """Return the one month whose rows a file contains; None if there are several, or it records
    none.
    """
    if file.first is None or file.last is None:
        return None
    month = month_of(file.first)
    return month if month == month_of(file.last) else None
