"""Asks for windows with some threads."""

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from ingest.batches import Outcome
from ingest.exchange import Exchange
from ingest.jobs import Job
from lake.errors import ClosedDoorError, ExchangeError, StoppedError
from lake.spans import Span

# How long calls under way may still take when the run is stopped.
_GRACE_S = 2.0
# Windows handed in for threads to take up as soon as they are free.
_AHEAD = 2


class Fetcher:
    """Windows under way; used by one thread."""

    def __init__(self, exchange: Exchange, threads: int) -> None:
        """Ask for nothing yet.

        Args:
            exchange: to ask.
            threads: calls under way at once.
        """
        self._exchange = exchange
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
        self._most = threads + _AHEAD
        self._pending: dict[Future[Outcome], Job] = {}
        self._closed_door: ClosedDoorError | None = None

    @property
    def under_way(self) -> int:
        """Windows handed in and not gathered yet."""
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        """Whether another window should be handed in."""
        return len(self._pending) < self._most

    def submit(self, job: Job, window: Span) -> None:
        """Ask for a window as soon as a thread is free."""
        self._pending[self._pool.submit(self._ask, job, window)] = job

    def gather(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        """Return what was answered or given up since; wait for one where there is none.

        Args:
            timeout_s: the longest wait.

        Raises:
            ClosedDoorError: the exchange refuses all calls; `stop` returns what else came.
        """
        done, _ = wait(self._pending, timeout_s, FIRST_COMPLETED)
        for future in done:
            error = future.exception()
            if error is not None:
                raise self._closed_door or error
        return [(self._pending.pop(future), future.result()) for future in done]

    def stop(self) -> list[tuple[Job, Outcome]]:
        """Ask for nothing more, give calls under way a moment, and return what was answered."""
        self._exchange.stop()
        self.close()
        running = [future for future in self._pending if not future.cancelled()]
        wait(running, _GRACE_S)
        self._exchange.cut()
        done, _ = wait(running, _GRACE_S)
        return [(self._pending.pop(f), f.result()) for f in done if f.exception() is None]

    def close(self) -> None:
        """Hand nothing more to the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, job: Job, window: Span) -> Outcome:
        if job.is_refused:
            return Outcome(job.instrument, window, None, job.reason)
        try:
            page = self._exchange.candles(job.instrument, window, job.tally)
        except ClosedDoorError as exc:
            self._closed_door = exc
            self._exchange.stop()
            raise
        except StoppedError:
            raise
        except ExchangeError as exc:
            # At once, so that no thread takes up another window of an instrument that is refused.
            job.reason = exc
            return Outcome(job.instrument, window, None, exc)
        return Outcome(job.instrument, window, page)
