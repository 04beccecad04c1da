"""The job of one subject in one run: its remaining windows and its answers; pure."""

from collections import deque
from dataclasses import dataclass, field

from ingest.backfill.outcome import Outcome
from ingest.datasets import DATASETS
from ingest.datasets.dataset import Dataset
from ingest.deribit.call_counts import CallCounts
from ingest.plan.windows import Plan
from lake.coverage import Coverage, Subject
from lake.errors import ExchangeError, LateError, RejectedError
from lake.time.intervals import Span, clip, merge, subtract

# After this many windows in a row without an answer a later run fetches the rest of the subject:
# each window has been retried several times already.
GIVE_UP_AFTER = 10


@dataclass(slots=True)
class Job:
    """A subject's windows and answers.

    The plan's windows come first. When all are answered, the steps that an answer lacked after the
    first row (see `Dataset.confirms_leading`) are fetched once more; only steps that are lacking
    again count as missing.

    Attributes:
        plan: what was needed at the start.
        coverage: from the lake, with every answer of this run.
        tally: calls for this subject.
        rows: received, including repeats.
        reason: why a window has no answer, None if all have one.
        unsaved: outcomes that are not committed yet.
    """

    plan: Plan
    coverage: Coverage
    tally: CallCounts = field(default_factory=CallCounts)
    rows: int = 0
    reason: ExchangeError | None = None
    unsaved: int = 0
    _queue: deque[Span] = field(default_factory=deque)
    _under_way: int = 0
    _is_confirming: bool = False
    _failures_in_a_row: int = 0
    _again: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Queue the plan's windows."""
        self._queue.extend(self.plan.windows)
        self._again = list(self.plan.again)

    @property
    def subject(self) -> Subject:
        """The subject to fetch."""
        return self.plan.subject

    @property
    def queued(self) -> int:
        """Windows still to fetch, as far as known."""
        return len(self._queue)

    @property
    def is_answered(self) -> bool:
        """Whether nothing is left to fetch or in flight."""
        return not self._queue and not self._under_way

    @property
    def is_refused(self) -> bool:
        """Whether the exchange refuses all calls for it."""
        return isinstance(self.reason, RejectedError)

    def next_window(self) -> Span | None:
        """Take the next window to fetch, None if there is none at the moment."""
        if not self._queue:
            return None
        self._under_way += 1
        return self._queue.popleft()

    def drop(self) -> None:
        """Fetch nothing more."""
        self._queue.clear()
        self._is_confirming = True

    def take(self, outcome: Outcome) -> None:
        """Record the outcome of a window, and queue the windows that it makes worth fetching."""
        self._under_way -= 1
        self.unsaved += 1
        self.rows += outcome.rows
        if outcome.page is None:
            self.coverage.fail(outcome.window)
            self.reason = outcome.error or self.reason
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= GIVE_UP_AFTER:
                self.drop()
        else:
            self.coverage.answer(outcome.page.asked, outcome.page.present)
            self._failures_in_a_row = 0
            self._again = subtract(self._again, [outcome.page.asked])
            if outcome.page.asked != outcome.window and self.reason is None:
                self.reason = LateError("the newest rows have not been published yet")
        if self.is_answered and not self._is_confirming:
            self._is_confirming = True
            self._queue.extend(confirming(self.coverage, DATASETS[self.subject.dataset]))

    def unanswered(self) -> list[Span]:
        """Wanted steps without an answer; for repeats, without an answer in this run."""
        return merge([*subtract(self.plan.wanted, self.coverage.answered()), *self._again])

    @property
    def is_empty(self) -> bool:
        """Whether steps were wanted and none of them has a row."""
        wanted = self.plan.wanted
        had = [clip(present, span) for present in self.coverage.present for span in wanted]
        return bool(wanted) and not merge(had)


def confirming(coverage: Coverage, dataset: Dataset) -> list[Span]:
    """Windows over steps that one answer lacked, without those that have no answer at all."""
    needed = dataset.unconfirmed(coverage)
    hull = [Span(span.start, needed[-1].end) for span in needed[:1]]
    return [
        window
        for piece in subtract(hull, coverage.failed)
        for window in dataset.steps.windows(clip(span, piece) for span in needed)
    ]
