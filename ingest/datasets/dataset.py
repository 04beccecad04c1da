"""The declaration of a dataset."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from ingest.replies import Page
from lake.coverage import Coverage
from lake.errors import LateError
from lake.spans import Span, clip, common, merge
from lake.steps import Steps
from lake.table import Table

if TYPE_CHECKING:
    from ingest.exchange import Exchange, Tally

# After so long a row that is not there is not late any more.
LATE = timedelta(hours=1)

# From rows of `instruments` that were chosen (`ingest.selection.choose`) and the exchange's clock
# to the steps that should be stored, by instrument or index, in the order to ask for them.
Wanted: TypeAlias = Callable[[pl.DataFrame, datetime], Mapping[str, Sequence[Span]]]
# Asks for a window, with all repeats, and counts the calls.
Ask: TypeAlias = Callable[["Exchange", str, Span, "Tally"], Page]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows that are fetched alike.

    Attributes:
        name: in `coverage`.
        choice: the word of `--data` that chooses it.
        noun: what a step is.
        table: of the raw rows; its first column says whose a row is.
        key: the columns that name a row of one instrument or index, its time first.
        steps: that rows cover.
        step: start of the step that a row covers.
        wanted: what should be stored.
        ask: how a window is asked for; runs on any machine.
        rows_per_call: the most that one call brings, for the estimate of a plan.
        bytes_per_row: in the raw table, measured, likewise.
        confirms_leading: steps that an answer lacks before the first row are asked for once more,
            too, as where the exchange keeps the newest rows of too many.
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

    def unconfirmed(self, coverage: Coverage) -> list[Span]:
        """Return the steps that one answer lacked: to be asked for once more."""
        found = coverage.unconfirmed()
        if self.confirms_leading:
            found = merge([*found, *common(coverage.leading(), coverage.absent)])
        return found

    @property
    def subject(self) -> str:
        """The column that says whose a row is."""
        return self.table.key[0]

    @property
    def words(self) -> str:
        """The name in a sentence."""
        return self.name.replace("_", " ")

    def calls(self, windows: Iterable[Span]) -> int:
        """Return how many calls some windows take, where none fails and no page is short."""
        return sum(-(-self.steps.count([window]) // self.rows_per_call) for window in windows)


def without_late(asked: Span, covered: Sequence[Span], steps: Steps, at: datetime | None) -> Span:
    """Return a window without its newest steps, where those have no row and were over less than an
    hour ago: the exchange may be late, and what is late is not missing; pure.

    Args:
        asked: steps that were over when the exchange answered.
        covered: steps that have a row, sorted.
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
    """Return the whole steps of instruments' lives that ended some time ago; pure.

    Of a perpetual that comes only for its futures' sake, the steps of the lives of those.

    Args:
        chosen: see `Wanted`.
        steps: of the dataset. The one in which an instrument was listed counts.
        now: the exchange's clock.
        lag: how long after its end a step's row can be had.
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
