"""The build: finds the periods of the curated tables that a change can affect, builds them again
in an executor, and commits them.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from typing import Any

from lake import Lake
from lake.carry_tables import CARRY
from lake.files.slices import month_of, slices
from lake.files.sorted_rows import in_runs
from lake.location.lake_address import Address
from lake.snapshot import Snapshot
from lake.state import BUILD, newest_build
from lake.tables import (
    BASIS,
    BUILDS,
    CANDLES,
    CURATED,
    QUARANTINE,
)
from lake.time.intervals import Span
from transforms import carry_build
from transforms.basis import DAYS_PER_YEAR, LEAST_MINUTES_TO_ANNUALISE
from transforms.build_commit import Made, commit
from transforms.build_inputs import Sources, is_whole, outdated, read_sources
from transforms.build_task import Built, Task, build_partition, widened
from transforms.carry_validation import CAPS, MOST_APART
from transforms.month_files import Held, Key
from transforms.periods import Chosen, spans_of_periods
from transforms.rules_hash import rules_hash
from transforms.spike_bounds import (
    CAP,
    FLOOR,
    FUTURE_DEVIATIONS,
    PERPETUAL_DEVIATIONS,
    PRINTS,
    STAND_IN,
)
from transforms.staleness import Life

# For the futures of a task together, some 360,000 rows; for a perpetual, a year.
_MOST_PERIODS = 64
_MOST_PERIODS_ALONE = 84

# Constants that curated rows depend on, in addition to their sources: if one changes, tables are
# built again.
SETTINGS = {
    "days_per_year": DAYS_PER_YEAR,
    "least_minutes_to_annualise": LEAST_MINUTES_TO_ANNUALISE,
    "spike_floor": FLOOR,
    "spike_cap": CAP,
    "spike_future_deviations": FUTURE_DEVIATIONS,
    "spike_perpetual_deviations": PERPETUAL_DEVIATIONS,
    "spike_prints": PRINTS,
    "funding_caps": CAPS,
    "funding_sum_apart": MOST_APART,
}


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The result of a build, and the curated tables after it.

    Attributes:
        candles: rows of `candles`.
        quarantined: rows of `quarantine`.
        basis_rows: rows of `basis`.
        unmatched: candles of futures without their perpetual's minute.
        raw_version: the batch that the tables are built from, None without a build.
        rebuilt: instruments with periods that were built again.
        periods: number of those periods.
        unchanged: instruments without any.
        bytes_written: of the files of `candles` and `basis`.
        carry: rows of each table of funding, deliveries and settlements, by name.
        seconds: duration.
    """

    candles: int
    quarantined: int
    basis_rows: int
    unmatched: int
    raw_version: int | None
    rebuilt: int
    periods: int
    unchanged: int
    bytes_written: int
    carry: dict[str, int]
    seconds: float


def build(
    lake: Lake,
    executor: Executor,
    program: str,
    *,
    full: bool = False,
    target: Lake | None = None,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> BuildResult:
    """Bring the curated tables up to date with the raw ones.

    Only periods that a change since the last build can affect are built again; without changes
    nothing is committed. If the rules (`rules_hash`) or settings changed, everything is. After a
    kill readers see the tables unchanged (`lake.state`); the next build finishes.

    Args:
        lake: to build from, at present or as of a batch (`lake.history.as_of`).
        executor: runs the tasks: a year of a perpetual each, or some futures of one coin.
        program: name and version, for `builds`.
        full: build everything again, without reading stored curated rows.
        target: the lake to build in; by default the present state of `lake`.
        report: called with the number of finished instruments and of all instruments.

    Raises:
        LakeError: the lake cannot be read or written.
        ConflictError: another build committed meanwhile; run it again.
    """
    start_s = time.monotonic()
    into = target or Lake(lake.uri, lake.options)
    # Opened before the raw tables: a commit of another build meanwhile is then a conflict, and is
    # never taken for this build's own rows.
    bases = {table.name: into.snapshot(table) for table in (BUILDS, *CURATED)}
    sources = read_sources(lake)
    alike = {"rules": rules_hash(), "settings": json.dumps(SETTINGS, sort_keys=True)}
    # A full build reads no curated table, so it replaces damaged ones.
    last = None if full else _last(bases, sources, alike)
    chosen = sources.all() if full else outdated(sources, last, bases)
    written = 0
    if chosen is not None:
        built = _run(lake, into, executor, sources, bases, chosen, report, full=full)
        carry = carry_build.curate(lake, sources.batch, bases, last)
        made = Made(sources, chosen, built, carry)
        written = commit(into, bases, made, {**alike, "program": program}, full=full)
    return _result(bases, sources, chosen or {}, written, time.monotonic() - start_s)


def _last(
    bases: Mapping[str, Snapshot], sources: Sources, alike: Mapping[str, str]
) -> dict[str, Any] | None:
    """The row of the last build, None if the tables may differ from it: there is none, its rules
    were others, a killed build has committed since, or a row was added under a number that the
    build had covered.
    """
    last = newest_build(bases[BUILDS.name])
    if last is None:
        return None
    is_dirty = any(bases[table.name].counter(BUILD) > last["build"] for table in CURATED)
    is_alike = all(last[name] == value for name, value in alike.items())
    return last if is_alike and not is_dirty and is_whole(sources, last) else None


def _run(
    lake: Lake,
    into: Lake,
    executor: Executor,
    sources: Sources,
    bases: Mapping[str, Snapshot],
    chosen: Chosen,
    report: Callable[[int, int], None],
    *,
    full: bool,
) -> list[Built]:
    """Build the perpetuals, then the futures against them."""
    candles, basis = (_held(bases[t.name], {} if full else chosen) for t in (CANDLES, BASIS))
    perpetuals = {
        life.base: () if full else bases[CANDLES.name].of(name)
        for name, life in sources.lives.items()
        if life.kind == "perpetual"
    }
    built: list[Built] = []
    done = 0
    for kind in ("perpetual", "future"):
        tasks = []
        for names, periods in _parts(sources.lives, chosen, candles, kind):
            base = sources.lives[names[0]].base
            near = widened(spans_of_periods(periods), kind)
            months = {(name, month_of(period)) for name in names for period in periods}
            task = Task(
                lake=Address(lake.uri, lake.options),
                target=Address(into.uri, into.options),
                until=sources.batch,
                kind=kind,
                sources=sources.of(names, near),
                periods=periods,
                candles={key: own for key, own in candles.items() if key in months},
                basis={key: own for key, own in basis.items() if key in months},
                perpetual=perpetuals.get(base, ()) if kind == "future" else (),
                others=sources.of(
                    sources.futures(base), [Span(s.start - STAND_IN, s.end) for s in near]
                ),
            )
            tasks.append(task)
        left = Counter(name for task in tasks for name in task.sources)
        for part in executor.map(build_partition, tasks):
            built.append(part)
            left.subtract(part.instruments)
            done += sum(not left[name] for name in part.instruments)
            report(done, len(chosen))
            if kind == "perpetual":
                base = sources.lives[part.instruments[0]].base
                gone = set(part.candles.removed)
                kept = (file for file in perpetuals[base] if file not in gone)
                perpetuals[base] = (*kept, *part.candles.added)
    return built


def _parts(
    lives: Mapping[str, Life], chosen: Chosen, held: Mapping[Key, Held], kind: str
) -> Iterator[tuple[list[str], tuple[datetime, ...]]]:
    """The instruments of a kind and the periods that one task builds: some of a perpetual, or all
    of some futures.
    """
    if kind == "future":
        for names in _together(lives, chosen):
            yield names, tuple(sorted({period for name in names for period in chosen[name]}))
        return
    shared = {name for (name, _), own in held.items() if not own.is_apart}
    for name in (name for name in chosen if lives[name].kind == kind):
        months = (list(month) for _, month in groupby(chosen[name], month_of))
        # A file with rows of several months can be replaced by one task only.
        most = sys.maxsize if name in shared else _MOST_PERIODS_ALONE
        for some in in_runs(months, len, most):
            yield [name], tuple(chain(*some))


def _together(lives: Mapping[str, Life], chosen: Chosen) -> Iterator[list[str]]:
    """The futures that one task builds: of one coin and of similar listing times, so many that a
    task's overhead is small compared with its rows, but few enough for memory.
    """
    own = [name for name in chosen if lives[name].kind == "future"]
    own.sort(key=lambda name: (lives[name].base, lives[name].listed_at, name))
    for _, of_coin in groupby(own, lambda name: lives[name].base):
        yield from in_runs(of_coin, lambda name: len(chosen[name]), _MOST_PERIODS)


def _held(base: Snapshot, chosen: Chosen) -> dict[Key, Held]:
    months = {(name, month_of(period)) for name, periods in chosen.items() for period in periods}
    return {
        (own.instrument, own.month): Held(own.files, own.is_apart)
        for own in slices(base, chosen)
        if (own.instrument, own.month) in months
    }


def _result(
    bases: Mapping[str, Snapshot],
    sources: Sources,
    chosen: Chosen,
    written: int,
    seconds: float,
) -> BuildResult:
    candles, basis = bases[CANDLES.name], bases[BASIS.name]
    futures = {name for name, life in sources.lives.items() if life.kind == "future"}
    of_futures = sum(file.rows for file in candles.files if file.partition in futures)
    return BuildResult(
        candles=candles.rows,
        quarantined=bases[QUARANTINE.name].rows,
        basis_rows=basis.rows,
        unmatched=of_futures - basis.rows,
        raw_version=sources.batch or None,
        rebuilt=len(chosen),
        periods=sum(map(len, chosen.values())),
        unchanged=len(sources.lives) - len(chosen),
        bytes_written=written,
        carry={table.name: bases[table.name].rows for table in CARRY},
        seconds=seconds,
    )
