"""The build of the tables of carry: which rows a change of the raw ones adds or replaces, and their
commits.

The tables are small and in one piece. A row whose key is new is added; any other change makes all
rows of its dataset again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from lake import Lake
from lake.carry_tables import CARRY, RAW_CARRY, REJECTED
from lake.snapshot import Snapshot
from lake.table import BATCH, Table
from lake.tables import WARNINGS
from transforms.carry import CURATIONS, Curation, curate_rows, warned


@dataclass(frozen=True, slots=True)
class Coming:
    """What becomes of a table.

    Attributes:
        table: the declaration.
        rows: that come.
        is_whole: whether they are all that the table is to hold, or come to those that it holds.
    """

    table: Table
    rows: pl.DataFrame
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Carry:
    """The tables of carry as they are to be.

    Attributes:
        changes: of those that change.
        warnings: all rows of `warnings` that are of their rules.
    """

    changes: tuple[Coming, ...]
    warnings: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Curated:
    """The rows of a dataset that come: sound ones and rejected ones; see `Coming.is_whole`."""

    curation: Curation
    sound: pl.DataFrame
    rejected: pl.DataFrame
    is_whole: bool


def curate(
    lake: Lake, batch: int, bases: Mapping[str, Snapshot], last: Mapping[str, Any] | None
) -> Carry:
    """Work out the tables of carry from the raw ones.

    Args:
        lake: to build from, as it is or as of a batch (`lake.past`).
        batch: the newest that counts.
        bases: the curated tables, by name.
        last: the row of the build that made them; None where that is not known, and nothing of them
            is read then.

    Raises:
        LakeError: a table cannot be read.
    """
    raw = lake.state().snapshots([table.name for table in RAW_CARRY])
    if last is not None and not _is_complete(raw, bases, last[BATCH]):
        last = None
    found = (_changed(c, raw[c.raw.name], bases, batch, last) for c in CURATIONS)
    parts = [part for part in found if part is not None]
    changes = [Coming(part.curation.table, part.sound, part.is_whole) for part in parts]
    if parts:
        changes.append(Coming(REJECTED, _rejected(parts, bases, last), is_whole=True))
    return Carry(tuple(changes), _warnings(parts, bases, last))


def commit(
    into: Lake,
    bases: dict[str, Snapshot],
    changes: Sequence[Coming],
    info: Mapping[str, Any],
    counters: Mapping[str, int],
    *,
    full: bool,
) -> None:
    """Commit the changes, each table once; one that holds its rows already is left alone.

    Args:
        into: the lake to commit to.
        bases: the tables, by name; those that change are replaced.
        changes: of tables.
        info: kept in the commits.
        counters: numbers to set.
        full: write whole tables without reading what is stored, which may be damaged.

    Raises:
        ConflictError: another build committed meanwhile.
        LakeError: the lake cannot be read or written.
    """
    for change in changes:
        base = bases[change.table.name]
        if not change.is_whole:
            if change.rows.height:
                added = [into.write(change.table, change.rows)]
                bases[change.table.name] = into.commit(base, added, info, counters=counters)
            continue
        is_nothing = change.rows.is_empty() and not base.files
        if is_nothing or (not full and change.rows.equals(base.read())):
            continue
        bases[change.table.name] = into.replace(base, change.rows, info, counters)


def _is_complete(raw: Mapping[str, Snapshot], bases: Mapping[str, Snapshot], batch: int) -> bool:
    """Whether each raw row up to a batch is in the tables once: none has come since under a number
    that their build had seen.
    """
    received = sum(replace(raw[c.raw.name], until=batch).rows for c in CURATIONS)
    return received == sum(bases[table.name].rows for table in CARRY)


def _changed(
    curation: Curation,
    raw: Snapshot,
    bases: Mapping[str, Snapshot],
    batch: int,
    last: Mapping[str, Any] | None,
) -> _Curated | None:
    """The rows of a dataset that come; None where it is as it is to be."""
    if last is not None:
        oldest, newest = sorted((last[BATCH], batch))
        came = replace(raw, until=newest).since(oldest)
        if came.is_empty():
            return None
        if newest == batch and not _knows_any(curation, came, bases):
            return _Curated(curation, *curate_rows(curation, came), is_whole=False)
    known = replace(raw, until=batch)
    return _Curated(curation, *curate_rows(curation, known.rows_of(known.files)), is_whole=True)


def _knows_any(curation: Curation, came: pl.DataFrame, bases: Mapping[str, Snapshot]) -> bool:
    """Whether the tables may hold a row of the key of one that came."""
    subject, time, *_ = curation.table.key
    held = bases[curation.table.name].read()
    if held.join(came, on=list(curation.table.key), how="semi").height:
        return True
    rejected = bases[REJECTED.name].read(pl.col("dataset") == curation.dataset)
    when = came.select(subject, pl.col(time).cast(REJECTED.polars_schema["ts"]))
    return rejected.join(
        when, left_on=["instrument", "ts"], right_on=[subject, time], how="semi"
    ).height > 0  # fmt: skip


def _rejected(
    parts: Sequence[_Curated], bases: Mapping[str, Snapshot], last: Mapping[str, Any] | None
) -> pl.DataFrame:
    """The rows of `rejected`: those that come, and those of other datasets and keys."""
    rows = [part.rejected for part in parts]
    if last is not None:
        made = [part.curation.dataset for part in parts if part.is_whole]
        rows.append(bases[REJECTED.name].read(~pl.col("dataset").is_in(made)))
    return REJECTED.cast(pl.concat(rows))


def _warnings(
    parts: Sequence[_Curated], bases: Mapping[str, Snapshot], last: Mapping[str, Any] | None
) -> pl.DataFrame:
    """The rows of `warnings` of the rules of carry, counted again where their dataset changes."""
    counts: dict[tuple[str, str], int] = {}
    for part in (part for part in parts if part.curation.warnings):
        table, rows = part.curation.table, [part.sound]
        if not part.is_whole:
            rows.append(bases[table.name].read())
        counts |= warned(part.curation, table.cast(pl.concat(rows)))
    counted = [(*key, count) for key, count in counts.items()]
    found = pl.DataFrame(counted, schema=WARNINGS.polars_schema, orient="row")
    changed = [part.curation for part in parts]
    kept = [rule.name for c in CURATIONS if c not in changed for rule in c.warnings]
    if last is None or not kept:
        return found
    return pl.concat([found, bases[WARNINGS.name].read(pl.col("rule").is_in(kept))])
