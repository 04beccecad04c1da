"""How a build becomes visible: its tables are committed one after the other, its row last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lake import Lake
from lake.snapshot import Snapshot
from lake.state import BUILD
from lake.table import Table
from lake.tables import BASIS, BUILDS, CANDLES, CURATED, PERIODS, QUALITY, QUARANTINE, WARNINGS
from transforms import carry_build
from transforms.build_inputs import Sources
from transforms.build_task import Built
from transforms.periods import Chosen, period_of_rows
from transforms.quality import quality, warnings


@dataclass(frozen=True, slots=True)
class Made:
    """What a build computed.

    Attributes:
        sources: that it read.
        chosen: periods that it built again, by instrument.
        built: the rows and files of those.
        carry: changes of the tables of funding, deliveries and settlements.
    """

    sources: Sources
    chosen: Chosen
    built: list[Built]
    carry: carry_build.CarryChanges


def commit(
    into: Lake,
    bases: dict[str, Snapshot],
    made: Made,
    info: Mapping[str, Any],
    *,
    full: bool,
) -> int:
    """Commit table after table, and the row of `builds` last.

    Args:
        into: the lake.
        bases: the curated tables and `builds` that the build started from, by name; afterwards
            those that it left.
        made: by the build.
        info: program, rules and settings, for `builds` and the commits.
        full: replace everything that is stored.

    Returns:
        the size of the new files of `candles` and `basis`, in bytes.

    Raises:
        LakeError: the lake cannot be written; readers still see the build before.
        ConflictError: another build committed meanwhile.
    """
    sources = made.sources
    number = 1 + max(base.counter(BUILD) for base in bases.values())
    info = {**info, "build": number}
    written = 0
    for table in (CANDLES, BASIS):
        changes = [part.candles if table is CANDLES else part.basis for part in made.built]
        added = [file for change in changes for file in change.added]
        base = bases[table.name]
        removed = list(base.files) if full else [f for c in changes for f in c.removed]
        removed += [f for f in base.files if f.partition not in sources.lives and not full]
        written += sum(file.bytes for file in added)
        if added or removed:
            bases[table.name] = into.commit(
                base, added, info, removing=removed, counters={BUILD: number}
            )
    carry_build.commit(into, bases, made.carry, info, {BUILD: number}, full=full)
    old = {
        table: table.empty() if full else bases[table.name].read()
        for table in (QUARANTINE, PERIODS, WARNINGS, QUALITY)
    }
    for table, rows in _small(old, made):
        if not full and table.cast(rows).equals(old[table]):
            continue
        bases[table.name] = into.replace(bases[table.name], rows, info, {BUILD: number})
    versions = {f"{table.name}_version": bases[table.name].version or 0 for table in CURATED}
    row = {
        "build": number,
        "batch": sources.batch,
        "rules": info["rules"],
        "settings": info["settings"],
        "asks": replace(sources.asks, until=sources.batch).rows,
        "records": replace(sources.records, until=sources.batch).rows,
        **versions,
        "program": info["program"],
        "at": datetime.now(UTC),
    }
    file = into.write(BUILDS, pl.DataFrame([row], schema=BUILDS.polars_schema))
    bases[BUILDS.name] = into.commit(bases[BUILDS.name], [file], info, counters={BUILD: number})
    return written


def _small(old: Mapping[Table, pl.DataFrame], made: Made) -> Iterable[tuple[Table, pl.DataFrame]]:
    """The new rows of the tables in one piece."""
    sources = made.sources
    again = [(name, period.date()) for name, periods in made.chosen.items() for period in periods]
    schema = {name: PERIODS.polars_schema[name] for name in ("instrument", "period")}
    keys = pl.DataFrame(again, schema=schema, orient="row")
    known = pl.col("instrument").is_in(list(sources.lives))

    def kept(table: Table, period: pl.Expr) -> pl.DataFrame:
        return old[table].filter(known).with_columns(_period=period).join(
            keys, left_on=["instrument", "_period"], right_on=["instrument", "period"], how="anti",
            maintain_order="left",
        ).select(table.names)  # fmt: skip

    quarantine = kept(QUARANTINE, period_of_rows().dt.date())
    yield QUARANTINE, pl.concat([quarantine, *(part.quarantine for part in made.built)])
    periods = pl.concat([kept(PERIODS, pl.col("period")), *(part.figures for part in made.built)])
    periods = PERIODS.cast(periods)
    yield PERIODS, periods
    yield WARNINGS, pl.concat([warnings(periods), made.carry.warnings])
    yield QUALITY, quality(periods, sources.asked_until, sources.duplicates)
