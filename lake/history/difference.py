"""Rows of a table that differ between two lakes, or between one lake as of two batches, by
instrument.

If a slice is one file with the same digest in both, it is not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from lake.errors import GoneError
from lake.files.parquet import DataFile
from lake.files.slices import slices
from lake.history.fingerprint import rows_of
from lake.lake import Lake
from lake.snapshot import Snapshot
from lake.table import BATCH, Table
from lake.tables import BASIS, CANDLES, RAW_CANDLES

# Tables with a row for each minute of an instrument.
COMPARED = (RAW_CANDLES, CANDLES, BASIS)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between one instrument's rows of one table.

    Attributes:
        instrument: its name.
        table: its name.
        only_a: rows whose minute only the first lake has.
        only_b: rows whose minute only the second lake has.
        changed: minutes that both have, with different values.
    """

    instrument: str
    table: str
    only_a: int
    only_b: int
    changed: int


def differences(a: Lake, b: Lake) -> list[Difference]:
    """Return the differences between two lakes, or one lake as of two batches, by instrument.

    Args:
        a: the first lake.
        b: the second lake.

    Raises:
        LakeError: a lake cannot be read.
    """
    a, b = a.state(), b.state()
    found = (d for table in COMPARED for d in _of_table(a.snapshot(table), b.snapshot(table)))
    places = [table.name for table in COMPARED]
    return sorted(found, key=lambda d: (d.instrument, places.index(d.table)))


def _of_table(a: Snapshot, b: Snapshot) -> Iterator[Difference]:
    for snapshot in (a, b):
        if snapshot.gone:
            raise GoneError(snapshot.gone)
    for name in sorted({*a.by_partition(), *b.by_partition()}):
        difference = _of_partition(a, b, name)
        if difference.only_a or difference.only_b or difference.changed:
            yield difference


def _of_partition(a: Snapshot, b: Snapshot, name: str) -> Difference:
    """The difference in the slices of an instrument that are not one file of the same digest in
    both lakes.
    """
    sides = [{s.month: s for s in slices(side, [name])} for side in (a, b)]
    left: list[list[DataFile]] = [[], []]
    for month in sorted({*sides[0], *sides[1]}):
        own = [side.get(month) for side in sides]
        digests = [slice_.known_digest if slice_ else None for slice_ in own]
        if digests[0] is None or digests[0] != digests[1]:
            for files, slice_ in zip(left, own, strict=True):
                files.extend(slice_.files if slice_ else ())
    rows = [
        _newest(rows_of(at, tuple(dict.fromkeys(f)))) for at, f in zip((a, b), left, strict=True)
    ]
    return compare(a.table, name, *rows)


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a minute: the one of the last batch."""
    if BATCH not in rows.columns:
        return rows
    return rows.sort("ts", BATCH).unique("ts", keep="last", maintain_order=True)


def compare(table: Table, name: str, a: pl.DataFrame, b: pl.DataFrame) -> Difference:
    """Compare the rows of one partition by minute; pure.

    Args:
        table: the declaration.
        name: of the partition.
        a: rows of the first lake, without the partition's column.
        b: rows of the second lake.
    """
    ours = a.join(b.select("ts"), on="ts", how="semi").sort("ts")
    theirs = b.join(a.select("ts"), on="ts", how="semi").sort("ts")
    columns = [column.name for column in table.content if column.name != "ts"]
    changed = pl.Series([False]).new_from_index(0, ours.height)
    for column in columns:
        changed |= _exact(ours[column]).ne_missing(_exact(theirs[column]))
    both = ours.height
    return Difference(name, table.name, a.height - both, b.height - both, int(changed.sum()))


def _exact(values: pl.Series) -> pl.Series:
    """Floats by their bits: negative zero is a different value, as in a digest."""
    if values.dtype != pl.Float64:
        return values
    return pl.Series(values.rechunk().to_arrow().view(pa.int64()))
