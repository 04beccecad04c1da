"""What a build is made from, and which instruments differ between two such states; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from lake.errors import LakeError
from lake.files import DataFile
from lake.pieces import Piece, expand
from lake.snapshot import Snapshot
from lake.spans import MINUTE, Span, merge
from transforms.levels import NEAR, STAND_IN
from transforms.spikes import PERPETUAL_STALE

# How far from a change of raw candles the flags of the coin's other instruments may differ: which
# candles of a perpetual are prints, the prints around one, a price that stays flagged, and the hour
# around a minute in which a future looks at its perpetual, and both at other futures, which look at
# the perpetual.
REACH = 2 * NEAR + PERPETUAL_STALE + 3 * STAND_IN


@dataclass(frozen=True)
class Source:
    """What one instrument's curated rows are made from.

    Attributes:
        kind: `future` or `perpetual`.
        base: coin; a future is held against the perpetual of its coin.
        listed_at: creation by the record.
        expires_at: expiry by the record, None for a perpetual.
        files: its raw candles.
        came: the same as it was appended, whatever was compacted since.
        asked_until: end of what was asked of the exchange, None where that is not recorded.
    """

    kind: str
    base: str
    listed_at: datetime
    expires_at: datetime | None
    files: tuple[DataFile, ...] = field(compare=False)
    came: tuple[Piece, ...]
    asked_until: datetime | None

    @cached_property
    def life(self) -> Span:
        """From the first to the last minute that its files hold."""
        firsts = [file.first for file in self.files if file.first]
        lasts = [file.last for file in self.files if file.last]
        return Span(min(firsts), max(lasts) + MINUTE)


@dataclass(frozen=True, slots=True)
class Inputs:
    """All sources of a build, at one version of each table.

    Attributes:
        versions: of `raw_candles`, `instruments` and `coverage`; None where a table does not exist.
        sources: by instrument, of all that have raw candles.
    """

    versions: Mapping[str, int | None]
    sources: Mapping[str, Source]


def inputs_of(
    raw: Snapshot,
    instruments: pl.DataFrame,
    coverage: pl.DataFrame,
    versions: Mapping[str, int | None],
) -> Inputs:
    """Gather the sources of a build.

    Args:
        raw: `raw_candles` at some version.
        instruments: the table `instruments`.
        coverage: the table `coverage`.
        versions: of the three.

    Raises:
        LakeError: an instrument has raw candles and no record.
    """
    asked: dict[str, datetime] = dict(
        coverage.filter(pl.col("status") != "never_asked")
        .group_by("instrument")
        .agg(pl.col("end").max())
        .iter_rows()
    )
    records = {row["instrument"]: row for row in instruments.iter_rows(named=True)}
    parts = raw.by_partition()
    if unknown := sorted(set(parts) - set(records)):
        raise LakeError(
            f"raw_candles holds {', '.join(unknown)}, of which instruments has no record. "
            "Nothing was changed; `basislake instruments` fetches the records."
        )
    sources = {
        name: _source(records[name], files, expand(files, {}), asked.get(name))
        for name, files in parts.items()
    }
    return Inputs(versions, sources)


def stale(before: Inputs | None, now: Inputs) -> set[str]:
    """Return the instruments whose curated rows have to be made anew.

    Those whose own source differs; and since candles are judged beside those of their coin, where
    raw candles of one instrument differ, also the perpetual and the futures whose life comes
    within `REACH` of the minutes that differ. Everything is, where nothing is known of what was
    before.
    """
    if before is None:
        return set(now.sources)
    changed = {name for name, source in now.sources.items() if before.sources.get(name) != source}
    for base, moved in _moves(before, now):
        changed |= {
            name
            for name, source in now.sources.items()
            if source.base == base and (source.kind == "perpetual" or reached(source, moved))
        }
    return changed


def reached(future: Source, moved: Span) -> bool:
    """Whether a change in these minutes may alter a future's flags or its basis."""
    return Span(moved.start - REACH, moved.end + REACH).meets(future.life)


def gone(before: Inputs | None, now: Inputs) -> set[str]:
    """Return the instruments that had raw candles before and have none now."""
    return set(before.sources) - set(now.sources) if before else set()


def _source(
    record: Mapping[str, Any],
    files: tuple[DataFile, ...],
    came: tuple[Piece, ...],
    asked_until: datetime | None,
) -> Source:
    ordered = tuple(sorted(files, key=lambda file: file.path))
    return Source(
        kind=record["kind"],
        base=record["base"],
        listed_at=record["listed_at"],
        expires_at=record["expires_at"],
        files=ordered,
        came=came,
        asked_until=asked_until,
    )


def _moves(before: Inputs, now: Inputs) -> Iterator[tuple[str, Span]]:
    """The coins and minutes in which raw candles or their validation differ."""
    for name in before.sources.keys() | now.sources.keys():
        states = [inputs.sources[name] for inputs in (before, now) if name in inputs.sources]
        bases = {state.base for state in states}
        yield from ((base, moved) for moved in _moved(*states) for base in bases)


def _moved(one: Source, other: Source | None = None) -> list[Span]:
    """The minutes in which the curated candles of two states of an instrument may differ; all of
    them where it is in one state only.
    """
    came = other.came if other else ()
    is_other_life = other is None or _record(other) != _record(one)
    own = {*came, *one.came} if is_other_life else set(came) ^ set(one.came)
    return merge(Span(p.first, p.last + MINUTE) for p in own if p.first and p.last)


def _record(source: Source) -> tuple[str, str, datetime, datetime | None]:
    return source.kind, source.base, source.listed_at, source.expires_at
