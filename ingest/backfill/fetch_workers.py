"""Fetch workers: threads of this process, or the workers of any executor.

A task takes a subject and a window and returns plain values, so it may run anywhere. The process
that submits tasks decides what to fetch next and what to do with the answers.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ingest.datasets import DATASETS
from ingest.deribit.call_counts import CallCounts
from ingest.deribit.client import Exchange
from ingest.deribit.replies import Page
from lake.coverage import Subject
from lake.errors import ClosedDoorError, ExchangeError, RejectedError, StoppedError, UsageError
from lake.time.intervals import Span


@dataclass(frozen=True, slots=True)
class Asked:
    """Result of a task.

    Attributes:
        page: the answer, None if there was none.
        error: why there was none.
        tally: the calls that it made.
    """

    page: Page | None = None
    error: ExchangeError | None = None
    tally: CallCounts = field(default_factory=CallCounts)

    @property
    def ends_the_run(self) -> bool:
        """Whether to stop the run: the exchange refuses all calls, or the worker was stopped."""
        return isinstance(self.error, ClosedDoorError | StoppedError)


@dataclass(frozen=True, slots=True)
class FetchWorkers:
    """The fetch workers of one run.

    Attributes:
        pool: runs the tasks; shut down at the end of the run.
        ask: the task. It is pickled where the pool's workers are other processes.
        machines: returns, for each machine with a rate limit of its own, how many calls may be in
            flight at once; machines may join and leave.
    """

    pool: Executor
    ask: Callable[[Subject, Span], Asked]
    machines: Callable[[], Sequence[int]]


def ask(exchange: Exchange, subject: Subject, window: Span) -> Asked:
    """Fetch a window, with all repeats, and return the result.

    Raises:
        LakeError: the rate limit cannot be shared.
    """
    tally = CallCounts()
    try:
        page = DATASETS[subject.dataset].ask(exchange, subject.name, window, tally)
        return Asked(page, None, tally)
    except UsageError as exc:
        # The clock was read with the same settings, so they were valid until now.
        return Asked(None, ClosedDoorError(str(exc)), tally)
    except ExchangeError as exc:
        # The message contains the reason; the exception's cause holds sockets and replies.
        exc.__cause__ = exc.__context__ = None
        return Asked(None, exc.with_traceback(None), tally)


def threads_here(exchange: Exchange, threads: int) -> FetchWorkers:
    """Return fetch workers that are threads of this process.

    Args:
        exchange: to call; it is stopped when it refuses all calls.
        threads: calls in flight at once.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
    return FetchWorkers(pool, _Here(exchange), lambda: [threads])


class _Here:
    """The task of a thread. All threads see at once that the run, or a subject, has ended: no
    thread starts a window that was submitted before.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._refused: dict[Subject, RejectedError] = {}
        self._closed_door: ClosedDoorError | None = None

    def __call__(self, subject: Subject, window: Span) -> Asked:
        if refusal := self._refused.get(subject):
            return Asked(error=refusal)
        asked = ask(self._exchange, subject, window)
        match asked.error:
            case RejectedError() as exc:
                self._refused[subject] = exc
            case ClosedDoorError() as exc:
                self._closed_door = exc
                self._exchange.stop()
            case StoppedError():
                return replace(asked, error=self._closed_door or asked.error)
        return asked
