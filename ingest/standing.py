"""How complete the instruments of a selection are, by the plan of a backfill; pure but for the
planner, which has read the lake.

The figures of `status` and of `plan` come from the same plans, so they agree.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import Enum
from typing import Any

from ingest.plans import Planner
from ingest.windows import InstrumentPlan
from lake.coverage import Coverage
from lake.spans import MINUTE, common, minutes_in

# An open instrument that lacks no more than this at its end, and nothing before, is current.
_CURRENT = timedelta(days=1)


class State(Enum):
    """How far an instrument is.

    Attributes:
        COMPLETE: a backfill would ask for nothing.
        CURRENT: it is open and lacks only its newest minutes, less than a day of them.
        BEGUN: some of it was asked for.
        NOT_BEGUN: none of it was asked for.
    """

    COMPLETE = "complete"
    CURRENT = "current"
    BEGUN = "begun"
    NOT_BEGUN = "not_begun"


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minutes of one instrument or of several.

    Attributes:
        due: that should have a candle: those selected and lived, less those that are known to be
            before the first trade.
        present: with a candle.
        missing: that the exchange left out more than once.
        failed: asked for, not answered.
        to_fetch: that a backfill would ask for.
    """

    due: int = 0
    present: int = 0
    missing: int = 0
    failed: int = 0
    to_fetch: int = 0

    def __add__(self, other: "Minutes") -> "Minutes":
        """Add both, figure by figure."""
        names = [field.name for field in fields(self)]
        return Minutes(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class Standing:
    """How complete one instrument is.

    Attributes:
        plan: what a backfill would ask of it.
        state: see `State`.
        minutes: see `Minutes`.
        is_open: whether more candles come.
    """

    plan: InstrumentPlan
    state: State
    minutes: Minutes
    is_open: bool


def standings(planner: Planner, expired: Collection[str]) -> list[Standing]:
    """Return how complete the planned instruments are; those without a selected minute are left
    out, as they are in no scope.

    Args:
        planner: of the selection.
        expired: names of which no more candles come.
    """
    return [
        standing(plan, planner.coverage(name), is_open=name not in expired)
        for name in planner.wanted
        if (plan := planner.plan(name)).wanted
    ]


def standing(plan: InstrumentPlan, coverage: Coverage, *, is_open: bool) -> Standing:
    """Return how complete one instrument is.

    Args:
        plan: what a backfill would ask of it.
        coverage: what is known of its minutes.
        is_open: whether more candles come.
    """
    leading = minutes_in(common(plan.wanted, coverage.leading()))
    minutes = Minutes(
        due=minutes_in(plan.wanted) - leading,
        present=minutes_in(common(plan.wanted, coverage.present)),
        missing=minutes_in(common(plan.wanted, coverage.missing())),
        failed=minutes_in(common(plan.wanted, [*coverage.failed, *coverage.unconfirmed()])),
        to_fetch=plan.candles,
    )
    return Standing(plan, _state(plan, coverage, is_open=is_open), minutes, is_open)


def summed(found: Iterable[Standing]) -> dict[str, Any]:
    """Return instruments by state, and minutes, of some standings in all."""
    chosen = list(found)
    states = [each.state for each in chosen]
    total = sum((each.minutes for each in chosen), Minutes())
    return {
        "in_scope": len(chosen),
        **{state.value: states.count(state) for state in State},
        "minutes": total,
    }


def failed_names(found: Iterable[Standing]) -> list[str]:
    """Return the instruments with minutes that were asked for and not answered, in order."""
    return [each.plan.instrument for each in found if each.minutes.failed]


def _state(plan: InstrumentPlan, coverage: Coverage, *, is_open: bool) -> State:
    if not plan.windows:
        return State.COMPLETE
    asked = common(plan.wanted, [*coverage.answered(), *coverage.failed, *coverage.unconfirmed()])
    if not asked:
        return State.NOT_BEGUN
    # A window begins with a minute that is needed.
    is_newest = is_open and plan.windows[0].start >= asked[-1].end
    is_little = plan.candles <= _CURRENT // MINUTE
    return State.CURRENT if is_newest and is_little else State.BEGUN
