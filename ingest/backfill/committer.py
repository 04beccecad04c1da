"""The committer: commits answers in batches, in its own thread, one batch after the other."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import polars as pl

from ingest.backfill.batch_commit import Stored, store
from ingest.backfill.outcome import Outcome
from ingest.backfill.subject_job import Job
from lake import Lake

# A commit is due after this many rows (of candles about 30 MB in memory), this time, or this part
# of the windows, whichever comes first.
BATCH_ROWS = 500_000
BATCH_SECONDS = 20.0
BATCHES = 14

# Rows that may wait during a commit; with more, fetching waits.
MOST_ROWS_WAITING = 1_000_000

# Ctrl-C would not interrupt an endless wait once Polars has set its own signal handler.
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Saved:
    """A committed batch.

    Attributes:
        stored: the result of the commit.
        outcomes: with their jobs.
    """

    stored: Stored
    outcomes: list[tuple[Job, Outcome]]


class Committer:
    """Collects answers of one run and commits them; used by one thread.

    Attributes:
        lost: windows whose commit failed; a later run fetches them again.
        run: name of the run in `asks`.
    """

    def __init__(
        self,
        lake: Lake,
        program: str,
        windows: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        least: int = 1,
        sound: Mapping[str, pl.Expr] | None = None,
    ) -> None:
        """Start with nothing to commit.

        Args:
            lake: to commit to.
            program: name and version, for the lineage.
            windows: expected number.
            clock: monotonic seconds.
            least: the fewest windows that make a commit due, however few are expected.
            sound: whether a row may replace a stored one, see `ingest.backfill.batch_commit`.
        """
        self.lost = 0
        self.run: str | None = None
        self._lake = lake
        self._program = program
        self._most_windows = max(least, windows // BATCHES)
        self._clock = clock
        self._sound = sound
        self._batch: list[tuple[Job, Outcome]] = []
        self._rows = 0
        self._since_s = clock()
        self._committing: tuple[Future[Stored], list[tuple[Job, Outcome]]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    @property
    def is_full(self) -> bool:
        """Whether so many rows wait for the running commit that fetching should wait."""
        return self._rows >= MOST_ROWS_WAITING

    @property
    def unsaved(self) -> int:
        """Windows that were added and are not committed yet."""
        committing = self._committing[1] if self._committing else []
        return len(self._batch) + len(committing)

    def add(self, job: Job, outcome: Outcome) -> None:
        """Add an outcome to be committed."""
        if not self._batch:
            self._since_s = self._clock()
        self._batch.append((job, outcome))
        self._rows += outcome.rows

    def poll(self, timeout_s: float = 0.0) -> list[Saved]:
        """Return the batches committed since, and begin the next commit if one is due.

        Args:
            timeout_s: the longest wait for the running commit.

        Raises:
            LakeError: the commit failed; earlier commits stay.
        """
        saved = self._collect(timeout_s)
        if self._committing is None and self._is_due():
            self._begin()
        return saved

    def flush(self) -> list[Saved]:
        """Commit everything, and return what was committed.

        Raises:
            LakeError: a commit failed; earlier commits stay.
        """
        saved = []
        while self._batch or self._committing:
            if self._committing is None:
                self._begin()
            saved += self._collect(_POLL_S)
        return saved

    def close(self) -> None:
        """Begin no more commits; a running one continues to its end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _is_due(self) -> bool:
        return bool(self._batch) and (
            len(self._batch) >= self._most_windows
            or self._rows >= BATCH_ROWS
            or self._clock() - self._since_s > BATCH_SECONDS
        )

    def _begin(self) -> None:
        batch, self._batch, self._rows = self._batch, [], 0
        outcomes = [outcome for _, outcome in batch]
        future = self._thread.submit(
            store,
            self._lake,
            outcomes,
            self._program,
            run=self.run,
            again={job.subject: job.plan.again for job, _ in batch},
            sound=self._sound,
        )
        self._committing = (future, batch)

    def _collect(self, timeout_s: float) -> list[Saved]:
        """The result of the running commit, if it has ended."""
        if self._committing is None:
            return []
        future, batch = self._committing
        wait([future], timeout_s)
        if not future.done():
            return []
        self._committing = None
        if future.exception() is not None:
            self.lost += len(batch)
        return [Saved(future.result(), batch)]
