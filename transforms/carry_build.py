"""The build of the tables of carry: finds the rows that a change of raw tables adds or replaces,
and commits them.

The tables are small and have no partitions. Rows with new keys are added; any other change builds
all rows of the dataset again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from lake import Lake
from lake.carry_tables import CARRY, RAW_CARRY, REJECTED
from lake.snapshot import Snapshot
from lake.table import BATCH
from lake.tables import WARNINGS
from transforms.carry_validation import CURATIONS, Curation, curate_rows, warned


@dataclass(frozen=True, slots=True)
class Curated:
    """The new rows of a dataset.

    Attributes:
        curation: of the dataset.
        sound: rows of its table.
        rejected: rows of `rejected`.
        is_whole: whether the sound rows become the whole table, or are added to it.
    """

    curation: Curation
    sound: pl.DataFrame
    rejected: pl.DataFrame
    is_whole: bool


@dataclass(frozen=True, slots=True)
class CarryChanges:
    """The changes of the tables of carry.

    Attributes:
        parts: of the datasets that change.
        rejected: all rows of `rejected`; None if no dataset changes.
        warnings: all rows of `warnings` of their rules.
    """

    parts: list[Curated]
    rejected: pl.DataFrame | None
    warnings: pl.DataFrame


def curate(
    lake: Lake, batch: int, bases: Mapping[str, Snapshot], last: Mapping[str, Any] | None
) -> CarryChanges:
    """Compute the tables of carry from the raw ones.

    Args:
        lake: to build from, at present or as of a batch (`lake.history.as_of`).
        batch: the newest that counts.
        bases: the curated tables, by name.
        last: the row of the build that wrote them; None if it is unknown, and then they are not
            read.

    Raises:
        LakeError: a table cannot be read.
    """
    raw = lake.state().snapshots([table.name for table in RAW_CARRY])
    if last is not None and not _is_complete(raw, bases, last[BATCH]):
        last = None
    found = (_changed(c, raw[c.raw.name], bases, batch, last) for c in CURATIONS)
    parts = [part for part in found if part is not None]
    rejected = _rejected(parts, bases, last) if parts else None
    return CarryChanges(parts, rejected, _warnings(parts, bases, last))


def commit(
    into: Lake,
    bases: dict[str, Snapshot],
    changes: CarryChanges,
    info: Mapping[str, Any],
    counters: Mapping[str, int],
    *,
    full: bool,
) -> None:
    """Commit the changes, each table once; a table whose rows do not change is not touched.

    Args:
        into: the lake to commit to.
        bases: the tables, by name; those that change are replaced.
        changes: to commit.
        info: stored in the commits.
        counters: transaction ids to set.
        full: write whole tables without reading stored rows, which may be damaged.

    Raises:
        ConflictError: another build committed meanwhile.
        LakeError: the lake cannot be read or written.
    """
    new = [(part.curation.table, part.sound, part.is_whole) for part in changes.parts]
    if changes.rejected is not None:
        new.append((REJECTED, changes.rejected, True))
    for table, rows, is_whole in new:
        base = bases[table.name]
        if not is_whole:
            if rows.height:
                added = [into.write(table, rows)]
                bases[table.name] = into.commit(base, added, info, counters=counters)
            continue
        is_nothing = rows.is_empty() and not base.files
        if not is_nothing and (full or not rows.equals(base.read())):
            bases[table.name] = into.replace(base, rows, info, counters)


def _is_complete(raw: Mapping[str, Snapshot], bases: Mapping[str, Snapshot], batch: int) -> bool:
    """Whether the tables contain each raw row up to a batch once: no row was added since under a
    number that their build had covered.
    """
    received = sum(replace(raw[c.raw.name], until=batch).rows for c in CURATIONS)
    return received == sum(bases[table.name].rows for table in CARRY)


def _changed(
    curation: Curation,
    raw: Snapshot,
    bases: Mapping[str, Snapshot],
    batch: int,
    last: Mapping[str, Any] | None,
) -> Curated | None:
    """The new rows of a dataset; None if nothing changes."""
    if last is not None:
        oldest, newest = sorted((last[BATCH], batch))
        came = replace(raw, until=newest).since(oldest)
        if came.is_empty():
            return None
        if newest == batch and not _knows_any(curation, came, bases):
            return Curated(curation, *curate_rows(curation, came), is_whole=False)
    known = replace(raw, until=batch)
    return Curated(curation, *curate_rows(curation, known.rows_of(known.files)), is_whole=True)


def _knows_any(curation: Curation, came: pl.DataFrame, bases: Mapping[str, Snapshot]) -> bool:
    """Whether the tables may have a row with the key of a new one."""
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
    parts: Sequence[Curated], bases: Mapping[str, Snapshot], last: Mapping[str, Any] | None
) -> pl.DataFrame:
    """The rows of `rejected`: the new ones, and those of other datasets and keys."""
    rows = [part.rejected for part in parts]
    if last is not None:
        made = [part.curation.dataset for part in parts if part.is_whole]
        rows.append(bases[REJECTED.name].read(~pl.col("dataset").is_in(made)))
    return REJECTED.cast(pl.concat(rows))


def _warnings(
    parts: Sequence[Curated], bases: Mapping[str, Snapshot], last: Mapping[str, Any] | None
) -> pl.DataFrame:
    """The rows of `warnings` of the rules of carry, counted again for changed datasets."""
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
