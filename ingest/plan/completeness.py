"""The standing of subjects: how complete each is, from the plan of a backfill; pure except for
the planner, which has read the lake.

`status` and `plan` compute their figures from the same plans, so they agree.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import Enum

from ingest.plan.planner import Planner
from ingest.plan.windows import Plan
from lake.coverage import Coverage
from lake.time.intervals import common
from lake.time.steps import STEPS

# An open subject that lacks only its newest rows, of less than a day, or one row, is current.
_CURRENT = timedelta(days=1)


class Completeness(Enum):
    """How complete a subject is.

    Attributes:
        COMPLETE: a backfill would fetch nothing.
        CURRENT: it is open and lacks only its newest rows, of less than a day.
        BEGUN: some of it was fetched.
        NOT_BEGUN: none of it was fetched.
    """

    COMPLETE = "complete"
    CURRENT = "current"
    BEGUN = "begun"
    NOT_BEGUN = "not_begun"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Numbers of steps of one or several subjects of a dataset: of candles, minutes.

    Attributes:
        due: steps that should have a row: selected steps of their lives, without those known to be
            before the first row.
        present: with a row.
        missing: that the exchange left out more than once.
        failed: requested, not answered.
        to_fetch: that a backfill would fetch.
    """

    due: int = 0
    present: int = 0
    missing: int = 0
    failed: int = 0
    to_fetch: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        """Add both, number by number."""
        names = [field.name for field in fields(self)]
        return Amounts(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class Standing:
    """How complete one subject is.

    Attributes:
        plan: what a backfill would fetch of it.
        state: see `Completeness`.
        amounts: see `Amounts`.
        is_open: whether more rows come.
    """

    plan: Plan
    state: Completeness
    amounts: Amounts
    is_open: bool


def standings(planner: Planner, expired: Collection[str]) -> list[Standing]:
    """Return how complete the planned subjects are.

    Args:
        planner: of the selection.
        expired: instruments with no further rows.
    """
    return [
        _standing(plan, planner.coverage(plan.subject), is_open=plan.subject.name not in expired)
        for plan in planner.plans()
    ]


def _standing(plan: Plan, coverage: Coverage, *, is_open: bool) -> Standing:
    count = STEPS[plan.subject.dataset].count
    leading = count(common(plan.wanted, coverage.leading()))
    amounts = Amounts(
        due=count(plan.wanted) - leading,
        present=count(common(plan.wanted, coverage.present)),
        missing=count(common(plan.wanted, coverage.missing())),
        failed=count(common(plan.wanted, [*coverage.failed, *coverage.unconfirmed()])),
        to_fetch=plan.rows,
    )
    return Standing(plan, _state(plan, coverage, is_open=is_open), amounts, is_open)


def summed(found: Iterable[Standing]) -> tuple[dict[str, int], Amounts]:
    """Return the number of standings (in_scope) and of each state; and the sum of their amounts."""
    chosen = list(found)
    states = [each.state for each in chosen]
    counts = {"in_scope": len(chosen)} | {s.value: states.count(s) for s in Completeness}
    return counts, sum((each.amounts for each in chosen), Amounts())


def failed_names(found: Iterable[Standing]) -> list[str]:
    """Return the names with steps that were requested and not answered, in order."""
    return [each.plan.subject.name for each in found if each.amounts.failed]


def _state(plan: Plan, coverage: Coverage, *, is_open: bool) -> Completeness:
    if not plan.windows:
        return Completeness.COMPLETE
    asked = common(plan.wanted, [*coverage.answered(), *coverage.failed, *coverage.unconfirmed()])
    if not asked:
        return Completeness.NOT_BEGUN
    # A window begins with a needed step.
    is_newest = is_open and plan.windows[0].start >= asked[-1].end
    lacking = sum((span.end - span.start for span in plan.windows), timedelta())
    is_little = lacking <= _CURRENT or plan.rows == 1
    return Completeness.CURRENT if is_newest and is_little else Completeness.BEGUN
