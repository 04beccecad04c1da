"""Completeness of a lake: what is stored of its scope, and what a backfill would fetch, by the same
plans that `plan` shows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from basislake.pipeline.estimates import estimate
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.follow_schedule import Lag, expired_by, lag_of, newest_candles
from ingest.plan.completeness import Standing, failed_names, standings, summed
from ingest.plan.planner import Planner, plan_figures
from ingest.plan.selection import Selection
from ingest.rate_limit.allowance import CALLS
from lake import Lake
from lake.tables import COVERAGE, INSTRUMENTS


@dataclass(frozen=True, slots=True)
class Holdings:
    """The stored part of a selection at one moment.

    Attributes:
        at: the exchange's clock that all of this refers to.
        known: rows of `instruments`.
        coverage: rows of the table `coverage`.
        standings: of the candles of the selection's instruments.
        others: the standings of other datasets, by name.
        lag: of the open instruments of the selection.
    """

    at: datetime
    known: pl.DataFrame
    coverage: pl.DataFrame
    standings: Sequence[Standing]
    others: dict[str, list[Standing]]
    lag: Lag

    @property
    def kinds(self) -> dict[str, str]:
        """`future` or `perpetual`, by instrument."""
        return dict(self.known.select("instrument", "kind").iter_rows())

    @property
    def failed(self) -> list[str]:
        """Instruments with minutes that were asked for and not answered."""
        return failed_names(self.standings)

    def rows(self) -> list[dict[str, Any]]:
        """Return the standings of candles as plain values, by instrument."""
        kinds = self.kinds
        return [
            {
                "instrument": (name := each.plan.subject.name),
                "kind": kinds[name],
                "state": each.state.value,
                "is_open": each.is_open,
                **asdict(each.amounts),
            }
            for each in self.standings
        ]

    def figures(self) -> dict[str, Any]:
        """Return instruments by state, and minutes, in all; see
        `ingest.plan.completeness.summed`.
        """
        return figures_of(self.standings)

    def datasets(self) -> dict[str, dict[str, Any]]:
        """Return the figures of the other datasets, by name: in_scope, complete, current, begun,
        not_begun; the noun of a step, and steps (see `ingest.plan.completeness.Amounts`); failed
        (names).
        """
        found = {}
        for name, own in self.others.items():
            counts, steps = summed(own)
            noun = DATASETS[name].noun
            found[name] = {**counts, "noun": noun, "steps": steps, "failed": failed_names(own)}
        return found

    def plan(self) -> dict[str, Any]:
        """Return what a backfill would fetch; see `ingest.plan.planner.plan_figures` (at the
        published rate), with lake_bytes and database_bytes.
        """
        plans = [each.plan for each in self.standings]
        others = [each.plan for own in self.others.values() for each in own]
        figures = plan_figures([*plans, *others], CALLS.calls_per_second)
        return {**figures, **asdict(estimate([*plans, *others], self.kinds))}


def figures_of(chosen: Iterable[Standing]) -> dict[str, Any]:
    """Return the figures of some standings of candles; see `Holdings.figures`."""
    counts, minutes = summed(chosen)
    return {**counts, "minutes": minutes}


def holdings(lake: Lake, scope: Selection, at: datetime) -> Holdings:
    """Return how much of a scope the lake has stored; reads no candles.

    Args:
        lake: to read.
        scope: data, instruments and minutes.
        at: the exchange's clock.

    Raises:
        UsageError: the scope names an instrument that the lake does not know.
        LakeError: the lake cannot be read.
    """
    known = lake.read(INSTRUMENTS)
    expired = expired_by(known, at)
    # If the scope has ended, no further candles come either.
    if scope.until is not None and scope.until <= at:
        expired = set(known["instrument"])
    by_dataset: dict[str, list[Standing]] = {}
    for each in standings(Planner(lake, scope, at), expired):
        by_dataset.setdefault(each.plan.subject.dataset, []).append(each)
    found = by_dataset.pop(CANDLES.name, [])
    coverage = lake.read(COVERAGE)
    names = {each.plan.subject.name for each in found}
    newest = {name: ts for name, ts in newest_candles(coverage).items() if name in names}
    return Holdings(at, known, coverage, found, by_dataset, lag_of(newest, expired, at))


def nothing_held(lake: Lake, at: datetime) -> Holdings:
    """Return the holdings of no instrument, for a scope that cannot be used."""
    return Holdings(at, lake.read(INSTRUMENTS), lake.read(COVERAGE), (), {}, Lag(at))
