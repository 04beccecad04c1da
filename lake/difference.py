"""Which rows of a table differ between two versions, or two lakes, partition by partition.

Only what can differ is read: a file that both sides hold is left out, and so is a partition that is
one file with one digest on both sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from lake.fingerprint import rows_of
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import BASIS, CANDLES, RAW_CANDLES, Table

# The tables with a row for each minute of an instrument.
COMPARED = (RAW_CANDLES, CANDLES, BASIS)


@dataclass(frozen=True, slots=True)
class Difference:
    """How one instrument's rows of one table differ.

    Attributes:
        instrument: its name.
        table: its name.
        only_a: rows whose minute only the first side has.
        only_b: rows whose minute only the second side has.
        changed: minutes that both have, with other values.
    """

    instrument: str
    table: str
    only_a: int
    only_b: int
    changed: int


def differences(a: Lake, b: Lake) -> list[Difference]:
    """Return what differs between two lakes, or between two versions of one, by instrument.

    Args:
        a: the first side.
        b: the second side.

    Raises:
        LakeError: a lake cannot be read.
    """
    found = (d for table in COMPARED for d in _of_table(a.snapshot(table), b.snapshot(table)))
    places = [table.name for table in COMPARED]
    return sorted(found, key=lambda d: (d.instrument, places.index(d.table)))


def _of_table(a: Snapshot, b: Snapshot) -> Iterator[Difference]:
    for name in sorted({*a.by_partition(), *b.by_partition()}):
        difference = _of_partition(a, b, name)
        if difference.only_a or difference.only_b or difference.changed:
            yield difference


def _of_partition(a: Snapshot, b: Snapshot, name: str) -> Difference:
    table = a.table
    shared = {file.path for file in a.of(name)} & {file.path for file in b.of(name)}
    left, right = (
        tuple(file for file in side.of(name) if file.path not in shared) for side in (a, b)
    )
    if not left or not right:
        rows = [sum(file.rows for file in files) for files in (left, right)]
        return Difference(name, table.name, rows[0], rows[1], 0)
    if len(left) == len(right) == 1 and left[0].digest and left[0].digest == right[0].digest:
        return Difference(name, table.name, 0, 0, 0)
    return compare(table, name, rows_of(a, left), rows_of(b, right))


def compare(table: Table, name: str, a: pl.DataFrame, b: pl.DataFrame) -> Difference:
    """Compare rows of one partition, whose keys are its minutes; pure.

    Args:
        table: the declaration.
        name: of the partition.
        a: rows of the first side, without the partition's column.
        b: rows of the second side.
    """
    ours = a.join(b.select("ts"), on="ts", how="semi").sort("ts")
    theirs = b.join(a.select("ts"), on="ts", how="semi").sort("ts")
    columns = [n for n in table.names if n not in {"ts", table.partition}]
    changed = pl.Series([False]).new_from_index(0, ours.height)
    for column in columns:
        changed |= _exact(ours[column]).ne_missing(_exact(theirs[column]))
    both = ours.height
    return Difference(name, table.name, a.height - both, b.height - both, int(changed.sum()))


def _exact(values: pl.Series) -> pl.Series:
    """Floats by their bits: negative zero is another value, as it is for a digest."""
    if values.dtype != pl.Float64:
        return values
    return pl.Series(values.rechunk().to_arrow().view(pa.int64()))
