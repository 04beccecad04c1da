"""The declaration of a dataset."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from ingest.datasets.objects import malformed
from ingest.deribit.replies import Page
from lake.coverage import Coverage
from lake.errors import LateError
from lake.table import Table
from lake.time.intervals import Span, clip, common, merge
from lake.time.steps import Steps

if TYPE_CHECKING:
    from ingest.deribit.call_counts import CallCounts
    from ingest.deribit.client import Exchange

# A row that is missing for longer than this is not late any more.
LATE = timedelta(hours=1)

# From chosen rows of `instruments` (`ingest.plan.selection.choose`) and the exchange's clock to the
# steps that should be stored, by instrument or index, in the order of fetching.
Wanted: TypeAlias = Callable[[pl.DataFrame, datetime], Mapping[str, Sequence[Span]]]
# Fetches a window, with all retries, and counts the calls.
Ask: TypeAlias = Callable[["Exchange", str, Span, "CallCounts"], Page]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A kind of rows that are fetched in the same way.

    Attributes:
        name: in `coverage`.
        choice: the word of `--data` for it.
        noun: of a step.
        table: of the raw rows; its first column is the subject.
        key: the columns that identify a row of one instrument or index, its time first.
        steps: that rows cover.
        step: start of the step that a row covers, by the columns of its key.
        wanted: steps that should be stored.
        ask: fetches a window; runs on any machine.
        rows_per_call: maximum of one call, for the estimate of a plan.
        bytes_per_row: in the raw table, measured, for the same estimate.
        confirms_leading: whether steps that an answer lacks before the first row are fetched again,
            too, e.g. if the exchange returns only the newest of too many rows.
        whose: what has such rows, in the singular and the plural.
    """

    name: str
    choice: str
    noun: str
    table: Table
    key: tuple[str, ...]
    steps: Steps
    step: pl.Expr
    wanted: Wanted
    ask: Ask
    rows_per_call: int
    bytes_per_row: float
    confirms_leading: bool = True
    whose: tuple[str, str] = ("instrument", "instruments")

    def unconfirmed(self, coverage: Coverage) -> list[Span]:
        """Return the steps that one answer lacked: to be fetched again."""
        found = coverage.unconfirmed()
        if self.confirms_leading:
            found = merge([*found, *common(coverage.leading(), coverage.absent)])
        return found

    @property
    def subject(self) -> str:
        """The column of the instrument or index."""
        return self.table.key[0]

    @property
    def words(self) -> str:
        """The name as words in a sentence."""
        return self.name.replace("_", " ")

    def calls(self, windows: Iterable[Span]) -> int:
        """Return how many calls windows take, if none fails and no page is short."""
        return sum(-(-self.steps.count([window]) // self.rows_per_call) for window in windows)


def closed(window: Span, until: datetime | None) -> Span:
    """Return the part of a window that was over when it was answered; pure.

    Args:
        window: whole steps.
        until: end of the steps that were over, by the exchange's clock; None if that is unknown.

    Raises:
        TransientError: no step was over.
    """
    asked = window if until is None else Span(window.start, min(window.end, until))
    if asked.end <= asked.start:
        raise malformed("the exchange's clock is earlier than the window")
    return asked


def without_late(asked: Span, covered: Sequence[Span], steps: Steps, at: datetime | None) -> Span:
    """Return a window without its newest steps, if those have no row and ended less than an
    hour ago: the exchange may be late, and a late row is not missing; pure.

    Args:
        asked: steps that had ended when the exchange answered.
        covered: steps with a row, sorted.
        steps: of the dataset.
        at: the exchange's clock.

    Raises:
        LateError: no other step is left.
    """
    if at is None:
        return asked
    last = covered[-1].end if covered else asked.start
    end = min(asked.end, max(last, steps.floor(at - LATE)))
    if end <= asked.start:
        raise LateError("The newest row has not been published yet.")
    return Span(asked.start, end)


def lives(
    chosen: pl.DataFrame, steps: Steps, now: datetime, lag: timedelta
) -> dict[str, list[Span]]:
    """Return the whole steps of instruments' lives that ended before a lag; pure.

    For a perpetual that is only a companion of futures, the steps of the futures' lives.

    Args:
        chosen: see `Wanted`.
        steps: of the dataset, including the one in which an instrument was listed.
        now: the exchange's clock.
        lag: time after its end until a step's row is available.
    """
    until = steps.floor(now - lag)
    columns = ("instrument", "base", "is_companion", "listed_at", "expires_at")
    rows = list(chosen.select(columns).iter_rows())
    own = {
        name: Span(
            steps.floor(listed_at),
            until if expires_at is None else min(steps.ceil(expires_at), until),
        )
        for name, _, _, listed_at, expires_at in rows
    }
    futures: dict[str, list[Span]] = {}
    for name, base, _, _, expires_at in rows:
        if expires_at is not None:
            futures.setdefault(base, []).append(own[name])
    return {
        name: [clip(span, own[name]) for span in futures.get(base, ())]
        if is_companion
        else [own[name]]
        for name, base, is_companion, _, _ in rows
    }
