"""One instrument's share of a build: a function of plain values that may run in any executor, on
any machine.

It reads raw files and writes curated files that no reader sees before the build commits them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from lake.files import DataFile
from lake.rows import read_rows
from lake.spans import MINUTE, Span, merge
from lake.tables import BASIS, CANDLES, INSTRUMENTS, QUARANTINE, RAW_CANDLES
from transforms.basis import basis
from transforms.candles import validate
from transforms.changes import AFTER, BEFORE, Life
from transforms.levels import LEAD_IN, STAND_IN
from transforms.months import Change, Held, Place, inside, write_changes
from transforms.periods import spans_of_periods
from transforms.quality import period_figures
from transforms.spikes import flag_future, flag_perpetual

_LIFE = ("instrument", "listed_at", "expires_at")


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
class Task:
    """What to build.

    Attributes:
        lake: that holds the raw candles.
        target: that the curated rows are written to.
        until: the last batch that counts.
        instrument: whose share it is.
        source: its raw candles.
        periods: to be made, sorted; their first instants.
        candles: what `candles` holds of their months, by month; empty to replace whatever it holds.
        basis: the same of `basis`.
        perpetual: files of the perpetual's new `candles`; none for a perpetual.
        others: by name, the sources of the coin's other futures.
    """

    lake: Place
    target: Place
    until: int
    instrument: str
    source: Source
    periods: tuple[datetime, ...]
    candles: Mapping[datetime, Held]
    basis: Mapping[datetime, Held]
    perpetual: tuple[DataFile, ...]
    others: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Built:
    """One instrument's curated rows of some periods, written and not yet committed.

    Attributes:
        instrument: whose they are.
        periods: that were made.
        candles: the change of `candles`.
        basis: the change of `basis`.
        quarantine: rows of `quarantine` of the periods.
        figures: rows of `periods`, of those that have raw candles.
    """

    instrument: str
    periods: tuple[datetime, ...]
    candles: Change
    basis: Change
    quarantine: pl.DataFrame
    figures: pl.DataFrame


def build_partition(task: Task) -> Built:
    """Validate one instrument's raw candles of some periods, flag its spikes, and hold a future
    against its perpetual.

    Raises:
        LakeError: a file cannot be read or written.
    """
    life, wanted = task.source.life, spans_of_periods(task.periods)
    raw = _raw(task, task.instrument, task.source, widened(wanted, life))
    validated, quarantine = validate(raw, life.listed_at, life.expires_at)
    before = inside(validated, [Span(span.start - LEAD_IN, span.start) for span in wanted])
    candles, matched = _judged(task, validated, before, wanted)
    return Built(
        instrument=task.instrument,
        periods=task.periods,
        candles=write_changes(task.target, CANDLES, task.instrument, candles, task.candles, wanted),
        basis=write_changes(task.target, BASIS, task.instrument, matched, task.basis, wanted),
        quarantine=inside(quarantine, wanted).select(QUARANTINE.names),
        figures=period_figures(
            task.instrument,
            inside(raw.select("ts"), wanted)["ts"],
            candles,
            before,
        ),
    )


def widened(periods: Sequence[Span], life: Life) -> list[Span]:
    """Return periods with the context that their flags depend on: the time around a perpetual's,
    and the minutes before a future's.
    """
    is_perpetual = life.kind == "perpetual"
    before, after = (AFTER, BEFORE) if is_perpetual else (LEAD_IN, timedelta(0))
    return merge(Span(span.start - before, span.end + after) for span in periods)


def _judged(
    task: Task, candles: pl.DataFrame, before: pl.DataFrame, wanted: Sequence[Span]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles of the periods with their spikes flagged, and the rows of `basis`, none for a
    perpetual.
    """

    def others(minutes: pl.Series) -> pl.DataFrame:
        return _others(task, minutes)

    expires_at, own = task.source.life.expires_at, inside(candles, wanted)
    if own.is_empty():
        return own, BASIS.empty()
    if expires_at is None:
        return inside(flag_perpetual(candles, others), wanted), BASIS.empty()
    perpetual = _perpetual(task, wanted)
    own = flag_future(own, perpetual, expires_at, others, before)
    return own, basis(own, perpetual, expires_at)


def _perpetual(task: Task, wanted: Sequence[Span]) -> pl.DataFrame:
    """The perpetual's candles of some periods, of the hour after each and of two before: in the
    first hour of a period the other futures are looked at for an hour back, and each of their
    minutes beside the perpetual's of another.
    """
    near = merge(Span(span.start - 2 * STAND_IN, span.end + STAND_IN) for span in wanted)
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
