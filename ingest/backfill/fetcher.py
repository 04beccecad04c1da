"""The fetcher: submits windows to the workers and collects the answers."""

from concurrent.futures import FIRST_COMPLETED, Future, wait

from ingest.backfill.fetch_workers import Asked, FetchWorkers
from ingest.backfill.outcome import Outcome
from ingest.backfill.subject_job import Job
from ingest.deribit.client import Exchange
from lake.time.intervals import Span

# How long calls in flight may take after the run is stopped.
_GRACE_S = 2.0
# Windows submitted beyond those in flight, so that a free worker never waits.
_AHEAD = 2


class Fetcher:
    """Windows in flight; used by one thread."""

    def __init__(self, exchange: Exchange, workers: FetchWorkers) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            exchange: stopped with the run, and so are the workers that use it.
            workers: fetch workers.
        """
        self._exchange = exchange
        self._workers = workers
        self._pending: dict[Future[Asked], tuple[Job, Span]] = {}

    @property
    def under_way(self) -> int:
        """Windows submitted and not collected yet."""
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        """Whether another window should be submitted."""
        machines = self._workers.machines()
        return len(self._pending) < sum(machines) + _AHEAD * len(machines)

    def submit(self, job: Job, window: Span) -> None:
        """Submit a window; it is skipped if the exchange refuses its subject."""
        if job.is_refused:
            future: Future[Asked] = Future()
            future.set_result(Asked(error=job.reason))
        else:
            future = self._workers.pool.submit(self._workers.ask, job.subject, window)
        self._pending[future] = (job, window)

    def gather(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        """Return finished and abandoned windows; wait for one if there is none.

        Raises:
            ClosedDoorError: the exchange refuses all calls; `stop` returns the other answers.
        """
        done, _ = wait(self._pending, timeout_s, FIRST_COMPLETED)
        for future in done:
            asked = future.result()
            if asked.error and asked.ends_the_run:
                raise asked.error
        return [self._take(future) for future in done]

    def stop(self) -> list[tuple[Job, Outcome]]:
        """Stop: wait for calls in flight for a moment, and return the answers."""
        self._exchange.stop()
        wait(self._pending, _GRACE_S)
        self._exchange.cut()
        ended, _ = wait(self._pending, _GRACE_S)
        self.close()
        ended = {f for f in ended if not f.cancelled() and not f.exception()}
        known = {future for future in ended if not future.result().ends_the_run}
        for future in ended - known:
            self._take(future)
        return [self._take(future) for future in known]

    def close(self) -> None:
        """Cancel the windows that no worker has started."""
        for future in self._pending:
            future.cancel()
        self._workers.pool.shutdown(wait=False)

    def _take(self, future: Future[Asked]) -> tuple[Job, Outcome]:
        job, window = self._pending.pop(future)
        asked = future.result()
        job.tally.add(asked.tally)
        return job, Outcome(job.subject, window, asked.page, asked.error)
