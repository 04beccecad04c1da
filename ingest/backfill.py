"""The backfill: asks for the windows of a plan with a few threads, and commits what comes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from ingest.batches import Outcome, apply, store
from ingest.coverage import Coverage
from ingest.exchange import Exchange
from ingest.plans import coverages, make_plans
from ingest.selection import Selection
from ingest.windows import InstrumentPlan, windows
from lake import Lake
from lake.errors import ClosedDoorError, ExchangeError, RejectedError
from lake.spans import Span, clip, merge, subtract

DEFAULT_THREADS = 4

# A commit is due after this many candles (about 30 MB in memory), this long, or this part of the
# windows, whichever comes first; so a kill costs at most a twentieth of the calls.
BATCH_CANDLES = 500_000
BATCH_SECONDS = 20.0
BATCHES = 20

# An endless wait would not be woken by Ctrl-C once Polars has set its own handler.
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Failure:
    """An instrument that is not complete, and why."""

    instrument: str
    reason: str


@dataclass(slots=True)
class Result:
    """What a backfill did.

    Attributes:
        instruments: how many were selected.
        complete: how many have every minute of their selected life answered.
        empty: names that were answered over their whole selected life and have no candle.
        failed: those with unanswered minutes, with the reason.
        candles_written: rows new to the lake.
        calls: candle calls, repeats included.
        retries: calls made again after a transient failure.
        differing: candles that came again with other values than stored; the stored ones were kept.
        seconds: from start to the last commit.
    """

    instruments: int = 0
    complete: int = 0
    empty: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    candles_written: int = 0
    calls: int = 0
    retries: int = 0
    differing: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a round of a backfill is, told after every window.

    Attributes:
        done: windows answered or given up.
        total: windows of the round.
        candles: received so far in the round.
        instrument: of the window that was just done.
    """

    done: int
    total: int
    candles: int
    instrument: str


class Backfill:
    """One run over a selection.

    Two rounds: the first asks what is needed; the second asks once more where an answer lacked a
    minute after the first candle, because only then is the minute believed to be missing.
    """

    def __init__(
        self,
        lake: Lake,
        exchange: Exchange,
        program: str,
        *,
        threads: int = DEFAULT_THREADS,
        report: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is called.

        Args:
            lake: to read coverage from and write candles to.
            exchange: to ask.
            program: name and version, for the lineage of commits.
            threads: calls under way at once.
            report: told of progress, from the calling thread.
            clock: seconds, never going back.
        """
        self._lake = lake
        self._exchange = exchange
        self._program = program
        self._threads = threads
        self._report = report
        self._clock = clock
        self._reasons: dict[str, ExchangeError] = {}
        self._result = Result()
        # What the answers of this run alone say, by instrument.
        self._seen: dict[str, Coverage] = {}

    def run(self, selection: Selection, *, repair: bool = False) -> Result:
        """Fetch what the selection still needs.

        Whatever ends the run, what was answered until then is committed first; a later run takes up
        from there.

        Raises:
            ClosedDoorError: the exchange refuses all calls; what came before is saved.
            ExchangeError: its clock cannot be had; nothing was asked.
            LakeError: the lake cannot be read or written.
        """
        tally = self._exchange.tally
        start_s, calls, retries = self._clock(), tally.calls, tally.retries
        now = self._exchange.server_time()
        plans = make_plans(self._lake, selection, now, repair=repair)
        self._round([(plan.instrument, window) for plan in plans for window in plan.windows])
        self._round(self._unconfirmed())
        self._conclude(plans)
        self._result.calls = tally.calls - calls
        self._result.retries = tally.retries - retries
        self._result.seconds = self._clock() - start_s
        return self._result

    def _unconfirmed(self) -> list[tuple[str, Span]]:
        """Windows over what one answer of this run lacked, around what had no answer at all."""
        covered = coverages(self._lake)
        result = []
        for instrument, seen in self._seen.items():
            coverage = covered.get(instrument, Coverage())
            coverage.recall(seen.absent)
            needed = coverage.unconfirmed()
            hull = [Span(span.start, needed[-1].end) for span in needed[:1]]
            for piece in subtract(hull, coverage.failed):
                inside = windows(clip(span, piece) for span in needed)
                result += [(instrument, window) for window in inside]
        return result

    def _round(self, asked: list[tuple[str, Span]]) -> None:
        batch: list[Outcome] = []
        most = max(1, len(asked) // BATCHES)
        candles, since_s = 0, self._clock()
        try:
            for done, outcome in enumerate(self._outcomes(asked), start=1):
                batch.append(outcome)
                candles += outcome.rows
                self._report(Progress(done, len(asked), candles, outcome.instrument))
                if (
                    len(batch) >= most
                    or sum(o.rows for o in batch) >= BATCH_CANDLES
                    or self._clock() - since_s > BATCH_SECONDS
                ):
                    self._flush(batch)
                    since_s = self._clock()
        finally:
            self._flush(batch)

    def _outcomes(self, asked: list[tuple[str, Span]]) -> Iterator[Outcome]:
        """Yield outcomes as they come; at most two windows a thread are under way."""
        pending: set[Future[Outcome]] = set()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="fetch") as pool:
            try:
                for instrument, window in asked:
                    pending.add(pool.submit(self._ask, instrument, window))
                    while len(pending) >= 2 * self._threads:
                        done, pending = wait(pending, _POLL_S, FIRST_COMPLETED)
                        yield from (future.result() for future in done)
                while pending:
                    done, pending = wait(pending, _POLL_S, FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, instrument: str, window: Span) -> Outcome:
        refusal = self._reasons.get(instrument)
        if isinstance(refusal, RejectedError):
            return Outcome(instrument, window, None)
        try:
            return Outcome(instrument, window, self._exchange.candles(instrument, window))
        except ClosedDoorError:
            raise
        except ExchangeError as exc:
            self._reasons[instrument] = exc
            return Outcome(instrument, window, None)

    def _flush(self, batch: list[Outcome]) -> None:
        if not batch:
            return
        lacked = {name: seen.absent for name, seen in self._seen.items()}
        stored = store(self._lake, batch, self._program, lacked)
        for outcome in batch:
            apply(self._seen.setdefault(outcome.instrument, Coverage()), [outcome])
        batch.clear()
        self._result.candles_written += stored.written
        self._result.differing += stored.differing

    def _conclude(self, plans: list[InstrumentPlan]) -> None:
        covered = coverages(self._lake)
        self._result.instruments = len(plans)
        for plan in plans:
            coverage = covered.get(plan.instrument, Coverage())
            unanswered = subtract(plan.wanted, coverage.held())
            if unanswered:
                minutes = sum(span.minutes for span in unanswered)
                reason = self._reasons.get(plan.instrument, "the run ended before they were asked")
                told = f"{minutes} minutes have no answer: {reason}"
                self._result.failed.append(Failure(plan.instrument, told))
                continue
            self._result.complete += 1
            had = [clip(p, wanted) for p in coverage.present for wanted in plan.wanted]
            if plan.wanted and not merge(had):
                self._result.empty.append(plan.instrument)
