"""What a build is made from, and what of it is newer, or older, than the last build."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
from lake.tables import ASKS, BASIS, BATCH, CANDLES, RAW_CANDLES, RECORDS
from transforms.changes import Life, lives, moved, reached, spans_of_months
from transforms.levels import STAND_IN
from transforms.partition import Source, beside


@dataclass(frozen=True, slots=True)
class Sources:
    """What a build is made from.

    Attributes:
        batch: the newest that counts.
        raw: `raw_candles` as of it.
        lives: of all instruments that have raw candles, by name.
        months: in which each may have some, by name.
        asked_until: end of what was asked, exclusive, by instrument.
        duplicates: repeats seen in replies, by instrument.
        asks: rows of `asks` up to the batch.
        records: rows of `records` up to it.
    """

    batch: int
    raw: Snapshot
    lives: Mapping[str, Life]
    months: Mapping[str, tuple[datetime, ...]]
    asked_until: Mapping[str, datetime]
    duplicates: Mapping[str, int]
    asks: int
    records: int

    def of(self, name: str, months: tuple[datetime, ...]) -> Source:
        """Return what some months of an instrument are made from."""
        life = self.lives[name]
        return Source(life, self._files(name, beside(spans_of_months(months), life)))

    def others(self, name: str, months: tuple[datetime, ...]) -> dict[str, Source]:
        """Return the other futures of the coin that may have candles beside those months."""
        near = merge(
            Span(span.start - STAND_IN, span.end)
            for span in beside(spans_of_months(months), self.lives[name])
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
    """Read what a build is made from.

    Args:
        lake: as it is, or as of a batch (`lake.past`).

    Raises:
        LakeError: it cannot be read, or an instrument has raw candles and no record.
    """
    asks, records, raw = (lake.snapshot(table) for table in (ASKS, RECORDS, RAW_CANDLES))
    # Of a later batch the candles may be there and what was asked not yet.
    whole = max(asks.counter(BATCH), records.counter(BATCH))
    batch = whole if lake.as_of is None else lake.as_of
    raw = dataclasses.replace(raw, until=batch)
    known = lives(instruments_of(records.read()))
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
        lives={name: known[name] for name in months},
        months={name: tuple(own) for name, own in months.items()},
        asked_until=dict(figures.select("instrument", "end").iter_rows()),
        duplicates=dict(figures.select("instrument", "duplicates").iter_rows()),
        asks=asks.rows,
        records=records.rows,
    )


def _figures(asks: Snapshot) -> pl.DataFrame:
    """Of each instrument the end of what was asked, and the repeats seen in replies."""
    with reading(asks.table, asks.uri, [file.path for file in asks.files], asks.options):
        parts = asks.scan().group_by("instrument")
        return parts.agg(pl.max("end"), pl.sum("duplicates")).collect()


def outdated(
    lake: Lake,
    now: Sources,
    last: Mapping[str, Any] | None,
    bases: Mapping[str, Snapshot],
) -> dict[str, tuple[datetime, ...]] | None:
    """Return the months that are to be made again, by instrument; None where the tables are as they
    are to be.

    Args:
        lake: that the sources are of.
        now: the sources.
        last: the row of the build that the curated tables are of, None where that is not known.
        bases: the curated tables, by name.
    """
    held: dict[str, set[datetime]] = {name: set(own) for name, own in now.months.items()}
    for table in (CANDLES, BASIS):
        for own in slices(bases[table.name], now.months):
            held[own.instrument].add(own.month)
    present = Lake(lake.uri, lake.options)
    if last is None or not _is_whole(present, last):
        return {name: tuple(sorted(own)) for name, own in held.items()}
    if last[BATCH] == now.batch:
        return None
    oldest, newest = sorted((last[BATCH], now.batch))
    since = present.snapshot(RAW_CANDLES).since(oldest, pl.col(BATCH) <= newest)
    changed = moved(since.select("instrument", "ts"))
    for name in _reborn(present, oldest, newest):
        changed[name] = spans_of_months(held.get(name, ()))
    known = {**_lives_at(present, None), **now.lives}
    return reached(known, held, {name: own for name, own in changed.items() if name in known})


def _is_whole(present: Lake, last: Mapping[str, Any]) -> bool:
    """Whether nothing has come since under a number that the last build had seen."""
    counts = {}
    for table in (ASKS, RECORDS):
        newest = present.snapshot(table)
        until = pl.col(BATCH) <= last[BATCH]
        whole = sum(file.rows for file in newest.files if file.is_until(last[BATCH]))
        rest = [f for f in newest.files if not f.is_until(last[BATCH]) and f.may_be_until(last[BATCH])]
        counts[table.name] = whole + (newest.rows_of(rest, until).height if rest else 0)
    return all(last[name] == count for name, count in counts.items())


def _reborn(present: Lake, oldest: int, newest: int) -> set[str]:
    """The instruments whose lives differ between two batches."""
    then, now = _lives_at(present, oldest), _lives_at(present, newest)
    return {name for name in {*then, *now} if then.get(name) != now.get(name)}


def _lives_at(present: Lake, batch: int | None) -> dict[str, Life]:
    until = [] if batch is None else [pl.col(BATCH) <= batch]
    return lives(instruments_of(present.snapshot(RECORDS).read(*until)))
