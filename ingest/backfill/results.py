"""The results of a backfill: its progress and its figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.backfill.batch_commit import Written
from ingest.backfill.conclusion import Conclusion
from ingest.datasets.candles import CANDLES
from lake.coverage import Subject


@dataclass(frozen=True, slots=True)
class Failure:
    """An incomplete instrument (or index), with the reason."""

    instrument: str
    reason: str


@dataclass(slots=True)
class Counts:
    """The figures of a backfill for one dataset.

    Attributes:
        instruments: how many were selected; for deliveries, indices.
        complete: how many have every step of their selected life answered.
        empty: names that were answered over their whole selected life and have no row.
        failed: those with unanswered steps, with the reason.
        left: names that another run has locked; only a round of a longer run leaves any.
        missing: steps after the first row that answers lacked more than once, by name.
        calls: including repeats.
        retries: calls that repeated a transient failure.
        throttled: calls that the rate limit refused.
        replaced: rows that replaced stored ones, as a repeat was requested.
        differing: rows with other values than stored ones; the stored ones were kept.
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
        """Number of complete or failed ones."""
        return self.complete + len(self.failed)


@dataclass(slots=True)
class DatasetCounts(Counts):
    """The figures of a backfill for a dataset other than candles.

    Attributes:
        rows: received, including repeats.
        rows_written: new to the lake.
    """

    rows: int = 0
    rows_written: int = 0


@dataclass(slots=True)
class Result(Counts):
    """The result of a backfill: figures of candles under their own names, others by dataset.

    Attributes:
        run: name of its record.
        candles_written: rows new to the lake.
        bytes_written: of the files of those rows.
        seconds: from start to the last commit, of all datasets.
        plan: figures of its plan, see `ingest.plan.planner.plan_figures`.
        log: the file with a line for each instrument, None if there is none.
        datasets: figures of the other datasets, by name.
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
        """Subjects with unanswered steps, of all datasets, with the reason."""
        return {
            Subject(dataset, failure.instrument): failure.reason
            for dataset, counts in self.by_dataset()
            for failure in counts.failed
        }

    @property
    def all_left(self) -> list[Subject]:
        """Subjects left to another run, of all datasets."""
        return [
            Subject(dataset, name) for dataset, counts in self.by_dataset() for name in counts.left
        ]

    @property
    def rows_written(self) -> int:
        """Rows of all datasets that are new to the lake."""
        return self.candles_written + sum(c.rows_written for c in self.datasets.values())

    def concluded(self, subject: Subject, found: Conclusion) -> None:
        """Count a subject whose fetching has ended."""
        counts = self.of(subject.dataset)
        if found.missing:
            counts.missing[subject.name] = found.missing
        if found.reason:
            counts.failed.append(Failure(subject.name, found.reason))
        else:
            counts.complete += 1
        if found.status == "empty":
            counts.empty.append(subject.name)

    def took(self, dataset: str, written: Written) -> None:
        """Count the rows that a batch stored."""
        counts = self.of(dataset)
        counts.replaced += written.replaced
        counts.differing += written.differing
        if isinstance(counts, DatasetCounts):
            counts.rows_written += written.rows
        else:
            self.candles_written += written.rows
            self.bytes_written += written.bytes


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Progress of a backfill, reported after every window.

    Attributes:
        done: windows answered or abandoned.
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
    """A subject whose fetching in this run has ended.

    Attributes:
        done: finished subjects of the run, including this one.
        total: subjects of the run.
        subject: the finished one.
        conclusion: what became of it.
    """

    done: int
    total: int
    subject: Subject
    conclusion: Conclusion
