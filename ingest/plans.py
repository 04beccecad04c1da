"""Plans: what the lake still needs of a selection; nothing is called or changed."""

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ingest.asked import coverage_of
from ingest.replies import closed_until
from ingest.scope import chosen_of
from ingest.selection import Selection, choose
from ingest.windows import BYTES_PER_CANDLE, InstrumentPlan, life, plan_instrument
from lake import Lake
from lake.coverage import Coverage, spans_of
from lake.spans import Span, ceil_minute, clip, merge, subtract
from lake.tables import ASKS, INSTRUMENTS, QUARANTINE, SUPERSEDED

_START_OF_TIME, _END_OF_TIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Planner:
    """Plans the instruments of a selection, and again when another run may have changed the lake.

    Attributes:
        now: the exchange's clock when it was asked.
        wanted: the minutes to be held of each chosen instrument, in the order to ask for them.
        is_current: whether the table `coverage` held all that was known when it was read; it does
            not where a run was killed, or is just committing.
    """

    def __init__(
        self,
        lake: Lake,
        selection: Selection,
        now: datetime,
        *,
        repair: bool = False,
        again: bool = False,
        without: Collection[str] = (),
    ) -> None:
        """Read what the lake knows; see `make_plans`. Instruments `without` are not planned."""
        chosen = choose(lake.snapshot(INSTRUMENTS).read(), selection)
        self._again = set(chosen.filter(~pl.col("is_companion"))["instrument"]) if again else set()
        self._quarantined = _quarantined(lake) if repair else {}
        wanted = wanted_minutes(chosen, closed_until(now))
        self.wanted = {name: spans for name, spans in wanted.items() if name not in without}
        self.now = now
        self._lake = lake
        self._selected = selection.span
        self._repair = repair
        self._watch = lake.watch(ASKS)
        self._version = self._watch.version()
        self._coverage, self.is_current = coverage_of(lake)

    def plan(self, instrument: str) -> InstrumentPlan:
        """Plan an instrument by the coverage that was read last."""
        coverage = self.coverage(instrument)
        return plan_instrument(
            instrument,
            self.wanted[instrument],
            _held(coverage),
            self._selected,
            self._purposely(instrument, coverage),
        )

    def coverage(self, instrument: str) -> Coverage:
        """Return a copy of an instrument's coverage as it was read last."""
        return replace(self._coverage.get(instrument, Coverage()))

    def renew(self) -> None:
        """Read the coverage again where somebody else has asked for something since."""
        newest = self._watch.version()
        if newest != self._version:
            self._version = newest
            self._coverage, self.is_current = coverage_of(self._lake)

    def committed(self, version: int | None) -> None:
        """Take note of the version of `asks` after a commit of our own: where it is the next one,
        nobody else has asked for anything since.
        """
        if version is not None and version == (self._version or 0) + 1:
            self._version = version

    def _purposely(self, instrument: str, coverage: Coverage) -> list[Span]:
        """What was answered, and is asked again because the user wants it to be."""
        if instrument in self._again:
            return coverage.answered()
        if not self._repair:
            return []
        lacking = subtract(coverage.answered(), coverage.present)
        return [*lacking, *self._quarantined.get(instrument, [])]


def _held(coverage: Coverage) -> list[Span]:
    """What was answered; but what is newly missing is asked for once more by a later run."""
    return subtract(coverage.answered(), coverage.unsettled())


def _quarantined(lake: Lake) -> dict[str, list[Span]]:
    """The minutes that the last build put into quarantine, by instrument."""
    is_current = ~pl.col("rules").list.contains(SUPERSEDED)
    minutes = lake.state().snapshot(QUARANTINE).read(is_current).select("instrument", "ts")
    parts = minutes.partition_by("instrument", as_dict=True).items()
    return {str(name): spans_of(frame["ts"]) for (name,), frame in parts}


def make_plans(
    lake: Lake,
    selection: Selection,
    now: datetime,
    *,
    repair: bool = False,
    again: bool = False,
) -> list[InstrumentPlan]:
    """Plan what the lake still needs of the selected instruments; the lake is read and not changed.

    Minutes that are `failed` or were never asked; and `missing` ones until two backfills, one after
    the other, found them so.

    Args:
        lake: whose `instruments` and `coverage` are read.
        selection: of instruments and minutes.
        now: the exchange's clock.
        repair: ask again also for all minutes that were answered without a candle, or whose candle
            the last build put into quarantine.
        again: ask again for all minutes of the selected instruments, whatever is stored; not for
            those of perpetuals that come only for their futures' sake.
    """
    planner = Planner(lake, selection, now, repair=repair, again=again)
    return [planner.plan(name) for name in planner.wanted]


def plan_figures(plans: Iterable[InstrumentPlan], calls_per_second: float) -> dict[str, Any]:
    """Return the figures of some plans in all: windows, calls, candles (at most), seconds_at_rate
    (None without a limit), bytes (in `raw_candles`).

    Args:
        plans: of the instruments.
        calls_per_second: the limit, 0 or infinite for none.
    """
    chosen = list(plans)
    calls = sum(len(plan.windows) for plan in chosen)
    candles = sum(plan.candles for plan in chosen)
    is_limited = 0 < calls_per_second < math.inf
    return {
        "windows": calls,
        "calls": calls,
        "candles": candles,
        "seconds_at_rate": round(calls / calls_per_second, 1) if is_limited else None,
        "bytes": round(candles * BYTES_PER_CANDLE),
    }


def spans_in_scope(instruments: pl.DataFrame, scope: Selection) -> dict[str, list[Span]]:
    """Return the minutes that a lake is meant to hold of each instrument in its scope, also those
    that are still to come; pure.

    Args:
        instruments: rows of the table `instruments`; the scope may name others.
        scope: of the lake.
    """
    found = wanted_minutes(chosen_of(instruments, scope), _END_OF_TIME)
    span = scope.span or Span(_START_OF_TIME, _END_OF_TIME)
    limits = Span(ceil_minute(span.start), ceil_minute(span.end))
    spans = {name: merge(clip(span, limits) for span in own) for name, own in found.items()}
    return {name: own for name, own in spans.items() if own}


def wanted_minutes(chosen: pl.DataFrame, until: datetime) -> dict[str, list[Span]]:
    """Return the minutes to be held of each chosen instrument; pure.

    Its life; of a perpetual that comes only for its futures' sake, the lives of those.

    Args:
        chosen: see `ingest.selection.choose`.
        until: end of the last closed minute, exclusive.
    """
    rows = chosen.rows(named=True)
    lives = {row["instrument"]: life(row["listed_at"], row["expires_at"], until) for row in rows}
    wanted = {}
    for row in rows:
        name = row["instrument"]
        own = [name]
        if row["is_companion"]:
            own = [r["instrument"] for r in rows if r["base"] == row["base"] and r is not row]
        wanted[name] = [clip(lives[other], lives[name]) for other in own]
    return wanted
