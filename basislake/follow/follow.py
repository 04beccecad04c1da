"""Following the market: each round fetches what has closed since the last one. On a schedule, the
run also looks for new listings, builds the curated tables, and maintains the lake's files.

Each round is a backfill of what the lake lacks until now. So the first round also fills the gap
since the last run, and the round after a failure fetches what the failed one missed.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from basislake import PROGRAM
from basislake.follow.background_tasks import BackgroundTasks, Work
from basislake.follow.followed import Followed
from basislake.follow.messages import Messages, some
from basislake.output.units import duration
from basislake.settings.exchange import ExchangeSettings
from ingest.backfill.backfill import Backfill
from ingest.backfill.fetch_workers import threads_here
from ingest.backfill.results import Finished, Result
from ingest.backfill.run_records import RunRecord
from ingest.datasets.candles import CANDLES
from ingest.deribit.client import Exchange
from ingest.discover import discover
from ingest.follow_schedule import (
    Roster,
    Schedule,
    expired_by,
    is_due,
    lag_of,
    newest_candles,
    next_fetch,
    over,
    wait_after_failures_s,
)
from ingest.plan.planner import Planner, plan_figures
from ingest.plan.scope import scope_of, within
from ingest.plan.selection import Selection
from ingest.rate_limit.refusal_messages import Refusals
from lake import Lake
from lake.coverage import Subject
from lake.errors import BasislakeError, ExchangeError, LakeError, TransientError, UsageError
from lake.tables import COVERAGE, INSTRUMENTS

# An endless wait would not be woken by Ctrl-C once Polars has set its own handler.
_LONGEST_NAP_S = 0.5
# While the run waits it renews its record, so that others see that it is alive.
_FIRST_RENEWAL_S = 1.0
_RENEW_EVERY_S = 10.0


class Follower:
    """A run that keeps a selection current until a signal ends it.

    Attributes:
        result: what it did so far.
    """

    def __init__(  # noqa: PLR0913  (independent settings, all but the first four by keyword)
        self,
        lake: Lake,
        settings: ExchangeSettings,
        selection: Selection,
        schedule: Schedule,
        *,
        work: Work,
        say: Callable[[str], None] = lambda _: None,
        finish: Callable[[Finished], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin the record of the run; call nothing yet.

        Args:
            lake: to fetch into.
            settings: of the exchange.
            selection: from the flags; the lake's scope fills in the rest, and may change.
            schedule: how often each task runs.
            work: the tasks between rounds.
            say: called with messages for the user.
            finish: called with each instrument that the first round finishes.
            clock: monotonic seconds; used only between two readings of the exchange's clock.
            sleep: waits for some seconds.

        Raises:
            LakeError: the lake cannot be written.
        """
        self._lake = lake
        self._settings = settings
        self._selection = selection
        self._schedule = schedule
        self._messages = Messages(say)
        self._refusals = Refusals()
        self._finish = finish
        self._clock = clock
        self._sleep = sleep
        self._record = RunRecord(
            lake, PROGRAM, plan_figures([], settings.expected().calls_per_second)
        )
        log = str(self._record.log) if self._record.log else None
        self.result = Followed(run=self._record.id, log=log)
        self._tasks = BackgroundTasks(work, schedule, self._messages, self.result)
        self._roster = Roster()
        self._chosen = selection
        self._seen = datetime.min.replace(tzinfo=UTC), clock()
        self._newest: dict[str, datetime] = {}
        self._expired: set[str] = set()
        self._dead: set[str] = set()
        self._followed: set[Subject] = set()
        self._discovered_at: datetime | None = None
        self._failures = 0
        self._away_since_s: float | None = None
        self._record.facts.update(self._facts())

    def run(self) -> Followed:
        """Follow until interrupted; everything fetched by then is saved.

        Raises:
            UsageError: the selection has an unknown name.
        """
        state = "failed"
        try:
            while True:
                self.wait(self.round())
        except KeyboardInterrupt:
            state = "stopped"
        finally:
            self._record.end(state, {**self._facts(), **asdict(self.result)})
        return self.result

    def round(self) -> float:
        """Do what is due, and return the seconds to wait before the next round."""
        try:
            # Each round opens new connections: after an outage the old ones are dead.
            with self._settings.open(self._lake, self._messages.say, self._refusals) as exchange:
                now, seen_s = self._seen = exchange.server_time(most_retries=1), self._clock()
                self._discover(exchange, now)
                self._fetch(exchange, now)
        except (ExchangeError, LakeError) as exc:
            return self._away(exc)
        except UsageError as exc:
            # A setting that was right before may be right again, e.g. a certificate file.
            if not self._followed:
                raise
            return self._away(exc)
        self._back()
        self._tasks.run_due(now)
        wait = next_fetch(now, self._schedule.fetch_every) - now
        return max(0.0, wait.total_seconds() - (self._clock() - seen_s))

    def wait(self, seconds: float) -> None:
        """Wait, and keep the record fresh."""
        until_s = self._clock() + seconds
        # Soon after a round, then at intervals.
        renew_s = self._clock() + _FIRST_RENEWAL_S
        while (left_s := until_s - self._clock()) > 0:
            self._sleep(min(left_s, _LONGEST_NAP_S))
            if self._clock() >= renew_s:
                renew_s = self._clock() + _RENEW_EVERY_S
                self._record.renew(self._facts)

    def _discover(self, exchange: Exchange, now: datetime) -> None:
        if not is_due(self._discovered_at, now, self._schedule.discover_every):
            return
        found = discover(exchange, self._lake, PROGRAM)
        if not found.failed:
            self._discovered_at = now
        self._roster.relist(found.changed)
        self.result.new += found.new
        self._messages.discovered(found)

    def _fetch(self, exchange: Exchange, now: datetime) -> None:
        chosen = within(self._selection, scope_of(self._lake))
        if chosen != self._chosen:
            # Somebody changed the lake's scope: instruments that had ended may lack minutes now.
            self._chosen, self._roster = chosen, Roster()
        planner = Planner(self._lake, chosen, now, without=self._roster.without(now))
        known = self._lake.snapshot(INSTRUMENTS).read().select("instrument", "expires_at")
        self._expired = expired_by(known, now)
        if not self._followed:
            # Expiries before this run are not reported.
            self._dead = self._expired
        needs = {subject: bool(planner.plan(subject).windows) for subject in planner.wanted}
        ends = {name: at for name, at in known.iter_rows() if name in self._expired}
        ended = self._roster.end(needs, over(planner.wanted, ends))
        if names := [
            s.name for s in ended if s.name not in self._dead and s.dataset == CANDLES.name
        ]:
            self.result.ended += len(names)
            self._messages.say(f"Ended: {some(names)}, complete to the expiry.")
        self._followed = (set(needs) | set(self._roster.resting)) - self._roster.ended
        asked = {subject for subject, is_needy in needs.items() if is_needy}
        if not asked:
            self._measure()
            return
        job = Backfill(
            self._lake,
            exchange,
            planner,
            threads_here(exchange, self._settings.threads),
            PROGRAM,
            part_of=self._record,
            # The first round may repair years, and take hours.
            finish=self._finish if not self.result.rounds else lambda _: None,
        )
        try:
            job.run()
            self._measure()
        finally:
            self._count(job.result)
        self._took(job.result, asked - set(job.result.all_left))

    def _took(self, result: Result, asked: set[Subject]) -> None:
        """Schedule retries after a round, and report it.

        Raises:
            TransientError: nothing was answered.
        """
        failed = result.all_failed
        self._roster.took(asked, set(failed), self._now())
        if asked and failed.keys() >= asked:
            raise TransientError(f"No instrument got an answer: {next(iter(failed.values()))}")
        self._messages.fetched(result, self.result.lag)

    def _count(self, result: Result) -> None:
        """Add a round, even an interrupted one, to the figures and to the log."""
        self._record.tell("-", "round", self.result.add(result))
        self._tasks.add_rows(result.rows_written)
        self._record.facts.update(self._facts())

    def _away(self, error: BasislakeError) -> float:
        """Log once that the run has to wait, and return for how many seconds."""
        self._failures += 1
        if self._away_since_s is None:
            self._away_since_s = self._clock()
            self.result.outages += 1
            self._messages.say(
                f"Waiting: {error} Everything fetched is saved; following resumes automatically."
            )
            self._record.tell("-", "waiting", {"reason": error})
        return wait_after_failures_s(self._failures)

    def _back(self) -> None:
        if self._away_since_s is not None:
            lasted = duration(self._clock() - self._away_since_s)
            self._messages.say(f"Resumed after {lasted}.")
            self._record.tell("-", "back", {"after": lasted})
        self._failures, self._away_since_s = 0, None

    def _now(self) -> datetime:
        """The last reading of the exchange's clock, plus the time since."""
        at, seen_s = self._seen
        return at + timedelta(seconds=max(0.0, self._clock() - seen_s))

    def _measure(self) -> None:
        known = newest_candles(self._lake.snapshot(COVERAGE).read())
        names = self._instruments()
        self._newest = {name: ts for name, ts in known.items() if name in names}
        self._record.facts.update(self._facts())

    def _instruments(self) -> set[str]:
        """The instruments whose candles are followed."""
        return {subject.name for subject in self._followed if subject.dataset == CANDLES.name}

    def _facts(self) -> dict[str, Any]:
        if self._newest:
            self.result.lag = lag_of(self._newest, self._expired, self._now())
        return {
            "follow": {
                "instruments": len(self._instruments() - self._expired),
                "rounds": self.result.rounds,
                "candles_written": self.result.candles_written,
                "calls": self.result.calls,
                "is_waiting": self._away_since_s is not None,
                **(asdict(self.result.lag) if self.result.lag else {}),
            }
        }
