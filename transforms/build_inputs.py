"""The sources of a build, and their changes since the last build."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lake import Lake
from lake.batches import instruments_of
from lake.coverage import IS_CANDLES
from lake.errors import LakeError
from lake.files.parquet import DataFile
from lake.library_errors import reading
from lake.snapshot import Snapshot
from lake.table import BATCH
from lake.tables import ASKS, BASIS, CANDLES, PERIODS, QUARANTINE, RAW_CANDLES, RECORDS
from lake.time.intervals import MINUTE, Span
from transforms.build_task import Source
from transforms.periods import period_span, periods_in
from transforms.staleness import Life, changed_coins, lives, moved, reached

# For a file that does not record the times of its rows.
_EVER = Span(datetime(2016, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a build.

    Attributes:
        batch: the newest that counts.
        raw: `raw_candles` as of that batch.
        files: of it, by instrument.
        records: `records`, of all batches.
        asks: `asks`, of all batches.
        lives: of all instruments with raw candles, by name.
        held: from the first to the last minute in which each may have raw candles, by name.
        asked_until: end of the requested time, exclusive, by instrument.
        duplicates: repeats seen in replies, by instrument.
    """

    batch: int
    raw: Snapshot
    files: Mapping[str, tuple[DataFile, ...]]
    records: Snapshot
    asks: Snapshot
    lives: Mapping[str, Life]
    held: Mapping[str, Span]
    asked_until: Mapping[str, datetime]
    duplicates: Mapping[str, int]

    def all(self) -> dict[str, tuple[datetime, ...]]:
        """Return all periods in which an instrument may have rows, by name."""
        return {name: tuple(periods_in(span)) for name, span in self.held.items()}

    def of(self, names: Iterable[str], spans: Sequence[Span]) -> dict[str, Source]:
        """Return the sources of some instruments in some spans."""
        return {
            name: Source(
                self.lives[name], tuple(f for f in self.files[name] if any(map(f.may_hold, spans)))
            )
            for name in names
        }

    def futures(self, base: str) -> list[str]:
        """Return the futures of a coin."""
        return [n for n, life in self.lives.items() if (life.kind, life.base) == ("future", base)]


def read_sources(lake: Lake) -> Sources:
    """Read the sources of a build.

    Args:
        lake: at present, or as of a batch (`lake.history.as_of`).

    Raises:
        LakeError: it cannot be read, or an instrument has raw candles but no record.
    """
    still = lake.state()
    asks, records, raw = (still.snapshot(table) for table in (ASKS, RECORDS, RAW_CANDLES))
    # Candles of a later batch may be stored before their rows of `asks`.
    whole = max(asks.counter(BATCH), records.counter(BATCH))
    batch = whole if lake.as_of is None else lake.as_of
    raw = replace(raw, until=batch)
    known = _lives_at(records, batch)
    files = raw.by_partition()
    held = {name: _hull(own) for name, own in files.items()}
    if unknown := sorted(set(held) - set(known)):
        raise LakeError(
            f"raw_candles has rows of {', '.join(unknown)}, which have no record. Nothing was "
            "changed. `basislake instruments` fetches the records."
        )
    figures = _figures(asks)
    return Sources(
        batch=batch,
        raw=raw,
        files=files,
        records=replace(records, until=None),
        asks=replace(asks, until=None),
        lives={name: known[name] for name in held},
        held=held,
        asked_until=dict(figures.select("instrument", "end").iter_rows()),
        duplicates=dict(figures.select("instrument", "duplicates").iter_rows()),
    )


def _lives_at(records: Snapshot, batch: int) -> dict[str, Life]:
    return lives(instruments_of(records.read(pl.col(BATCH) <= batch)))


def _figures(asks: Snapshot) -> pl.DataFrame:
    """For each instrument the end of the requested time, and the repeats seen in replies."""
    with reading(asks.table, asks.uri, [file.path for file in asks.files], asks.options):
        own = asks.scan().filter(IS_CANDLES)
        ends = own.group_by("instrument").agg(pl.max("end"))
        # A window that was fetched again counts its repeats once. Few windows have any; a lake that
        # is followed has millions.
        windows = own.filter(pl.col("duplicates") > 0).group_by(
            "instrument", "window_start", "window_end"
        )
        repeats = windows.agg(pl.max("duplicates")).group_by("instrument").agg(pl.sum("duplicates"))
        figures = ends.join(repeats, on="instrument", how="left").collect()
        return figures.with_columns(pl.col("duplicates").fill_null(0))


def _hull(files: Iterable[DataFile]) -> Span:
    """The span from the first to the last minute of some files' rows."""
    spans = [
        _EVER if file.first is None or file.last is None else Span(file.first, file.last + MINUTE)
        for file in files
    ]
    return _around(spans)


def _around(spans: Iterable[Span]) -> Span:
    starts, ends = zip(*spans, strict=True)
    return Span(min(starts), max(ends))


def outdated(
    now: Sources, last: Mapping[str, Any] | None, bases: Mapping[str, Snapshot]
) -> dict[str, tuple[datetime, ...]] | None:
    """Return the periods to build again, by instrument; None if the tables are up to date.

    Args:
        now: the sources.
        last: the row of the build of the curated tables, None if it is unknown.
        bases: the curated tables, by name.
    """
    if last is not None and last[BATCH] == now.batch:
        return None
    both = replace(now, held=_with_curated(now.held, bases))
    if last is None:
        return both.all()
    oldest, newest = sorted((last[BATCH], now.batch))
    since = replace(now.raw, until=newest).since(oldest)
    came = moved(since.select("instrument", "ts"))
    then, later = (_lives_at(now.records, batch) for batch in (oldest, newest))
    return reached(now.lives, both.held, changed_coins(then, later, came, both.held))


def _with_curated(held: Mapping[str, Span], bases: Mapping[str, Snapshot]) -> dict[str, Span]:
    """The minutes of raw candles, and those of curated rows."""
    found = {name: [span] for name, span in held.items()}
    for table in (CANDLES, BASIS):
        for name, files in bases[table.name].by_partition().items():
            found.setdefault(name, []).append(_hull(files))
    # If all raw candles of a period failed validation, neither table has rows of it.
    figures = bases[PERIODS.name].read().group_by("instrument")
    for name, *ends in figures.agg(pl.min("period"), last=pl.max("period")).iter_rows():
        first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in ends)
        found.setdefault(name, []).append(Span(first, period_span(last).end))
    # After a killed build, `quarantine` may have rows without rows in the other tables.
    broken = bases[QUARANTINE.name].read().group_by("instrument")
    for name, first, last in broken.agg(pl.min("ts"), last=pl.max("ts")).iter_rows():
        found.setdefault(name, []).append(Span(first, last + MINUTE))
    return {name: _around(spans) for name, spans in found.items() if name in held}


def is_whole(now: Sources, last: Mapping[str, Any]) -> bool:
    """Whether no row was added since under a number that the last build had covered."""
    counts = (replace(table, until=last[BATCH]).rows for table in (now.asks, now.records))
    return (last["asks"], last["records"]) == tuple(counts)
