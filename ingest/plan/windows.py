"""Plans windows to fetch, by arithmetic on time spans; pure.

A window is fetched at once: whole steps of its dataset, half-open, as many as one call returns, or
as the pages of one call do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lake.coverage import Subject
from lake.time.intervals import MINUTE, Span, clip, common, merge, subtract
from lake.time.steps import STEPS


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows to fetch of one subject.

    Attributes:
        subject: to fetch.
        wanted: the steps that are to be stored, sorted and disjoint.
        windows: sorted, disjoint; together they contain every step that is still needed.
        again: answered steps among them whose repeat was requested.
    """

    subject: Subject
    wanted: tuple[Span, ...]
    windows: tuple[Span, ...]
    again: tuple[Span, ...] = ()

    @property
    def rows(self) -> int:
        """Steps in all windows: the maximal number of rows, except for a delivery's."""
        return STEPS[self.subject.dataset].count(self.windows)


def make_plan(
    subject: Subject,
    wanted: Iterable[Span],
    held: Iterable[Span],
    selected: Span | None = None,
    again: Iterable[Span] = (),
) -> Plan:
    """Plan the windows for the wanted steps that are not stored.

    Args:
        subject: to fetch.
        wanted: spans of whole steps, e.g. of a life.
        held: steps that need not be fetched again.
        selected: only steps whose rows belong to this span, all by default.
        again: steps to fetch again although they are stored.
    """
    steps = STEPS[subject.dataset]
    spans = selected_steps(subject, wanted, selected)
    purposely = common(spans, again)
    needed = [*subtract(spans, held), *purposely]
    return Plan(subject, tuple(spans), tuple(steps.windows(needed)), tuple(purposely))


def selected_steps(subject: Subject, wanted: Iterable[Span], selected: Span | None) -> list[Span]:
    """Return the wanted steps whose rows belong to a span, sorted and disjoint; all without one."""
    if selected is None:
        return merge(wanted)
    limits = STEPS[subject.dataset].selected(selected)
    return merge(clip(span, limits) for span in wanted)


def minutes_of(window: Span) -> tuple[int, int]:
    """Return the milliseconds of a window's first and LAST minute: the exchange includes both."""
    return milliseconds(window.start), milliseconds(window.end - MINUTE)


def milliseconds(time: datetime) -> int:
    """Return a whole second in the exchange's time format, milliseconds."""
    return int(time.timestamp()) * 1000
