"""The planner: computes what the lake still needs of a selection; nothing is called or changed."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ingest.backfill.asks import coverage_of
from ingest.datasets import DATASETS, chosen
from ingest.datasets.candles import CANDLES, candles_of
from ingest.plan.scope import chosen_of
from ingest.plan.selection import Selection, choose
from ingest.plan.windows import Plan, make_plan, selected_steps
from lake import Lake
from lake.carry_tables import REJECTED
from lake.coverage import Coverage, Subject
from lake.tables import ASKS, INSTRUMENTS, QUARANTINE, SUPERSEDED
from lake.time.intervals import Span, subtract

_END_OF_TIME = datetime(2100, 1, 1, tzinfo=UTC)


class Planner:
    """Plans the subjects of a selection, and again when another run may have changed the lake.

    Attributes:
        now: the exchange's clock when it was asked.
        datasets: names of the selected datasets.
        wanted: the steps to store of each subject with a selected step, in the order of fetching.
        is_current: whether the table `coverage` was up to date when read; it is not after a run
            was killed, or during its commit.
    """

    def __init__(
        self,
        lake: Lake,
        selection: Selection,
        now: datetime,
        *,
        repair: bool = False,
        again: bool = False,
        without: Collection[Subject] = (),
    ) -> None:
        """Read the lake.

        Args:
            lake: to read `instruments` and `coverage` from.
            selection: of datasets, instruments and time.
            now: the exchange's clock.
            repair: fetch again all steps that were answered without a row, or whose row the last
                build rejected.
            again: fetch again all steps of the selection, even stored ones; without those of
                perpetuals that are only companions of futures.
            without: subjects that are not planned.
        """
        rows = choose(lake.snapshot(INSTRUMENTS).read(), selection)
        self.datasets = [dataset.name for dataset in chosen(selection.data)]
        self.wanted: dict[Subject, Sequence[Span]] = {
            subject: spans
            for dataset in chosen(selection.data)
            for name, spans in dataset.wanted(rows, now).items()
            if (subject := Subject(dataset.name, name)) not in without
            and selected_steps(subject, spans, selection.span)
        }
        self.now = now
        self._again = again
        self._companions = set(rows.filter("is_companion")["instrument"])
        self._refused = _refused(lake) if repair else {}
        self._lake = lake
        self._selected = selection.span
        self._repair = repair
        self._versions = lake.versions(ASKS)
        self._version = next(self._versions)
        self._coverage, self.is_current = coverage_of(lake)

    def plans(self) -> list[Plan]:
        """Plan all subjects."""
        return [self.plan(subject) for subject in self.wanted]

    def plan(self, subject: Subject) -> Plan:
        """Plan a subject by the coverage read last.

        Needed are steps that are `failed` or were never asked; and `missing` ones until two
        consecutive backfills found them missing.
        """
        coverage = self.coverage(subject)
        return make_plan(
            subject,
            self.wanted[subject],
            _held(subject, coverage),
            self._selected,
            self._purposely(subject, coverage),
        )

    def coverage(self, subject: Subject) -> Coverage:
        """Return a copy of a subject's coverage as read last."""
        return replace(self._coverage.get(subject, Coverage()))

    def renew(self) -> None:
        """Read the coverage again if another run has fetched something since."""
        newest = next(self._versions)
        if newest != self._version:
            self._version = newest
            self._coverage, self.is_current = coverage_of(self._lake)

    def committed(self, version: int | None) -> None:
        """Record the version of `asks` after a commit of this run: if it is the next one, no other
        run has fetched anything since.
        """
        if version is not None and version == (self._version or 0) + 1:
            self._version = version

    def _purposely(self, subject: Subject, coverage: Coverage) -> list[Span]:
        """Answered steps that the user wants to fetch again."""
        if self._again and subject.name not in self._companions:
            return coverage.answered()
        if not self._repair:
            return []
        lacking = subtract(coverage.answered(), coverage.present)
        return [*lacking, *self._refused.get(subject, [])]


def _held(subject: Subject, coverage: Coverage) -> list[Span]:
    """Answered steps; without newly missing ones, which a later run fetches once more."""
    once = DATASETS[subject.dataset].unconfirmed(coverage)
    return subtract(coverage.answered(), [*coverage.unsettled(), *once])


def _refused(lake: Lake) -> dict[Subject, list[Span]]:
    """Steps whose rows the last build put into `quarantine` or `rejected`, by subject."""
    is_current, state = ~pl.col("rules").list.contains(SUPERSEDED), lake.state()
    minutes = state.snapshot(QUARANTINE).read(is_current).select("instrument", "ts")
    parts = minutes.partition_by("instrument", as_dict=True).items()
    found = {
        Subject(CANDLES.name, str(name)): CANDLES.steps.spans(frame["ts"])
        for (name,), frame in parts
    }
    rows = state.snapshot(REJECTED).read(is_current).select("dataset", "instrument", "ts", "row")
    for (name, of), frame in rows.partition_by("dataset", "instrument", as_dict=True).items():
        dataset = DATASETS[str(name)]
        time, *others = dataset.key
        cells = [pl.col("row").str.json_path_match(f"$.{other}").alias(other) for other in others]
        starts = frame.select(pl.col("ts").alias(time), *cells).select(dataset.step)
        found[Subject(dataset.name, str(of))] = dataset.steps.spans(
            starts.to_series().unique().sort()
        )
    return found


def plan_figures(plans: Iterable[Plan], calls_per_second: float) -> dict[str, Any]:
    """Return the figures of some plans.

    Of candles: windows, calls, candles (at most), seconds_at_rate (None without a limit), bytes (in
    `raw_candles`). Of the other datasets by name, in `datasets`: instruments, windows, calls, rows
    (at most), bytes. In total: all_windows, all_calls, all_seconds_at_rate.

    Args:
        plans: of the subjects.
        calls_per_second: the limit, 0 or infinite for none.
    """
    parts: dict[str, list[Plan]] = {}
    for plan in plans:
        parts.setdefault(plan.subject.dataset, []).append(plan)
    of = {name: _figures_of(name, own) for name, own in parts.items()}
    candles = of.pop(CANDLES.name, None) or _figures_of(CANDLES.name, ())
    windows, calls = (
        sum(figures[key] for figures in (candles, *of.values())) for key in ("windows", "calls")
    )

    def seconds(count: int) -> float | None:
        is_limited = 0 < calls_per_second < math.inf
        return round(count / calls_per_second, 1) if is_limited else None

    return {
        "windows": candles["windows"],
        "calls": candles["calls"],
        "candles": candles["rows"],
        "seconds_at_rate": seconds(candles["calls"]),
        "bytes": candles["bytes"],
        "datasets": of,
        "all_windows": windows,
        "all_calls": calls,
        "all_seconds_at_rate": seconds(calls),
    }


def _figures_of(name: str, plans: Sequence[Plan]) -> dict[str, int]:
    """The figures of one dataset."""
    dataset = DATASETS[name]
    rows = sum(plan.rows for plan in plans)
    return {
        "instruments": len(plans),
        "windows": sum(len(plan.windows) for plan in plans),
        "calls": sum(dataset.calls(plan.windows) for plan in plans),
        "rows": rows,
        "bytes": round(rows * dataset.bytes_per_row),
    }


def spans_in_scope(instruments: pl.DataFrame, scope: Selection) -> dict[str, list[Span]]:
    """Return the minutes of candles that a lake should contain of each instrument in its scope,
    including future ones; pure.

    Args:
        instruments: rows of the table `instruments`; the scope may include others.
        scope: of the lake.
    """
    if CANDLES not in chosen(scope.data):
        return {}
    found = CANDLES.wanted(chosen_of(instruments, scope), _END_OF_TIME)
    spans = {n: selected_steps(candles_of(n), own, scope.span) for n, own in found.items()}
    return {name: own for name, own in spans.items() if own}
