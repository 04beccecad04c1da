"""One instrument's share of a build: a function of plain values that may run in any executor, on
any machine.

It reads raw files and writes curated files that no reader sees before the build commits them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from lake import Lake
from lake.files import DataFile
from lake.rows import read_rows
from lake.spans import MINUTE, Span, merge
from lake.tables import BASIS, CANDLES, INSTRUMENTS, RAW_CANDLES, Table
from transforms.basis import basis
from transforms.candles import validate
from transforms.inputs import Source
from transforms.levels import STAND_IN
from transforms.quality import quality
from transforms.rules import warnings_of
from transforms.spikes import flag_future, flag_perpetual

_LIFE = ("instrument", "listed_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Task:
    """What to build.

    Attributes:
        lake_uri: of the lake.
        lake_options: its storage options.
        instrument: whose share it is.
        source: what it is made from.
        perpetual: files of the perpetual's `candles`; none for a perpetual.
        others: by name, the sources of the coin's other futures that share minutes with it.
        duplicates: repeats seen in replies, for `quality`.
    """

    lake_uri: str
    lake_options: Mapping[str, str] = field(repr=False)
    instrument: str
    source: Source
    perpetual: tuple[DataFile, ...]
    others: Mapping[str, Source]
    duplicates: int


@dataclass(frozen=True, slots=True)
class Built:
    """One instrument's curated rows, written and not yet committed.

    Attributes:
        instrument: whose they are.
        candles: the file of `candles`, None where no candle is sound.
        basis: the file of `basis`, None for a perpetual and where no minute matches.
        quarantine: rows of `quarantine`.
        warnings: rows of `warnings`.
        quality: one row of `quality`.
    """

    instrument: str
    candles: DataFile | None
    basis: DataFile | None
    quarantine: pl.DataFrame
    warnings: pl.DataFrame
    quality: pl.DataFrame


def build_partition(task: Task) -> Built:
    """Validate one instrument's raw candles, flag its spikes, and hold a future against its
    perpetual.

    Raises:
        LakeError: a file cannot be read or written.
    """
    lake = Lake(task.lake_uri, task.lake_options)
    source = task.source
    raw = RAW_CANDLES.cast(_raw(task.instrument, lake, source.files))
    candles, quarantine = validate(raw, source.listed_at, source.expires_at)
    figures = quality(raw, candles, source.asked_until, task.duplicates)
    del raw
    candles, matched = _judged(task, candles, lake)
    return Built(
        instrument=task.instrument,
        candles=lake.write(CANDLES, candles, task.instrument) if candles.height else None,
        basis=lake.write(BASIS, matched, task.instrument) if matched.height else None,
        quarantine=quarantine,
        warnings=warnings_of(candles),
        quality=figures,
    )


def _judged(task: Task, candles: pl.DataFrame, lake: Lake) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles with their spikes flagged, and the rows of `basis`, none for a perpetual."""
    expires_at = task.source.expires_at
    if candles.is_empty():
        return candles, BASIS.empty()

    def others(minutes: pl.Series) -> pl.DataFrame:
        return _others(task, lake, minutes)

    if expires_at is None:
        return flag_perpetual(candles, others), BASIS.empty()
    span = Span(candles["ts"][0] - STAND_IN, candles["ts"][-1] + STAND_IN + MINUTE)
    columns = ("ts", "high", "low", "close", "traded", "suspect")
    perpetual = _read(CANDLES, lake, task.perpetual, columns, [span])
    candles = flag_future(candles, perpetual, expires_at, others)
    return candles, basis(candles, perpetual, expires_at)


def _others(task: Task, lake: Lake, minutes: pl.Series) -> pl.DataFrame:
    """The sound candles of the other futures in some minutes (sorted) and in the hour before each;
    see `transforms.spikes.Others`.
    """
    near = merge(Span(minute - STAND_IN, minute + MINUTE) for minute in minutes)
    raw = [RAW_CANDLES.empty()]
    for name, source in task.others.items():
        files = tuple(file for file in source.files if any(map(file.may_hold, near)))
        if files:
            raw.append(_raw(name, lake, files, near))
    lives = [(name, source.listed_at, source.expires_at) for name, source in task.others.items()]
    schema = {name: INSTRUMENTS.polars_schema[name] for name in _LIFE}
    known = pl.DataFrame(lives, schema, orient="row")
    rows = pl.concat(raw).join(known, on="instrument", maintain_order="left")
    candles, _ = validate(rows, pl.col("listed_at"), pl.col("expires_at"))
    return candles.select("instrument", "expires_at", "ts", "high", "low", "close", "traded")


def _raw(
    name: str, lake: Lake, files: tuple[DataFile, ...], spans: list[Span] | None = None
) -> pl.DataFrame:
    """Raw candles of one instrument, in the order of the files."""
    rows = _read(RAW_CANDLES, lake, files, RAW_CANDLES.stored.names, spans)
    return rows.select(pl.lit(name).alias("instrument"), pl.all())


def _read(
    table: Table,
    lake: Lake,
    files: tuple[DataFile, ...],
    columns: Sequence[str],
    spans: list[Span] | None,
) -> pl.DataFrame:
    return read_rows(table, f"{lake.uri}/{table.name}", files, lake.options, columns, spans)
