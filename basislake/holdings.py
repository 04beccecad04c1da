"""What a lake holds of what it is meant to hold, and what a backfill would fetch, by the same plans
as `plan` shows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from basislake.estimates import estimate
from ingest.allowance import CALLS
from ingest.plans import Planner, plan_figures
from ingest.schedule import Lag, expired_by, lag_of, newest_candles
from ingest.selection import Selection
from ingest.standing import Standing, failed_names, standings, summed
from lake import Lake
from lake.tables import COVERAGE, INSTRUMENTS


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a lake holds of a selection at one moment.

    Attributes:
        at: the exchange's clock that all of it is judged by.
        known: rows of `instruments`.
        coverage: rows of the table `coverage`.
        standings: of the instruments of the selection.
        lag: of the open instruments of the selection.
    """

    at: datetime
    known: pl.DataFrame
    coverage: pl.DataFrame
    standings: Sequence[Standing]
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
        """Return the standings as plain values, by instrument."""
        kinds = self.kinds
        return [
            {
                "instrument": each.plan.instrument,
                "kind": kinds[each.plan.instrument],
                "state": each.state.value,
                "is_open": each.is_open,
                **asdict(each.minutes),
            }
            for each in self.standings
        ]

    def figures(self) -> dict[str, Any]:
        """Return instruments by state, and minutes, in all; see `ingest.standing.summed`."""
        return summed(self.standings)

    def plan(self) -> dict[str, Any]:
        """Return what a backfill would fetch: windows, calls, candles, bytes (raw), lake_bytes,
        database_bytes, seconds_at_rate (at the published rate).
        """
        plans = [each.plan for each in self.standings]
        figures = plan_figures(plans, CALLS.calls_per_second)
        return {**figures, **asdict(estimate(plans, self.kinds))}


def holdings(where: Lake, scope: Selection, at: datetime) -> Holdings:
    """Return what a lake holds of what it is meant to hold; no candle is read.

    Args:
        where: the lake.
        scope: instruments and minutes.
        at: the exchange's clock.

    Raises:
        UsageError: the scope names an instrument that the lake does not know.
        LakeError: the lake cannot be read.
    """
    known = where.read(INSTRUMENTS)
    expired = expired_by(known, at)
    # Of a market that ends with the scope no more candles come, either.
    if scope.until is not None and scope.until <= at:
        expired = set(known["instrument"])
    found = standings(Planner(where, scope, at), expired)
    coverage = where.read(COVERAGE)
    names = {each.plan.instrument for each in found}
    newest = {name: ts for name, ts in newest_candles(coverage).items() if name in names}
    return Holdings(at, known, coverage, found, lag_of(newest, expired, at))


def nothing_held(where: Lake, at: datetime) -> Holdings:
    """Return the holdings of no instrument at all, for a scope that cannot be kept to."""
    return Holdings(at, where.read(INSTRUMENTS), where.read(COVERAGE), (), Lag(at))
