"""Which rows of some periods a curated table lacks, and the files that bring them.

Files hold months, of which a build makes some days again. No reader sees a file before the build
commits it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from lake import Lake
from lake.digest import frame_digest
from lake.errors import DamagedError
from lake.files import DataFile
from lake.rows import read_rows
from lake.slices import by_month, month_span, months_in
from lake.spans import Span, common, merge
from lake.table import Table

_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lake is.

    Attributes:
        uri: of the lake.
        options: its storage options.
    """

    uri: str
    options: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What a curated table holds of one instrument in one month.

    Attributes:
        files: that hold its rows.
        is_apart: whether they hold nothing else.
    """

    files: tuple[DataFile, ...]
    is_apart: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Files of one table that come and go."""

    added: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()


def write_changes(
    target: Place,
    table: Table,
    instrument: str,
    rows: pl.DataFrame,
    held: Mapping[datetime, Held],
    wanted: Sequence[Span],
) -> Change:
    """Write what a table lacks of some periods, and tell the files that go.

    If the month has other rows, the whole month is written again; if only rows after all others are
    new, a file with those.

    Args:
        target: the lake.
        table: that is written.
        instrument: whose rows they are.
        rows: all of the periods, sorted.
        held: what the table holds of their months, by month; a month that is not in it holds
            nothing, or what it holds goes anyway.
        wanted: the periods.

    Raises:
        LakeError: a file cannot be read or written.
    """
    lake = Lake(target.uri, target.options)
    made = dict(by_month(rows))
    added: list[DataFile] = []
    replaced: dict[datetime, pl.DataFrame] = {}
    for month in dict.fromkeys(month for span in wanted for month in months_in(span)):
        own = made.get(month, rows.clear())
        kept = _same_rows(lake, table, own, held[month], wanted) if month in held else 0
        if kept is None:
            replaced[month] = own
        elif kept < own.height:
            added.append(lake.write(table, own.slice(kept), instrument))
    removed = tuple(dict.fromkeys(f for month in replaced for f in held[month].files))
    added += [
        lake.write(table, part, instrument)
        for part in _rewritten(lake, table, replaced, removed, wanted)
    ]
    return Change(tuple(added), removed)


def _same_rows(
    lake: Lake, table: Table, rows: pl.DataFrame, held: Held, wanted: Sequence[Span]
) -> int | None:
    """How many rows of the periods in a month are held as they are to be, where only further ones
    are to be added after all that is held of the month; None where others are held.
    """
    if not held.is_apart:
        return None
    near = [file for file in held.files if any(map(file.may_hold, wanted))]
    is_whole = all(_is_within(file, wanted) for file in near)
    if is_whole and len(near) == 1 and near[0].digest:
        count, known = near[0].rows, near[0].digest
    else:
        try:
            stored = _stored(lake, table, near, wanted)
        except DamagedError:
            return None
        count, known = stored.height, frame_digest(table, stored)
    if count > rows.height or known != frame_digest(table, rows.head(count)):
        return None
    last = max((file.last for file in held.files if file.last), default=None)
    is_after = last is None or count == rows.height or rows["ts"][count] > last
    return count if is_after else None


def _is_within(file: DataFile, spans: Sequence[Span]) -> bool:
    if file.first is None or file.last is None:
        return False
    return any(span.start <= file.first and file.last < span.end for span in spans)


def _rewritten(
    lake: Lake,
    table: Table,
    replaced: Mapping[datetime, pl.DataFrame],
    removed: Sequence[DataFile],
    wanted: Sequence[Span],
) -> Iterator[pl.DataFrame]:
    """The new rows of the months that are replaced, with those of their other periods, and the rows
    of other months that were in one file with them.
    """
    if not replaced:
        return
    new = {month: common([month_span(month)], wanted) for month in replaced}
    others = [
        file for file in removed if not any(_is_within(file, spans) for spans in new.values())
    ]
    kept = outside(
        _stored(lake, table, others).sort("ts"), merge(s for own in new.values() for s in own)
    )
    old = dict(by_month(kept))
    for month in sorted({*replaced, *old}):
        parts = [part[month] for part in (old, replaced) if month in part]
        rows = pl.concat([part.select(table.stored.names) for part in parts]).sort("ts")
        if rows.height:
            yield rows


def _stored(
    lake: Lake, table: Table, files: Sequence[DataFile], spans: Sequence[Span] | None = None
) -> pl.DataFrame:
    uri = f"{lake.uri}/{table.name}"
    return read_rows(table, uri, files, lake.options, table.stored.names, spans)


def inside(rows: pl.DataFrame, spans: Sequence[Span]) -> pl.DataFrame:
    """The rows, sorted by time, that are in some spans, which are sorted and disjoint."""
    edges = pl.Series([edge for span in spans for edge in span], dtype=rows.schema["ts"])
    places = rows["ts"].search_sorted(edges).to_list()
    parts = [rows[start:end] for start, end in zip(places[::2], places[1::2], strict=True)]
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def outside(rows: pl.DataFrame, spans: Sequence[Span]) -> pl.DataFrame:
    """The other rows."""
    edges = [_EARLIEST, *(edge for span in spans for edge in span), _LATEST]
    return inside(rows, [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=True)])
