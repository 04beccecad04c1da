"""The fetch queue: hands out windows, by subject in order, and locks each subject first."""

from collections import deque
from collections.abc import Iterator

from ingest.backfill.locks import SubjectLocks
from ingest.backfill.subject_job import Job
from ingest.plan.planner import Planner
from lake.coverage import Subject
from lake.time.intervals import Span


class FetchQueue:
    """The subjects of a run and their windows, handed out one by one.

    Attributes:
        jobs: of all subjects that were begun, or needed nothing.
        idle: those that need nothing and have not been returned yet.
        elsewhere: subjects that another run has locked.
    """

    def __init__(self, planner: Planner, locks: SubjectLocks) -> None:
        """Line up the planned subjects; nothing is locked yet.

        Args:
            planner: of the subjects.
            locks: locks shared with other runs of this machine.
        """
        self._planner = planner
        self._locks = locks
        plans = {plan.subject: plan for plan in planner.plans()}
        self._planned = {subject: len(p.windows) for subject, p in plans.items() if p.windows}
        self._waiting = deque(self._planned)
        self._not_begun = sum(self._planned.values())
        self._open: dict[Subject, Job] = {}
        self.jobs = {
            subject: Job(plan, planner.coverage(subject))
            for subject, plan in plans.items()
            if not plan.windows
        }
        self.idle = list(self.jobs.values())
        self.elsewhere: list[Subject] = []

    @property
    def left(self) -> int:
        """Windows not handed out yet, as far as known."""
        queued = sum(job.queued for job in self._open.values())
        return queued + self._not_begun + sum(self._planned[subject] for subject in self.elsewhere)

    @property
    def begun(self) -> list[Job]:
        """Subjects that are being fetched or saved."""
        return list(self._open.values())

    def take_idle(self) -> list[Job]:
        """Return the subjects that need nothing, each once."""
        idle, self.idle = self.idle, []
        return idle

    def next(self) -> tuple[Job, Span] | None:
        """Hand out a window; None where there is none at the moment."""
        for job in self._candidates():
            window = job.next_window()
            if window is not None:
                return job, window
        return None

    def look_again(self) -> None:
        """Line up again the subjects that another run had locked."""
        self._waiting.extend(self.elsewhere)
        self._not_begun += sum(self._planned[subject] for subject in self.elsewhere)
        self.elsewhere = []

    def leave(self) -> list[Subject]:
        """Leave to other runs the subjects that they have locked, and return those."""
        left, self.elsewhere = self.elsewhere, []
        return left

    def close(self, job: Job) -> None:
        """Unlock a subject whose answers are all saved."""
        self._open.pop(job.subject, None)
        self._locks.release(job.subject)

    def drop(self) -> None:
        """Hand out nothing more."""
        self._waiting.clear()
        self._not_begun = 0
        self.elsewhere = []
        for job in self._open.values():
            job.drop()

    def _candidates(self) -> Iterator[Job]:
        yield from self.begun
        while self._waiting:
            job = self._begin(self._waiting.popleft())
            if job is not None:
                yield job

    def _begin(self, subject: Subject) -> Job | None:
        """Lock a subject, and plan it again: another run may have fetched some of it since."""
        self._not_begun -= self._planned[subject]
        if not self._locks.take(subject):
            self.elsewhere.append(subject)
            return None
        self._planner.renew()
        job = Job(self._planner.plan(subject), self._planner.coverage(subject))
        self.jobs[subject] = job
        if not job.plan.windows:
            self._locks.release(subject)
            self.idle.append(job)
            return None
        self._open[subject] = job
        return job
