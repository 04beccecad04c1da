"""The schedule of a follow run: when it does what, and which subjects it fetches; pure.

All times are of the exchange's clock.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from ingest.deribit.replies import CLOSING_LAG, closed_until
from lake.coverage import IS_CANDLES, Subject
from lake.time.intervals import MINUTE, Span
from lake.time.steps import MINUTES, STEPS

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
# A subject without an answer while others have one is fetched again after so long, then twice as
# long, and so on.
_FIRST_REST = MINUTE
_LONGEST_REST = timedelta(hours=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Intervals of the steps.

    Attributes:
        fetch_every: whole minutes; each fetch is one commit.
        discover_every: discovery of new listings.
        build_every: builds of the curated tables, None for never.
        maintain_every: maintenance of files and logs, None for never.
    """

    fetch_every: timedelta = MINUTE
    discover_every: timedelta = 5 * MINUTE
    build_every: timedelta | None = MINUTE
    maintain_every: timedelta | None = 15 * MINUTE


def is_due(last: datetime | None, now: datetime, every: timedelta | None) -> bool:
    """Whether a step is due that last ran at a time (None: never ran); also true if the clock was
    set back since. It is never due if `every` is None.
    """
    return every is not None and (last is None or not timedelta(0) <= now - last < every)


def next_fetch(now: datetime, every: timedelta) -> datetime:
    """The first moment after `now` when the minutes up to a multiple of `every` are final."""
    batches = (closed_until(now) - _EPOCH) // every + 1
    return _EPOCH + batches * every + CLOSING_LAG


def wait_after_failures_s(failures: int) -> float:
    """Seconds to wait before the next call to the exchange: 5, 10, 20 and so on, at most 300.

    Args:
        failures: in a row, from 1.
    """
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 16), LONGEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause of a subject that had no answer.

    Attributes:
        failures: rounds in a row with unanswered minutes.
        until: exclusive.
    """

    failures: int
    until: datetime


@dataclass(slots=True)
class Roster:
    """The selected subjects that need no plan now.

    Attributes:
        ended: expired, with nothing left to fetch.
        resting: without an answer lately, while others had one.
    """

    ended: set[Subject] = field(default_factory=set)
    resting: dict[Subject, Rest] = field(default_factory=dict)

    def without(self, now: datetime) -> set[Subject]:
        """Subjects that a round skips."""
        return self.ended | {subject for subject, rest in self.resting.items() if now < rest.until}

    def end(self, needs: Mapping[Subject, bool], over: Collection[Subject]) -> list[Subject]:
        """Skip from now on subjects that are over and need nothing; return those subjects.

        Args:
            needs: by subject of a round, whether the lake lacks rows of it.
            over: subjects with no further rows, see `over`.
        """
        ended = sorted(s for s, is_needy in needs.items() if s in over and not is_needy)
        self.ended.update(ended)
        return ended

    def relist(self, changed: Collection[str]) -> None:
        """Resume instruments whose listing or expiry changed."""
        self.ended = {subject for subject in self.ended if subject.name not in changed}

    def took(self, asked: Collection[Subject], failed: Collection[Subject], now: datetime) -> None:
        """Record a round. If no subject was answered, the exchange is unreachable, and no subject
        pauses.

        Args:
            asked: planned subjects.
            failed: those with unanswered steps.
            now: when the round ended.
        """
        answered = set(asked) - set(failed)
        for subject in answered:
            self.resting.pop(subject, None)
        for subject in failed if answered else ():
            failures = self.resting[subject].failures + 1 if subject in self.resting else 1
            rest = min(_FIRST_REST * 2 ** min(failures - 1, 16), _LONGEST_REST)
            self.resting[subject] = Rest(failures, now + rest)


def over(
    wanted: Mapping[Subject, Sequence[Span]], expires_at: Mapping[str, datetime]
) -> set[Subject]:
    """Subjects with no further rows: the steps to store reach their expiry. The last settlement
    follows the last candle.

    Args:
        wanted: steps that should be stored by now, by subject.
        expires_at: of instruments that have expired.
    """
    return {
        subject
        for subject, spans in wanted.items()
        if subject.name in expires_at
        and spans
        and spans[-1].end >= STEPS[subject.dataset].ceil(expires_at[subject.name])
    }


def expired_by(instruments: pl.DataFrame, now: datetime) -> set[str]:
    """Names of the instruments whose last minute is final.

    Args:
        instruments: rows of the table `instruments`.
        now: the exchange's clock.
    """
    ends = instruments.select("instrument", "expires_at").iter_rows()
    closed = closed_until(now)
    return {name for name, end in ends if end is not None and MINUTES.ceil(end) <= closed}


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the lake is behind the exchange's clock. A candle is labelled by its open, so at best
    the lag is between 65 seconds and 65 seconds plus the time between rounds.

    Attributes:
        at: the exchange's clock.
        newest: the newest candle of all, None if there is none.
        seconds: from that candle to the clock.
        instrument: the one furthest behind, among open instruments with a candle.
        instrument_seconds: its lag.
    """

    at: datetime
    newest: datetime | None = None
    seconds: float | None = None
    instrument: str | None = None
    instrument_seconds: float | None = None


def newest_candles(coverage: pl.DataFrame) -> dict[str, datetime]:
    """The newest candle of each instrument that has one."""
    present = coverage.filter(IS_CANDLES, pl.col("status") == "present")
    newest = present.group_by("instrument").agg(pl.col("end").max() - MINUTE)
    return dict(newest.iter_rows())


def lag_of(newest: Mapping[str, datetime], expired: Collection[str], now: datetime) -> Lag:
    """Return the lag of the open instruments.

    Args:
        newest: see `newest_candles`; of the followed instruments.
        expired: names with no further candles.
        now: the exchange's clock.
    """
    of_open = {name: ts for name, ts in newest.items() if name not in expired}
    if not of_open:
        return Lag(now)
    last = min(of_open, key=lambda name: (of_open[name], name))
    first_ts = max(of_open.values())
    seconds, furthest = ((now - ts).total_seconds() for ts in (first_ts, of_open[last]))
    return Lag(now, first_ts, seconds, last, furthest)
