"""The sources of a build, and what changed in them since the last build."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from lake import Lake
from lake.batches import instruments_of
from lake.errors import LakeError
from lake.files import DataFile
from lake.guard import reading
from lake.slices import slices
from lake.snapshot import Snapshot
from lake.spans import Span, merge
from lake.tables import ASKS, BASIS, BATCH, CANDLES, MONTHS, RAW_CANDLES, RECORDS
from transforms.changes import Life, changed_coins, lives, moved, reached, spans_of_months
from transforms.levels import STAND_IN
from transforms.partition import Source, widened


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a build.

    Attributes:
        batch: the newest that counts.
        raw: `raw_candles` as of it.
        records: `records`, of all batches.
        asks: `asks`, of all batches.
        lives: of all instruments that have raw candles, by name.
        months: in which each may have some, by name.
        asked_until: end of what was asked, exclusive, by instrument.
        duplicates: repeats seen in replies, by instrument.
    """

    batch: int
    raw: Snapshot
    records: Snapshot
    asks: Snapshot
    lives: Mapping[str, Life]
    months: Mapping[str, tuple[datetime, ...]]
    asked_until: Mapping[str, datetime]
    duplicates: Mapping[str, int]

    def of(self, name: str, months: tuple[datetime, ...]) -> Source:
        """Return the sources of some months of an instrument."""
        life = self.lives[name]
        return Source(life, self._files(name, widened(spans_of_months(months), life)))

    def others(self, name: str, months: tuple[datetime, ...]) -> dict[str, Source]:
        """Return the other futures of the coin that may have candles near those months."""
        near = merge(
            Span(span.start - STAND_IN, span.end)
            for span in widened(spans_of_months(months), self.lives[name])
        )
        found = {
            other: Source(life, self._files(other, near))
            for other, life in self.lives.items()
            if other != name and (life.kind, life.base) == ("future", self.lives[name].base)
        }
        return {other: source for other, source in found.items() if source.files}

    def _files(self, name: str, near: list[Span]) -> tuple[DataFile, ...]:
        own = (file for file in self.raw.of(name) if file.may_be_until(self.raw.until))
        return tuple(file for file in own if any(map(file.may_hold, near)))


def read_sources(lake: Lake) -> Sources:
    """Read the sources of a build.

    Args:
        lake: as it is, or as of a batch (`lake.past`).

    Raises:
        LakeError: it cannot be read, or an instrument has raw candles and no record.
    """
    still = lake.state()
    asks, records, raw = (still.snapshot(table) for table in (ASKS, RECORDS, RAW_CANDLES))
    # Of a later batch the candles may be there and what was asked not yet.
    whole = max(asks.counter(BATCH), records.counter(BATCH))
    batch = whole if lake.as_of is None else lake.as_of
    raw = replace(raw, until=batch)
    known = lives(instruments_of(records.read(pl.col(BATCH) <= batch)))
    months: dict[str, list[datetime]] = {}
    for own in slices(raw):
        months.setdefault(own.instrument, []).append(own.month)
    if unknown := sorted(set(months) - set(known)):
        raise LakeError(
            f"raw_candles holds {', '.join(unknown)}, of which records has none. Nothing was "
            "changed; `basislake instruments` fetches the records."
        )
    figures = _figures(asks)
    return Sources(
        batch=batch,
        raw=raw,
        records=replace(records, until=None),
        asks=replace(asks, until=None),
        lives={name: known[name] for name in months},
        months={name: tuple(own) for name, own in months.items()},
        asked_until=dict(figures.select("instrument", "end").iter_rows()),
        duplicates=dict(figures.select("instrument", "duplicates").iter_rows()),
    )


def _figures(asks: Snapshot) -> pl.DataFrame:
    """Of each instrument the end of what was asked, and the repeats seen in replies."""
    with reading(asks.table, asks.uri, [file.path for file in asks.files], asks.options):
        # A window that was asked again counts its repeats once.
        windows = asks.scan().group_by("instrument", "window_start", "window_end")
        parts = windows.agg(pl.max("end"), pl.max("duplicates")).group_by("instrument")
        return parts.agg(pl.max("end"), pl.sum("duplicates")).collect()


def outdated(
    now: Sources, last: Mapping[str, Any] | None, bases: Mapping[str, Snapshot]
) -> dict[str, tuple[datetime, ...]] | None:
    """Return the months that are to be made again, by instrument; None where the tables are as they
    are to be.

    Args:
        now: the sources.
        last: the row of the build that the curated tables are of, None where that is not known.
        bases: the curated tables, by name.
    """
    held = {name: {*own} for name, own in now.months.items()}
    # Where all raw candles of a month failed validation, neither table has rows of it.
    figures = bases[MONTHS.name].read().select("instrument", "month").iter_rows()
    curated = [
        (own.instrument, own.month) for t in (CANDLES, BASIS) for own in slices(bases[t.name])
    ]
    for name, month in (*curated, *((n, _instant(day)) for n, day in figures)):
        if name in held:
            held[name].add(month)
    if last is None or not _is_whole(now, last):
        return {name: tuple(sorted(own)) for name, own in held.items()}
    if last[BATCH] == now.batch:
        return None
    oldest, newest = sorted((last[BATCH], now.batch))
    since = replace(now.raw, until=newest).since(oldest)
    came = moved(since.select("instrument", "ts"))
    then, later = (lives(instruments_of(_until(now.records, n))) for n in (oldest, newest))
    return reached(now.lives, held, changed_coins(then, later, came, held))


def _instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _is_whole(now: Sources, last: Mapping[str, Any]) -> bool:
    """Whether nothing has come since under a number that the last build had seen."""
    counts = (replace(table, until=last[BATCH]).rows for table in (now.asks, now.records))
    return (last["asks"], last["records"]) == tuple(counts)


def _until(records: Snapshot, batch: int) -> pl.DataFrame:
    return records.read(pl.col(BATCH) <= batch)
