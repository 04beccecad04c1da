"""What a backfill reports: how far it is, and what it did."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.batches import Written
from ingest.datasets.candles import CANDLES
from lake.coverage import Subject


@dataclass(frozen=True, slots=True)
class Failure:
    """An instrument (or index) that is not complete, and why."""

    instrument: str
    reason: str


@dataclass(slots=True)
class Counts:
    """What a backfill did about one dataset.

    Attributes:
        instruments: how many were selected; of deliveries indices.
        complete: how many have every step of their selected life answered.
        empty: names that were answered over their whole selected life and have no row.
        failed: those with unanswered steps, with the reason.
        left: names left to another run that works on them; only a round of a longer run does so.
        missing: steps after the first row that answers lacked more than once, by name.
        calls: repeats included.
        retries: calls made again after a transient failure.
        throttled: calls refused because there were too many.
        replaced: rows that took the place of stored ones, asked for again on purpose.
        differing: rows that came again with other values than stored; the stored ones were kept.
    """

    instruments: int = 0
    complete: int = 0
    empty: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    retries: int = 0
    throttled: int = 0
    replaced: int = 0
    differing: int = 0

    @property
    def finished(self) -> int:
        """How many are complete or failed."""
        return self.complete + len(self.failed)


@dataclass(slots=True)
class DatasetCounts(Counts):
    """What a backfill did about another dataset than candles.

    Attributes:
        rows: received, repeats of another window included.
        rows_written: new to the lake.
    """

    rows: int = 0
    rows_written: int = 0


@dataclass(slots=True)
class Result(Counts):
    """What a backfill did: figures of candles under their own names, all others by dataset.

    Attributes:
        run: its name among the records of runs.
        candles_written: rows new to the lake.
        bytes_written: of the files of those rows.
        seconds: from start to the last commit, of all datasets.
        plan: what was to be done, see `ingest.plans.plan_figures`.
        log: the file with a line for each instrument, None where there is none.
        datasets: what was done about the other datasets, by name.
    """

    run: str = ""
    candles_written: int = 0
    bytes_written: int = 0
    seconds: float = 0.0
    plan: Mapping[str, Any] = field(default_factory=dict)
    log: str | None = None
    datasets: dict[str, DatasetCounts] = field(default_factory=dict)

    def of(self, dataset: str) -> Counts:
        """Return the figures of a dataset."""
        return self if dataset == CANDLES.name else self.datasets[dataset]

    def by_dataset(self) -> Iterator[tuple[str, Counts]]:
        """Return the figures of each dataset, by name."""
        yield CANDLES.name, self
        yield from self.datasets.items()

    def written(self, dataset: str) -> int:
        """Return how many rows of a dataset are new to the lake."""
        counts = self.of(dataset)
        return counts.rows_written if isinstance(counts, DatasetCounts) else self.candles_written

    @property
    def all_calls(self) -> int:
        """Calls for all datasets."""
        return sum(counts.calls for _, counts in self.by_dataset())

    @property
    def all_failed(self) -> dict[Subject, str]:
        """What has unanswered steps, of all datasets, with the reason."""
        return {
            Subject(dataset, failure.instrument): failure.reason
            for dataset, counts in self.by_dataset()
            for failure in counts.failed
        }

    @property
    def all_left(self) -> list[Subject]:
        """What was left to another run, of all datasets."""
        return [
            Subject(dataset, name) for dataset, counts in self.by_dataset() for name in counts.left
        ]

    @property
    def rows_written(self) -> int:
        """Rows of all datasets that are new to the lake."""
        return self.candles_written + sum(c.rows_written for c in self.datasets.values())

    def took(self, dataset: str, written: Written) -> None:
        """Count what a batch stored."""
        counts = self.of(dataset)
        counts.replaced += written.replaced
        counts.differing += written.differing
        if isinstance(counts, DatasetCounts):
            counts.rows_written += written.rows
        else:
            self.candles_written += written.rows
            self.bytes_written += written.bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is, reported after every window.

    Attributes:
        done: windows answered or given up.
        total: windows of the run as far as is known.
        rows: received so far, of all datasets.
        subject: of the window that was just done.
    """

    done: int
    total: int
    rows: int
    subject: Subject


@dataclass(frozen=True, slots=True)
class Finished:
    """A subject that nothing more is asked of in this run.

    Attributes:
        done: subjects of the run that are finished, with this one.
        total: subjects of the run.
        subject: whose rows.
        status: `complete`, `empty` (no row in the selected life) or `failed`.
        figures: calls, retries, candles (of another dataset rows), missing, unanswered, and the
            reason where it failed.
    """

    done: int
    total: int
    subject: Subject
    status: str
    figures: Mapping[str, Any]
