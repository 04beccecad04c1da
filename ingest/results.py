"""What a backfill tells: how far it is, and what it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """An instrument that is not complete, and why."""

    instrument: str
    reason: str


@dataclass(slots=True)
class Result:
    """What a backfill did.

    Attributes:
        run: its name among the records of runs.
        instruments: how many were selected.
        complete: how many have every minute of their selected life answered.
        empty: names that were answered over their whole selected life and have no candle.
        failed: those with unanswered minutes, with the reason.
        left: names left to another run that works on them; only a round of a longer run does so.
        missing: minutes after the first candle that answers lacked more than once, by instrument.
        candles_written: rows new to the lake.
        bytes_written: of the files of those rows.
        calls: candle calls, repeats included.
        retries: candle calls made again after a transient failure.
        throttled: candle calls refused because there were too many.
        replaced: candles that took the place of stored ones, asked for again on purpose.
        differing: candles that came again with other values than stored; the stored ones were kept.
        seconds: from start to the last commit.
        plan: what was to be done, see `ingest.plans.plan_figures`.
        log: the file with a line for each instrument, None where there is none.
    """

    run: str = ""
    instruments: int = 0
    complete: int = 0
    empty: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    candles_written: int = 0
    bytes_written: int = 0
    calls: int = 0
    retries: int = 0
    throttled: int = 0
    replaced: int = 0
    differing: int = 0
    seconds: float = 0.0
    plan: Mapping[str, Any] = field(default_factory=dict)
    log: str | None = None

    @property
    def finished(self) -> int:
        """How many are complete or failed."""
        return self.complete + len(self.failed)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is, told after every window.

    Attributes:
        done: windows answered or given up.
        total: windows of the run as far as is known.
        candles: received so far.
        instrument: of the window that was just done.
    """

    done: int
    total: int
    candles: int
    instrument: str


@dataclass(frozen=True, slots=True)
class Finished:
    """An instrument that nothing more is asked of in this run.

    Attributes:
        done: instruments of the run that are finished, with this one.
        total: instruments of the run.
        instrument: its name.
        status: `complete`, `empty` (no candle in the selected life) or `failed`.
        figures: calls, retries, candles, missing, unanswered, and the reason where it failed.
    """

    done: int
    total: int
    instrument: str
    status: str
    figures: Mapping[str, Any]
