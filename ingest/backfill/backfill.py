"""The backfill: fetches what the lake lacks with parallel workers, and commits it in batches.

Workers, which are threads of this process or other machines, fetch and parse answers. The calling
thread collects them, and another thread commits them. So calls continue while a batch is written,
and the last commit follows the last answer. A kill at any moment loses at most the calls in flight
and the uncommitted windows: at most a fifth of the windows, or five if that is more; in a round of
a longer run at most 256, if that is more.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from ingest.backfill.batch_commit import catch_up
from ingest.backfill.committer import Committer, Saved
from ingest.backfill.conclusion import conclusion
from ingest.backfill.fetch_queue import FetchQueue
from ingest.backfill.fetch_workers import FetchWorkers
from ingest.backfill.fetcher import Fetcher
from ingest.backfill.locks import SubjectLocks
from ingest.backfill.outcome import Outcome
from ingest.backfill.results import DatasetCounts, Failure, FetchProgress, Finished, Result
from ingest.backfill.run_records import RunRecord
from ingest.backfill.subject_job import Job
from ingest.backfill.summary import stopped
from ingest.datasets.candles import CANDLES
from ingest.deribit.client import Exchange
from ingest.plan.planner import Planner, plan_figures
from ingest.rate_limit.policy import mean_rate
from lake import Lake
from lake.coverage import Subject
from lake.errors import ClosedDoorError, LakeError
from lake.properties.origin import set_origin

# After this many windows in a row without an answer, of more than this many instruments, the
# exchange counts as unreachable.
_AWAY_AFTER_WINDOWS = 20
_AWAY_AFTER_INSTRUMENTS = 2

# A killed process loses uncommitted answers: at most this part of the windows.
_MOST_AT_RISK = 1 / 5

# Or this many: a commit takes as long as some calls, so a small run makes few.
_FEW_WINDOWS = 5
# A round of a longer run makes one commit if it has at most this many windows.
_ROUND_WINDOWS = 256

# Ctrl-C would not interrupt an endless wait once Polars has set its own signal handler.
_POLL_S = 0.2

# State of a run by the exception that ended it; for other exceptions `failed`.
_ENDS = {KeyboardInterrupt: "interrupted", ClosedDoorError: "refused"}


class Backfill:
    """One run over all plans of a planner.

    Attributes:
        result: of the run so far.
    """

    def __init__(  # noqa: PLR0913  (each is a wish of its own, all but the first five by keyword)
        self,
        lake: Lake,
        exchange: Exchange,
        planner: Planner,
        workers: FetchWorkers,
        program: str,
        *,
        part_of: RunRecord | None = None,
        sound: Mapping[str, pl.Expr] | None = None,
        report: Callable[[FetchProgress], None] = lambda _: None,
        finish: Callable[[Finished], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare the run; nothing is called or written.

        Args:
            lake: to write rows and coverage to.
            exchange: to call.
            planner: plans what the lake needs.
            workers: fetch its windows.
            program: name and version, for the lineage of commits.
            part_of: the record of a longer run of which this is a round. A round writes no record
                of its own and logs failures only, makes one commit if its windows are few, and
                skips subjects that other runs have locked.
            sound: by dataset, whether a row of a requested repeat may replace the stored one; by
                default none may.
            report: called with progress, from the calling thread.
            finish: called with each subject that was called for, when the last of its answers is
                committed or it failed; from the calling thread.
            tell: called with further messages for the user, from the calling thread.
        """
        self._lake = lake
        self._exchange = exchange
        self._program = program
        self._report = report
        self._finish = finish
        self._tell = tell
        self._start_s = time.monotonic()
        self._locks = SubjectLocks(lake.machine_folder / "claims")
        self._work = FetchQueue(planner, self._locks)
        self._planner = planner
        self._workers = workers
        rate = exchange.limiter.expected.calls_per_second * len(workers.machines())
        figures = plan_figures(planner.plans(), rate)
        counts = Counter(subject.dataset for subject in planner.wanted)
        names = [name for name in planner.datasets if name != CANDLES.name]
        others = {name: DatasetCounts(instruments=counts[name]) for name in names}
        self.result = Result(instruments=counts[CANDLES.name], plan=figures, datasets=others)
        windows = figures["all_windows"]
        self._fetcher = Fetcher(exchange, workers)
        least = _ROUND_WINDOWS if part_of else _FEW_WINDOWS
        self._part_of = part_of
        self._committer = Committer(lake, program, windows, least=least, sound=sound)
        self._most_at_risk = max(least, int(windows * _MOST_AT_RISK))
        self._done = self._candles = self._rows = 0
        self._silent: list[Subject] = []
        self._is_waiting = False
        self._reason = "the run ended before they were requested"

    def run(self) -> Result:
        """Fetch and commit.

        Whatever ends the run, the answers so far are committed first; a later run continues
        from there.

        Raises:
            ClosedDoorError: the exchange refuses all calls; earlier answers are saved.
            UsageError: the lake holds data of another exchange; nothing was called.
            LakeError: the lake cannot be written; earlier commits stay.
            Exception: whatever the workers' pool raises if it is lost; earlier answers are
                saved.
        """
        if self._planner.wanted:
            set_origin(self._lake, self._exchange.name, self._program)
        if not self._planner.is_current:
            catch_up(self._lake, self._program)
        record = self._part_of or RunRecord(self._lake, self._program, self.result.plan)
        record.saw_clock(self._planner.now)
        self.result.run = record.id
        self._committer.run = record.next_round() if self._part_of else record.id
        self.result.log = str(record.log) if record.log else None
        state = "failed"
        try:
            self._fetch(record)
            if not self.result.all_failed:
                state = "done"
        except LakeError:
            self._tell_end(len(self._fetcher.stop()))
            raise
        except BaseException as exc:
            state = next((end for kind, end in _ENDS.items() if isinstance(exc, kind)), state)
            self._save_what_came(record)
            raise
        finally:
            self._fetcher.close()
            self._committer.close()
            self._locks.release_all()
            self._count()
            if self._part_of is None:
                record.end(state, self._facts())
        return self.result

    def _fetch(self, record: RunRecord) -> None:
        while self._work.left or self._fetcher.under_way:
            self._submit()
            if self._work.elsewhere and self._part_of:
                for subject in self._work.leave():
                    self.result.of(subject.dataset).left.append(subject.name)
            elif self._work.elsewhere and not self._fetcher.under_way:
                self._wait_for_others(record)
            for job, outcome in self._fetcher.gather(_POLL_S):
                self._take(job, outcome)
            self._settle(record, self._committer.poll(0.0 if self._fetcher.under_way else _POLL_S))
            record.renew(self._facts)
        self._settle(record, self._committer.flush())
        # Windows still open were abandoned.
        for job in self._work.begun:
            self._conclude(record, job)
        left = set(self.result.all_left)
        for subject in self._planner.wanted:
            if subject not in self._work.jobs and subject not in left:
                failed = self.result.of(subject.dataset).failed
                failed.append(Failure(subject.name, self._reason))
                record.tell(subject.name, "failed", {"reason": self._reason})

    def _submit(self) -> None:
        while (
            self._fetcher.has_room
            and not self._committer.is_full
            and self._fetcher.under_way + self._committer.unsaved < self._most_at_risk
        ):
            found = self._work.next()
            if found is None:
                return
            self._fetcher.submit(*found)

    def _take(self, job: Job, outcome: Outcome) -> None:
        job.take(outcome)
        self._committer.add(job, outcome)
        self._done += 1
        self._candles += outcome.rows if job.subject.dataset == CANDLES.name else 0
        total = self._done + self._fetcher.under_way + self._work.left
        self._rows += outcome.rows
        self._report(FetchProgress(self._done, total, self._rows, outcome.subject))
        self._silent = [*self._silent, job.subject] if outcome.is_silent else []
        names = {subject.name for subject in self._silent}
        if len(self._silent) >= _AWAY_AFTER_WINDOWS and len(names) >= _AWAY_AFTER_INSTRUMENTS:
            self._reason = f"not requested, because the exchange stopped answering: {outcome.error}"
            self._work.drop()

    def _wait_for_others(self, record: RunRecord) -> None:
        """Save everything, so that no run waits for this one, and check on the other runs."""
        self._settle(record, self._committer.flush())
        if not self._is_waiting:
            self._is_waiting = True
            shown = ", ".join(map(str, self._work.elsewhere[:3]))
            self._tell(f"Waiting for another backfill of this lake, which is fetching {shown}.")
        time.sleep(_POLL_S)
        self._work.look_again()

    def _save_what_came(self, record: RunRecord) -> None:
        for job, outcome in self._fetcher.stop():
            self._take(job, outcome)
        try:
            self._settle(record, self._committer.flush())
        finally:
            self._tell_end()

    def _tell_end(self, dropped: int = 0) -> None:
        """Log what is saved, and for how many windows the answers are lost; `dropped` windows never
        reached the committer.
        """
        self._count()
        lost = self._committer.lost + self._committer.unsaved + dropped
        self._tell(stopped(self.result, self._fetcher.under_way, lost))

    def _settle(self, record: RunRecord, saved: list[Saved]) -> None:
        """Record the commits, and conclude the subjects whose answers are all saved."""
        for job in self._work.take_idle():
            self._conclude(record, job)
        for batch in saved:
            self._planner.committed(batch.stored.asks_version)
            for dataset, written in batch.stored.written.items():
                self.result.took(dataset, written)
            for job, _ in batch.outcomes:
                job.unsaved -= 1
                if job.is_answered and not job.unsaved:
                    self._work.close(job)
                    self._conclude(record, job)

    def _conclude(self, record: RunRecord, job: Job) -> None:
        """Record the outcome of a subject in the result and in the log."""
        found = conclusion(job, self._reason)
        self.result.concluded(job.subject, found)
        if job.tally.calls or found.reason:
            parts = [own for _, own in self.result.by_dataset()]
            done, total = sum(p.finished for p in parts), sum(p.instruments for p in parts)
            self._finish(Finished(done, total, job.subject, found))
        if found.reason or self._part_of is None:
            record.tell(job.subject.name, found.status, found.figures)

    def _count(self) -> None:
        """Sum the calls so far."""
        for name, counts in self.result.by_dataset():
            jobs = [job for job in self._work.jobs.values() if job.subject.dataset == name]
            counts.calls = sum(job.tally.calls for job in jobs)
            counts.retries = sum(job.tally.retries for job in jobs)
            counts.throttled = sum(job.tally.throttled for job in jobs)
            if isinstance(counts, DatasetCounts):
                counts.rows = sum(job.rows for job in jobs)
        self.result.seconds = time.monotonic() - self._start_s

    def _facts(self) -> dict[str, Any]:
        """The current facts for the record of the run."""
        self._count()
        seconds = self.result.seconds
        # Machines are assumed to have the rate of this one.
        limiter, machines = self._exchange.limiter, len(self._workers.machines())
        most = limiter.most * machines
        left = self._work.left + self._fetcher.under_way
        facts = asdict(self.result)
        del facts["plan"], facts["log"]
        return facts | {
            "windows_done": self._done,
            "windows_left": left,
            "candles": self._candles,
            "calls_per_second": mean_rate(self.result.all_calls, seconds, most),
            "calls_per_second_limit": None if math.isinf(most) else most,
            "calls_per_second_allowed": limiter.calls_per_second * machines,
            "seconds_left": left * seconds / self._done if self._done else None,
            "instruments_now": [str(job.subject) for job in self._work.begun],
        }
