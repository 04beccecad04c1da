"""Rows of a table that differ between two lakes, or between one lake as of two batches, by
instrument.

If a slice is one file with the same digest in both, it is not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lake.errors import GoneError
from lake.files.slices import Slice, slices
from lake.files.sorted_rows import bits
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
    ours, theirs = slices(a, [name]), slices(b, [name])
    alike = set(map(_known, ours)) & set(map(_known, theirs))
    rows = []
    for at, own in ((a, ours), (b, theirs)):
        left = [f for s in own if not s.known_digest or _known(s) not in alike for f in s.files]
        rows.append(_newest(rows_of(at, tuple(dict.fromkeys(left)))))
    return compare(a.table, name, *rows)


def _known(own: Slice) -> tuple[datetime, str | None]:
    return own.month, own.known_digest


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
    a, b = bits(a), bits(b)
    both = a.join(b, on="ts", how="semi").height
    same = a.join(b, on=[c.name for c in table.content], how="semi", nulls_equal=True).height
    return Difference(name, table.name, a.height - both, b.height - both, both - same)
