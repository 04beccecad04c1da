"""One instrument's share of a build: a function of plain values that may run in any executor, on
any machine.

It reads raw files and writes curated files that no reader sees before the build commits them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lake import Lake
from lake.files import DataFile
from lake.snapshot import scan_files
from lake.tables import BASIS, CANDLES, RAW_CANDLES
from transforms.basis import basis
from transforms.candles import validate
from transforms.inputs import Source
from transforms.quality import quality


@dataclass(frozen=True, slots=True)
class Task:
    """What to build.

    Attributes:
        lake_uri: of the lake.
        lake_options: its storage options.
        instrument: whose share it is.
        source: what it is made from.
        raw_urls: of its raw files.
        perpetual_urls: of the perpetual's `candles`; empty for a perpetual.
        duplicates: repeats seen in replies, for `quality`.
    """

    lake_uri: str
    lake_options: Mapping[str, str]
    instrument: str
    source: Source
    raw_urls: list[str]
    perpetual_urls: list[str]
    duplicates: int


@dataclass(frozen=True, slots=True)
class Built:
    """One instrument's curated rows, written and not yet committed.

    Attributes:
        instrument: whose they are.
        candles: the file of `candles`, None where no candle is sound.
        basis: the file of `basis`, None for a perpetual and where no minute matches.
        unmatched: candles of a future without their perpetual's minute.
        quarantine: rows of `quarantine`.
        quality: one row of `quality`.
    """

    instrument: str
    candles: DataFile | None
    basis: DataFile | None
    unmatched: int
    quarantine: pl.DataFrame
    quality: pl.DataFrame


def build_partition(task: Task) -> Built:
    """Validate one instrument's raw candles, and hold a future against its perpetual.

    Raises:
        LakeError: a file cannot be read or written.
    """
    lake = Lake(task.lake_uri, task.lake_options)
    source = task.source
    raw = RAW_CANDLES.cast(scan_files(RAW_CANDLES, task.raw_urls, lake.options).collect())
    candles, quarantine = validate(raw, source.listed_at, source.expires_at)
    figures = quality(raw, candles, source.asked_until, task.duplicates)
    matched = _basis(task, candles, lake)
    is_future = source.kind == "future"
    return Built(
        instrument=task.instrument,
        candles=lake.write(CANDLES, candles, task.instrument) if candles.height else None,
        basis=lake.write(BASIS, matched, task.instrument) if matched.height else None,
        unmatched=candles.height - matched.height if is_future else 0,
        quarantine=quarantine,
        quality=figures,
    )


def _basis(task: Task, candles: pl.DataFrame, lake: Lake) -> pl.DataFrame:
    expires_at = task.source.expires_at
    if expires_at is None or candles.is_empty():
        return BASIS.empty()
    minutes = pl.col("ts").is_between(candles["ts"][0], candles["ts"][-1])
    perpetual = scan_files(CANDLES, task.perpetual_urls, lake.options).filter(minutes)
    return basis(candles, perpetual.collect(), expires_at)
