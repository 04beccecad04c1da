"""The build task: a function of plain values that may run in any executor, on any machine.

It reads raw files of a perpetual, or of some futures of one coin, and writes curated files. Readers
see those only after the build's commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from lake.files.parquet import DataFile
from lake.files.sorted_rows import in_spans, in_time, inside, read_rows
from lake.location.lake_address import Address
from lake.tables import BASIS, CANDLES, INSTRUMENTS, QUARANTINE, RAW_CANDLES
from lake.time.intervals import MINUTE, Span, merge
from transforms.basis import basis
from transforms.month_files import Change, Held, Key, write_changes
from transforms.periods import spans_of_periods
from transforms.quality import period_figures
from transforms.spike_bounds import LEAD_IN, STAND_IN
from transforms.spikes import flag_futures, flag_perpetual
from transforms.staleness import AFTER, BEFORE, Life
from transforms.validation import validate

_LIFE = ("instrument", "listed_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Source:
    """One instrument's raw candles.

    Attributes:
        life: from its record.
        files: that contain them.
    """

    life: Life
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """The instruments and periods to build.

    Attributes:
        lake: to read raw candles from.
        target: to write curated rows to.
        until: the last batch that counts.
        kind: of the instruments.
        sources: raw candles by instrument: of one perpetual, or of futures of one coin.
        periods: to build, sorted; their first instants.
        candles: stored rows of `candles` in their months; empty to replace all rows.
        basis: the same of `basis`.
        perpetual: files of the perpetual's new `candles`; empty for a perpetual.
        others: by name, the sources of the coin's futures around the periods.
    """

    lake: Address
    target: Address
    until: int
    kind: str
    sources: Mapping[str, Source]
    periods: tuple[datetime, ...]
    candles: Mapping[Key, Held]
    basis: Mapping[Key, Held]
    perpetual: tuple[DataFile, ...]
    others: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Built:
    """Curated rows of some instruments and periods, written and not yet committed.

    Attributes:
        instruments: of the rows.
        candles: the change of `candles`.
        basis: the change of `basis`.
        quarantine: rows of `quarantine` of the periods.
        figures: rows of `periods`, for those with raw candles.
    """

    instruments: tuple[str, ...]
    candles: Change
    basis: Change
    quarantine: pl.DataFrame
    figures: pl.DataFrame


def build_partition(task: Task) -> Built:
    """Validate raw candles of some instruments and periods, flag their spikes, and compute the
    basis of futures against their perpetual.

    Raises:
        LakeError: a file cannot be read or written.
    """
    wanted = spans_of_periods(task.periods)
    raw = _raw(task, task.sources, widened(wanted, task.kind))
    validated, quarantine = validate(raw)
    before = inside(validated, [Span(span.start - LEAD_IN, span.start) for span in wanted])
    candles, matched = _judged(task, validated, wanted)
    return Built(
        instruments=tuple(task.sources),
        candles=write_changes(task.target, CANDLES, candles, task.candles, wanted),
        basis=write_changes(task.target, BASIS, matched, task.basis, wanted),
        quarantine=inside(quarantine, wanted).select(QUARANTINE.names),
        figures=period_figures(inside(raw, wanted), candles, before),
    )


def widened(periods: Iterable[Span], kind: str) -> list[Span]:
    """Return periods with the context that flags depend on: time before and after for a perpetual,
    minutes before for a future.
    """
    before, after = (AFTER, BEFORE) if kind == "perpetual" else (LEAD_IN, timedelta(0))
    return merge(Span(span.start - before, span.end + after) for span in periods)


def _judged(
    task: Task, candles: pl.DataFrame, wanted: Sequence[Span]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles of the periods with their spikes flagged, and the rows of `basis`, empty for a
    perpetual.
    """
    others = partial(_others, task)
    is_own = in_spans(candles["ts"], wanted)
    if not is_own.any():
        return candles.clear(), BASIS.empty()
    if task.kind == "perpetual":
        return inside(flag_perpetual(candles, others), wanted), BASIS.empty()
    perpetual = _perpetual(task, wanted)
    flagged = flag_futures(candles.with_columns(is_own=is_own), perpetual, others)
    flagged = flagged.drop("is_own")
    return flagged, basis(flagged, perpetual)


def _perpetual(task: Task, wanted: Sequence[Span]) -> pl.DataFrame:
    """The perpetual's candles of some periods, of the hour after each and of two before: in the
    first hour of a period the rule compares other futures for an hour back, and each of their
    minutes with the perpetual's of one more hour.
    """
    near = merge(Span(span.start - 2 * STAND_IN, span.end + STAND_IN) for span in wanted)
    columns = ("ts", "high", "low", "close", "traded", "suspect")
    rows = read_rows(
        CANDLES, f"{task.target.uri}/candles", task.perpetual, task.target.options, columns, near
    )
    return rows.sort("ts")


def _others(task: Task, minutes: pl.Series) -> pl.DataFrame:
    """The sound candles of the coin's futures in some minutes (sorted) and in the hour before each;
    see `transforms.spikes.Others`.
    """
    near = merge(Span(minute - STAND_IN, minute + MINUTE) for minute in minutes)
    raw = _raw(task, task.others, near)
    candles, _ = validate(raw)
    return candles.select("instrument", "expires_at", "ts", "high", "low", "close", "traded")


def _raw(task: Task, sources: Mapping[str, Source], spans: Sequence[Span]) -> pl.DataFrame:
    """Raw candles in some spans, one instrument after the other, each sorted by time, with
    listed_at and expires_at.
    """
    rows = read_rows(
        RAW_CANDLES,
        f"{task.lake.uri}/raw_candles",
        [file for source in sources.values() for file in source.files],
        task.lake.options,
        RAW_CANDLES.names,
        spans,
        task.until,
    )
    known = pl.DataFrame(
        [(name, own.life.listed_at, own.life.expires_at) for name, own in sources.items()],
        {name: INSTRUMENTS.polars_schema[name] for name in _LIFE},
        orient="row",
    )
    return in_time(rows).join(known, on="instrument", how="left", maintain_order="left")
