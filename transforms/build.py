"""The build: which curated partitions are out of date, made anew in an executor, committed by one
committer.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import polars as pl

from lake import Lake
from lake.files import DataFile
from lake.pieces import pieces_of
from lake.snapshot import Snapshot
from lake.tables import (
    BASIS,
    CANDLES,
    CURATED,
    QUALITY,
    QUARANTINE,
    RAW_CANDLES,
    WARNINGS,
)
from lake.versions import PastLake
from transforms.basis import DAYS_PER_YEAR, LEAST_MINUTES_TO_ANNUALISE
from transforms.before import (
    duplicates,
    expanded,
    inputs_before,
    known_since,
    located,
    read_inputs,
)
from transforms.inputs import Inputs, Source, gone, stale
from transforms.levels import CAP, FLOOR, FUTURE_DEVIATIONS, PERPETUAL_DEVIATIONS, PRINTS
from transforms.partition import Built, Task, build_partition
from transforms.rules_hash import rules_hash

# What curated rows depend on besides their sources, kept in the lineage of every commit: tables
# that were made with others are made anew.
SETTINGS = {
    "days_per_year": DAYS_PER_YEAR,
    "least_minutes_to_annualise": LEAST_MINUTES_TO_ANNUALISE,
    "spike_floor": FLOOR,
    "spike_cap": CAP,
    "spike_future_deviations": FUTURE_DEVIATIONS,
    "spike_perpetual_deviations": PERPETUAL_DEVIATIONS,
    "spike_prints": PRINTS,
}


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did, and what the curated tables hold after it.

    Attributes:
        candles: rows of `candles`.
        quarantined: rows of `quarantine`.
        basis_rows: rows of `basis`.
        unmatched: candles of futures without their perpetual's minute.
        raw_version: of `raw_candles` that the tables are made from, None where there is none.
        rebuilt: instruments made anew.
        unchanged: instruments left as they were.
        seconds: it took.
    """

    candles: int
    quarantined: int
    basis_rows: int
    unmatched: int
    raw_version: int | None
    rebuilt: int
    unchanged: int
    seconds: float


def build(
    lake: Lake,
    executor: Executor,
    program: str,
    *,
    full: bool = False,
    raw_version: int | None = None,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    clock: Callable[[], float] = time.monotonic,
) -> BuildResult:
    """Bring `candles`, `quarantine`, `warnings`, `basis` and `quality` up to date with the raw
    tables.

    Only instruments whose sources, or those of the instruments they are judged beside, changed
    since the tables were built are built again; where nothing did, nothing is committed. Other
    rules (`rules_hash`) or other settings build everything again. A kill leaves the tables as they
    were, or some of them new; the next build finishes.

    Args:
        lake: to build in.
        executor: runs one task per instrument.
        program: name and version, for the lineage of commits.
        full: make everything anew.
        raw_version: make the tables from `raw_candles` at this version, and from the instruments
            and the coverage of then (`lake.versions`), instead of from the newest.
        report: told how many of how many instruments are done.
        clock: seconds, never going back.

    Raises:
        UsageError: `raw_candles` has no such version.
        LakeError: the lake cannot be read or written.
        ConflictError: another build committed meanwhile; run it again.
    """
    start_s = clock()
    alike = {"rules": rules_hash(), "settings": SETTINGS}
    now = read_inputs(lake if raw_version is None else PastLake(lake, raw_version))
    bases = {table.name: lake.snapshot(table) for table in CURATED}
    # After the curated tables: what another build commits meanwhile is a conflict, never mistaken
    # for what the tables hold.
    before = dict.fromkeys(bases) if full else inputs_before(lake, alike)
    # After the raw tables, so that it tells of every file they name, whoever commits meanwhile.
    commits = lake.history(RAW_CANDLES, since=known_since([now, *before.values()]))
    pieces = pieces_of(commits)
    now = expanded(now, pieces)
    known = _known(bases[QUALITY.name]) if before[QUALITY.name] else {}
    repeats = duplicates(commits, before[QUALITY.name], known, now)
    outdated = {name for name in now.sources if repeats[name] != known.get(name, 0)}
    withdrawn: set[str] = set()
    for name, state in before.items():
        then = expanded(state, pieces) if state else None
        outdated |= stale(then, now)
        withdrawn |= gone(then, now) | _strangers(bases[name], now)
    if outdated or withdrawn:
        ready = located(now, lake.snapshot(RAW_CANDLES, now.versions[RAW_CANDLES.name]))
        built = _run(lake, executor, ready, bases[CANDLES.name], outdated, repeats, report)
        lineage = {"program": program, **alike, "made_from": dict(now.versions)}
        _commit(lake, bases, built, outdated | withdrawn, set(now.sources) - outdated, lineage)
    return _result(lake, now, len(outdated), clock() - start_s)


def _strangers(curated: Snapshot, now: Inputs) -> set[str]:
    return set(curated.by_partition()) - set(now.sources) if curated.table.partition else set()


def _known(quality: Snapshot) -> dict[str, int]:
    """Repeats by instrument, as the table counts them."""
    return dict(quality.read().select("instrument", "duplicates").iter_rows())


def _run(
    lake: Lake,
    executor: Executor,
    now: Inputs,
    candles: Snapshot,
    names: set[str],
    repeats: Mapping[str, int],
    report: Callable[[int, int], None],
) -> list[Built]:
    """Build the perpetuals, then the futures against them."""
    perpetual_files = {
        source.base: candles.of(name)
        for name, source in now.sources.items()
        if source.kind == "perpetual"
    }
    built: list[Built] = []
    for kind in ("perpetual", "future"):
        chosen = sorted(name for name in names if now.sources[name].kind == kind)
        tasks = [_task(lake, now, name, perpetual_files, repeats) for name in chosen]
        for done in executor.map(build_partition, tasks):
            built.append(done)
            report(len(built), len(names))
            if kind == "perpetual":
                base = now.sources[done.instrument].base
                perpetual_files[base] = (done.candles,) if done.candles else ()
    return built


def _task(
    lake: Lake,
    now: Inputs,
    name: str,
    perpetual_files: Mapping[str, tuple[DataFile, ...]],
    repeats: Mapping[str, int],
) -> Task:
    source = now.sources[name]
    against = perpetual_files.get(source.base, ()) if source.kind == "future" else ()
    return Task(
        lake_uri=lake.uri,
        lake_options=lake.options,
        instrument=name,
        source=source,
        perpetual=against,
        others=_others(now, name),
        duplicates=repeats.get(name, 0),
    )


def _others(now: Inputs, name: str) -> dict[str, Source]:
    """The other futures of the coin that share minutes with an instrument."""
    own = now.sources[name]
    return {
        other: source
        for other, source in now.sources.items()
        if other != name
        and (source.kind, source.base) == ("future", own.base)
        and source.life.meets(own.life)
    }


def _commit(
    lake: Lake,
    bases: Mapping[str, Snapshot],
    built: list[Built],
    replaced: set[str],
    kept: set[str],
    lineage: Mapping[str, Any],
) -> None:
    for table, added in (
        (CANDLES, [done.candles for done in built if done.candles]),
        (BASIS, [done.basis for done in built if done.basis]),
    ):
        lake.commit(bases[table.name], added, lineage, replacing=replaced)
    for table, frames in (
        (QUARANTINE, [done.quarantine for done in built]),
        (WARNINGS, [done.warnings for done in built]),
        (QUALITY, [done.quality for done in built]),
    ):
        base = bases[table.name]
        # Where nothing is kept, what is damaged is not read, so that a full build makes it whole.
        old = base.read(pl.col("instrument").is_in(sorted(kept))) if kept else table.empty()
        rows = pl.concat([old, *(frame.select(table.names) for frame in frames)])
        added = [lake.write(table, rows)] if rows.height else []
        lake.commit(base, added, lineage, replacing=None)


def _result(lake: Lake, now: Inputs, rebuilt: int, seconds: float) -> BuildResult:
    candles, basis = lake.snapshot(CANDLES), lake.snapshot(BASIS)
    futures = {name for name, source in now.sources.items() if source.kind == "future"}
    return BuildResult(
        candles=candles.rows,
        quarantined=lake.snapshot(QUARANTINE).rows,
        basis_rows=basis.rows,
        unmatched=_rows_of(candles, futures) - basis.rows,
        raw_version=now.versions[RAW_CANDLES.name],
        rebuilt=rebuilt,
        unchanged=len(now.sources) - rebuilt,
        seconds=seconds,
    )


def _rows_of(snapshot: Snapshot, names: Iterable[str]) -> int:
    wanted = set(names)
    return sum(file.rows for file in snapshot.files if file.partition in wanted)
