"""Which window to ask for next: instruments in order, each claimed before it is asked for."""

from collections import deque
from collections.abc import Iterator

from ingest.claims import Claims
from ingest.jobs import Job
from ingest.plans import Planner
from lake.spans import Span


class Worklist:
    """The instruments of a run and their windows, handed out one by one.

    Attributes:
        jobs: of all instruments that were begun, or needed nothing, by name.
        idle: those of them that need nothing and were not told of yet.
        elsewhere: instruments that another run works on.
    """

    def __init__(self, planner: Planner, claims: Claims) -> None:
        """Line up what is planned; nothing is claimed yet.

        Args:
            planner: what is needed.
            claims: shared with other runs of this machine.
        """
        self._planner = planner
        self._claims = claims
        plans = {name: planner.plan(name) for name in planner.wanted}
        self._planned = {name: len(p.windows) for name, p in plans.items() if p.windows}
        self._waiting = deque(self._planned)
        self._not_begun = sum(self._planned.values())
        self._open: dict[str, Job] = {}
        self.jobs = {
            name: Job(plan, planner.coverage(name))
            for name, plan in plans.items()
            if not plan.windows
        }
        self.idle = list(self.jobs.values())
        self.elsewhere: list[str] = []

    @property
    def left(self) -> int:
        """Windows that were not handed out, as far as is known."""
        queued = sum(job.queued for job in self._open.values())
        return queued + self._not_begun + sum(self._planned[name] for name in self.elsewhere)

    @property
    def begun(self) -> list[Job]:
        """Instruments that are being asked for or saved."""
        return list(self._open.values())

    def take_idle(self) -> list[Job]:
        """Return the instruments that need nothing, each once."""
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
        """Line up again the instruments that another run worked on when they were asked for."""
        self._waiting.extend(self.elsewhere)
        self._not_begun += sum(self._planned[name] for name in self.elsewhere)
        self.elsewhere = []

    def leave(self) -> list[str]:
        """Leave to other runs the instruments that they work on, and return their names."""
        left, self.elsewhere = self.elsewhere, []
        return left

    def close(self, job: Job) -> None:
        """Let others have an instrument whose answers are all saved."""
        self._open.pop(job.instrument, None)
        self._claims.release(job.instrument)

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

    def _begin(self, instrument: str) -> Job | None:
        """Claim an instrument, and plan it anew: another run may have been at it since."""
        self._not_begun -= self._planned[instrument]
        if not self._claims.take(instrument):
            self.elsewhere.append(instrument)
            return None
        self._planner.renew()
        job = Job(self._planner.plan(instrument), self._planner.coverage(instrument))
        self.jobs[instrument] = job
        if not job.plan.windows:
            self._claims.release(instrument)
            self.idle.append(job)
            return None
        self._open[instrument] = job
        return job
