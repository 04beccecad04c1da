"""The declaration of a dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import polars as pl

from ingest.datasets.steps import Steps
from ingest.exchange import Exchange, Tally
from ingest.replies import Page
from lake.spans import Span
from lake.tables import Table

# From rows of `instruments` that were chosen (`ingest.selection.choose`) and the exchange's clock
# to the steps that should be held, by instrument or index.
Wanted: TypeAlias = Callable[[pl.DataFrame, datetime], Mapping[str, Sequence[Span]]]
# Asks for a window, with all repeats, and counts the calls.
Ask: TypeAlias = Callable[[Exchange, str, Span, Tally], Page]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows that are fetched alike.

    Attributes:
        name: in `coverage` and `--data`.
        noun: what a row is, in the plural.
        table: of the raw rows.
        subject: the column that says whose a row is: `instrument`, or `index_name`.
        key: the columns that name a row of one subject.
        steps: that rows cover.
        wanted: what should be held.
        ask: how a window is asked for; runs on any machine.
        bytes_per_row: in the raw table, measured, for the estimate of a plan.
    """

    name: str
    noun: str
    table: Table
    subject: str
    key: tuple[str, ...]
    steps: Steps
    wanted: Wanted
    ask: Ask
    bytes_per_row: float


def lives(chosen: pl.DataFrame, steps: Steps, now: datetime, lag: timedelta) -> dict[str, Span]:
    """Return the whole steps of instruments' lives that ended some time ago; pure.

    Args:
        chosen: rows with columns instrument, listed_at and expires_at.
        steps: of the dataset. The one in which an instrument was listed counts.
        now: the exchange's clock.
        lag: how long after its end a step's row can be had.
    """
    until = steps.floor(now - lag)
    return {
        name: Span(
            steps.floor(listed_at),
            until if expires_at is None else min(steps.ceil(expires_at), until),
        )
        for name, listed_at, expires_at in chosen.select(
            "instrument", "listed_at", "expires_at"
        ).iter_rows()
    }
