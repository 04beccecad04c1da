"""Finds the rows of some periods that a curated table lacks, and writes files with them.

Files contain months; a build computes some days of them again. Readers see a file only after the
build's commit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import polars as pl

from lake import Lake
from lake.errors import DamagedError
from lake.files.parquet import DataFile
from lake.files.slices import months_in
from lake.files.sorted_rows import bits, in_spans, in_time, read_rows
from lake.location.lake_address import Address
from lake.table import Table
from lake.time.intervals import Span
from transforms.periods import parts

# An instrument, and the first instant of a month.
Key: TypeAlias = tuple[str, datetime]
_KEY = ("instrument", "ts")


@dataclass(frozen=True, slots=True)
class Held:
    """The stored rows of one instrument and month in a curated table.

    Attributes:
        files: with its rows.
        is_apart: whether they contain no other rows.
    """

    files: tuple[DataFile, ...]
    is_apart: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Files to add to and remove from one table."""

    added: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()


def write_changes(
    target: Address,
    table: Table,
    rows: pl.DataFrame,
    held: Mapping[Key, Held],
    wanted: Sequence[Span],
) -> Change:
    """Write the rows that a table lacks of some periods, and return the change of its files.

    If existing rows of a month change, the whole month is written again; if rows are only added
    after the others, a file with those.

    Args:
        target: the lake.
        table: to write to.
        rows: all of the periods, one instrument after the other, each sorted by time.
        held: the stored rows of the months; without an entry the month is empty, or its rows are
            removed anyway.
        wanted: the periods.

    Raises:
        LakeError: a file cannot be read or written.
    """
    lake = Lake(target.uri, target.options)
    rows = rows.select(table.names)
    kept = _kept(lake, table, rows, held, wanted) if held else {}
    new = [
        rows[place.start + kept.get(key, 0) : place.stop] for key, place in parts(rows, months_in)
    ]
    gone = (file for key, own in held.items() if key not in kept for file in own.files)
    removed = tuple(dict.fromkeys(gone))
    left = _left(lake, table, removed, wanted)
    if left.height:
        rows = pl.concat([left, *new]).sort(_KEY)
        new = [rows[place] for _, place in parts(rows, months_in)]
    added = tuple(lake.write(table, own, own["instrument"][0]) for own in new if own.height)
    return Change(added, removed)


def _kept(
    lake: Lake,
    table: Table,
    rows: pl.DataFrame,
    held: Mapping[Key, Held],
    wanted: Sequence[Span],
) -> dict[Key, int]:
    """The number of stored rows in the periods of each month whose stored rows are correct, so that
    only later rows are missing.
    """
    try:
        files = [file for own in held.values() if own.is_apart for file in own.files]
        stored = _stored(lake, table, files, wanted)
    except DamagedError:
        return {}
    before, after, none = dict(parts(stored, months_in)), dict(parts(rows, months_in)), slice(0, 0)
    known_bits, new_bits = bits(stored), bits(rows)
    kept = {}
    for key, own in held.items():
        known, place = before.get(key, none), after.get(key, none)
        count = known.stop - known.start
        new = rows["ts"][place.start + count : place.stop]
        last = max((file.last for file in own.files if file.last), default=None)
        is_after = new.is_empty() or last is None or new[0] > last
        is_same = new_bits[place.start : place.start + count].equals(known_bits[known])
        if own.is_apart and is_same and is_after:
            kept[key] = count
    return kept


def _left(
    lake: Lake, table: Table, removed: Sequence[DataFile], wanted: Sequence[Span]
) -> pl.DataFrame:
    """The rows of removed files in other periods, or other months."""
    others = [file for file in removed if not any(_is_within(file, span) for span in wanted)]
    rows = _stored(lake, table, others)
    return rows.filter(~in_spans(rows["ts"], wanted))


def _is_within(file: DataFile, span: Span) -> bool:
    if file.first is None or file.last is None:
        return False
    return span.start <= file.first and file.last < span.end


def _stored(
    lake: Lake, table: Table, files: Sequence[DataFile], spans: Sequence[Span] | None = None
) -> pl.DataFrame:
    """Rows of some files, by time, one instrument after the other."""
    uri = f"{lake.uri}/{table.name}"
    return in_time(read_rows(table, uri, files, lake.options, table.names, spans))
