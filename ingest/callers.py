"""Who asks the exchange for windows: threads of this process, or the workers of any executor.

A task takes a subject and a window and returns plain values, so it may run anywhere; what is
asked next, and what becomes of the answers, is decided by the one that hands tasks out.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ingest.datasets import DATASETS
from ingest.exchange import Exchange, Tally
from ingest.replies import Page
from lake.coverage import Subject
from lake.errors import ClosedDoorError, ExchangeError, RejectedError, StoppedError, UsageError
from lake.spans import Span


@dataclass(frozen=True, slots=True)
class Asked:
    """What a task came to.

    Attributes:
        page: the answer, None where there was none.
        error: why there was none.
        tally: the calls it took.
    """

    page: Page | None = None
    error: ExchangeError | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def ends_the_run(self) -> bool:
        """Whether nothing more should be asked: the door is closed, or the caller was stopped."""
        return isinstance(self.error, ClosedDoorError | StoppedError)


@dataclass(frozen=True, slots=True)
class Callers:
    """Those who ask, for one run.

    Attributes:
        pool: runs the tasks; shut down at the end of the run.
        ask: the task. It is pickled where the pool's workers are other processes.
        machines: tells, for each with an allowance of its own, how many calls may be under way at
            once; machines come and go.
    """

    pool: Executor
    ask: Callable[[Subject, Span], Asked]
    machines: Callable[[], Sequence[int]]


def ask(exchange: Exchange, subject: Subject, window: Span) -> Asked:
    """Ask for a window, with all repeats, and return what came of it.

    Raises:
        LakeError: the pace cannot be kept.
    """
    tally = Tally()
    try:
        page = DATASETS[subject.dataset].ask(exchange, subject.name, window, tally)
        return Asked(page, None, tally)
    except UsageError as exc:
        # The clock was asked with the same settings, so they were right until now.
        return Asked(None, ClosedDoorError(str(exc)), tally)
    except ExchangeError as exc:
        # The message tells the reason; what it was raised from holds sockets and replies.
        exc.__cause__ = exc.__context__ = None
        return Asked(None, exc.with_traceback(None), tally)


def threads_here(exchange: Exchange, threads: int) -> Callers:
    """Return threads of this process that ask.

    Args:
        exchange: to ask; it is stopped when its door is closed.
        threads: calls under way at once.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
    return Callers(pool, _Here(exchange), lambda: [threads])


class _Here:
    """The task of a thread. What ends the run, or a subject, is known to all threads at once:
    none takes up another window that was handed in before.
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
