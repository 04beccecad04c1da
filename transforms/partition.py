"""One instrument's share of a build: a function of plain values that may run in any executor, on
any machine.

It reads raw files and writes curated files that no reader sees before the build commits them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from lake import Lake
from lake.digest import frame_digest
from lake.errors import DamagedError
from lake.files import DataFile
from lake.rows import read_rows
from lake.slices import by_month, month_of
from lake.spans import MINUTE, Span, merge
from lake.tables import BASIS, CANDLES, INSTRUMENTS, QUARANTINE, RAW_CANDLES, Table
from transforms.basis import basis
from transforms.candles import validate
from transforms.changes import REACH, Life, spans_of_months
from transforms.levels import LEAD_IN, STAND_IN
from transforms.quality import month_figures
from transforms.spikes import flag_future, flag_perpetual

_LIFE = ("instrument", "listed_at", "expires_at")


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
class Source:
    """One instrument's raw candles.

    Attributes:
        life: by its record.
        files: that hold them.
    """

    life: Life
    files: tuple[DataFile, ...]


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
class Task:
    """What to build.

    Attributes:
        lake: that holds the raw candles.
        target: that the curated rows are written to.
        until: the last batch that counts.
        instrument: whose share it is.
        source: its raw candles.
        months: to be made, sorted; their first instants.
        candles: what `candles` holds of them, by month; empty to replace whatever it holds.
        basis: the same of `basis`.
        perpetual: files of the perpetual's new `candles`; none for a perpetual.
        others: by name, the sources of the coin's other futures.
    """

    lake: Place
    target: Place
    until: int
    instrument: str
    source: Source
    months: tuple[datetime, ...]
    candles: Mapping[datetime, Held]
    basis: Mapping[datetime, Held]
    perpetual: tuple[DataFile, ...]
    others: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Change:
    """Files of one table that come and go."""

    added: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """One instrument's curated rows of some months, written and not yet committed.

    Attributes:
        instrument: whose they are.
        months: that were made.
        candles: the change of `candles`.
        basis: the change of `basis`.
        quarantine: rows of `quarantine` of the months.
        figures: rows of `months`, of those that have raw candles.
    """

    instrument: str
    months: tuple[datetime, ...]
    candles: Change
    basis: Change
    quarantine: pl.DataFrame
    figures: pl.DataFrame


def build_partition(task: Task) -> Built:
    """Validate one instrument's raw candles of some months, flag its spikes, and hold a future
    against its perpetual.

    Raises:
        LakeError: a file cannot be read or written.
    """
    life, wanted = task.source.life, spans_of_months(task.months)
    raw = _raw(task, task.instrument, task.source, widened(wanted, life))
    validated, quarantine = validate(raw, life.listed_at, life.expires_at)
    candles, matched = _judged(task, validated, wanted)
    return Built(
        instrument=task.instrument,
        months=task.months,
        candles=_change(task, CANDLES, candles, task.candles),
        basis=_change(task, BASIS, matched, task.basis),
        quarantine=_inside(quarantine, wanted).select(QUARANTINE.names),
        figures=month_figures(
            task.instrument,
            _inside(raw.select("ts"), wanted)["ts"],
            candles,
            _outside(validated, wanted),
        ),
    )


def widened(months: Sequence[Span], life: Life) -> list[Span]:
    """Return months with the context that their flags depend on: the time around a perpetual's, and
    the minutes before a future's.
    """
    before, after = (REACH, REACH) if life.kind == "perpetual" else (LEAD_IN, timedelta(0))
    return merge(Span(span.start - before, span.end + after) for span in months)


def _judged(
    task: Task, candles: pl.DataFrame, wanted: Sequence[Span]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles of the months with their spikes flagged, and the rows of `basis`, none for a
    perpetual.
    """

    def others(minutes: pl.Series) -> pl.DataFrame:
        return _others(task, minutes)

    expires_at, own = task.source.life.expires_at, _inside(candles, wanted)
    if own.is_empty():
        return own, BASIS.empty()
    if expires_at is None:
        return _inside(flag_perpetual(candles, others), wanted), BASIS.empty()
    perpetual = _perpetual(task, wanted)
    before = _inside(candles, [Span(span.start - LEAD_IN, span.start) for span in wanted])
    own = flag_future(own, perpetual, expires_at, others, before)
    return own, basis(own, perpetual, expires_at)


def _perpetual(task: Task, wanted: Sequence[Span]) -> pl.DataFrame:
    """The perpetual's candles of some months, and of the hour on either side."""
    near = merge(Span(span.start - STAND_IN, span.end + STAND_IN) for span in wanted)
    columns = ("ts", "high", "low", "close", "traded", "suspect")
    rows = read_rows(
        CANDLES, f"{task.target.uri}/candles", task.perpetual, task.target.options, columns, near
    )
    return rows.sort("ts")


def _others(task: Task, minutes: pl.Series) -> pl.DataFrame:
    """The sound candles of the other futures in some minutes (sorted) and in the hour before each;
    see `transforms.spikes.Others`.
    """
    near = merge(Span(minute - STAND_IN, minute + MINUTE) for minute in minutes)
    raw = [RAW_CANDLES.empty()]
    for name, source in task.others.items():
        if any(file.may_hold(span) for file in source.files for span in near):
            raw.append(_raw(task, name, source, near))
    known = pl.DataFrame(
        [(name, s.life.listed_at, s.life.expires_at) for name, s in task.others.items()],
        {name: INSTRUMENTS.polars_schema[name] for name in _LIFE},
        orient="row",
    )
    rows = pl.concat(raw).join(known, on="instrument", how="left", maintain_order="left")
    candles, _ = validate(rows, pl.col("listed_at"), pl.col("expires_at"))
    return candles.select("instrument", "expires_at", "ts", "high", "low", "close", "traded")


def _raw(task: Task, name: str, source: Source, spans: Sequence[Span]) -> pl.DataFrame:
    """Raw candles of one instrument in some spans, sorted by time."""
    rows = read_rows(
        RAW_CANDLES,
        f"{task.lake.uri}/raw_candles",
        source.files,
        task.lake.options,
        RAW_CANDLES.stored.names,
        spans,
        task.until,
    )
    if not rows["ts"].is_sorted():
        rows = rows.sort("ts", maintain_order=True)
    return rows.select(pl.lit(name).alias("instrument"), pl.all()).select(RAW_CANDLES.names)


def _inside(rows: pl.DataFrame, wanted: Sequence[Span]) -> pl.DataFrame:
    if _is_inside(rows, wanted):
        return rows
    return rows.filter(_of(wanted))


def _outside(rows: pl.DataFrame, wanted: Sequence[Span]) -> pl.DataFrame:
    return rows.clear() if _is_inside(rows, wanted) else rows.filter(~_of(wanted))


def _is_inside(rows: pl.DataFrame, wanted: Sequence[Span]) -> bool:
    """Whether all rows, which are sorted, are in one of the spans."""
    return rows.is_empty() or any(
        span.start <= rows["ts"][0] and rows["ts"][-1] < span.end for span in wanted
    )


def _of(wanted: Sequence[Span]) -> pl.Expr:
    ts = pl.col("ts")
    return pl.any_horizontal(ts.is_between(s.start, s.end, closed="left") for s in wanted)


def _change(task: Task, table: Table, rows: pl.DataFrame, held: Mapping[datetime, Held]) -> Change:
    """Write what a table lacks of the months, and tell the files that go."""
    lake = Lake(task.target.uri, task.target.options)
    made = dict(by_month(rows))
    added: list[DataFile] = []
    replaced: dict[datetime, pl.DataFrame] = {}
    for month in task.months:
        own = made.get(month, rows.clear())
        kept = _same_rows(lake, table, own, held[month]) if month in held else 0
        if kept is None:
            replaced[month] = own
        elif kept < own.height:
            added.append(lake.write(table, own.slice(kept), task.instrument))
    removed = tuple(dict.fromkeys(f for month in replaced for f in held[month].files))
    added += [
        lake.write(table, part, task.instrument)
        for part in _rewritten(lake, table, replaced, held, removed)
    ]
    return Change(tuple(added), removed)


def _same_rows(lake: Lake, table: Table, rows: pl.DataFrame, held: Held) -> int | None:
    """How many rows of a month are held as they are to be, where only further ones are to be added
    after them; None where others are held.
    """
    count = sum(file.rows for file in held.files)
    if not held.is_apart or count > rows.height:
        return None
    digest = held.files[0].digest if len(held.files) == 1 else None
    try:
        known = digest or frame_digest(table, _stored(lake, table, held.files))
    except DamagedError:
        return None
    return count if known == frame_digest(table, rows.head(count)) else None


def _rewritten(
    lake: Lake,
    table: Table,
    replaced: Mapping[datetime, pl.DataFrame],
    held: Mapping[datetime, Held],
    removed: tuple[DataFile, ...],
) -> Iterator[pl.DataFrame]:
    """The new rows of the months that are replaced, and the rows of other months that were in one
    file with them.
    """
    yield from (part for part in replaced.values() if part.height)
    if not all(held[month].is_apart for month in replaced):
        for month, part in by_month(_stored(lake, table, removed).sort("ts")):
            if month_of(month) not in replaced:
                yield part


def _stored(lake: Lake, table: Table, files: Sequence[DataFile]) -> pl.DataFrame:
    uri = f"{lake.uri}/{table.name}"
    return read_rows(table, uri, files, lake.options, table.stored.names)
