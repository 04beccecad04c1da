"""Commits batches of answers to the lake: the rows, then rows of `asks`, then coverage.

The commit of candles takes the batch's number, even without candles; rows of other datasets follow
under that number, each dataset in its own commit. A kill between two commits leaves rows without
a record in `asks`: they are fetched again, and stored rows are not stored twice.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
import tenacity

from ingest.backfill import asks
from ingest.backfill.outcome import Outcome
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.datasets.dataset import Dataset
from lake import Lake
from lake.batches import append, commit_batch
from lake.coverage import Subject
from lake.errors import ConflictError
from lake.files.parquet import DataFile
from lake.files.slices import by_month
from lake.snapshot import Snapshot
from lake.table import BATCH
from lake.tables import ASKS
from lake.time.intervals import MINUTE, Span, merge

# Another writer on the same lake makes a commit restart, and so does Ctrl-C; each time one of
# them makes progress.
_COMMIT_TRIES = 50
_LONGEST_WAIT_S = 0.5

# No row is sound: none is replaced.
_NEVER = pl.lit(value=False)


@dataclass(slots=True)
class Written:
    """What one batch did with the rows of a dataset.

    Attributes:
        rows: new to the lake.
        replaced: rows that replaced stored ones, as a repeat was requested.
        differing: rows with other values than stored ones; the stored ones were kept.
        bytes: of the files written.
    """

    rows: int = 0
    replaced: int = 0
    differing: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """Result of committing a batch.

    Attributes:
        written: by dataset, of those in the batch.
        asks_version: of the table `asks` after it, None if it did not change.
    """

    written: Mapping[str, Written] = field(default_factory=dict)
    asks_version: int | None = None


def store(
    lake: Lake,
    outcomes: Sequence[Outcome],
    program: str,
    *,
    run: str | None = None,
    again: Mapping[Subject, Sequence[Span]] | None = None,
    sound: Mapping[str, pl.Expr] | None = None,
) -> Stored:
    """Commit outcomes under the next number.

    If a repeat of a stored row's step was requested and a sound row differs, it counts from this
    batch on; the stored one stays, and counts as of earlier batches.

    Args:
        lake: to commit to.
        outcomes: in order of arrival.
        program: name and version.
        run: name of the run that requested them.
        again: steps whose repeat was requested, by subject.
        sound: by dataset, whether a row may replace a stored one; none may by default.

    Raises:
        LakeError: the lake cannot be written; earlier batches stay.
    """
    parts: dict[str, dict[Subject, list[pl.DataFrame]]] = {o.subject.dataset: {} for o in outcomes}
    for outcome in outcomes:
        if outcome.page is not None and outcome.page.frame.height:
            pages = parts[outcome.subject.dataset].setdefault(outcome.subject, [])
            pages.append(outcome.page.frame)
    batch = _Batch(
        lake, {"program": program, "windows": len(outcomes)}, dict(again or {}), dict(sound or {})
    )
    commit = _retrying()
    candles, number = commit(batch.commit_candles, parts.get(CANDLES.name, {}))
    written = {CANDLES.name: candles} if CANDLES.name in parts else {}
    for name, came in parts.items():
        if name != CANDLES.name:
            written[name], number = commit(batch.append, DATASETS[name], came, number)
    rows = asks.rows_of(outcomes, program, run, datetime.now(UTC))
    version = None
    if rows.height:
        _, table = commit(append, lake, ASKS, rows, number, batch.info)
        version = table.version
    catch_up(lake, program)
    return Stored(written, version)


def catch_up(lake: Lake, program: str) -> None:
    """Bring `coverage` up to date with `asks`, even after a run was killed before that.

    Raises:
        LakeError: the lake cannot be read or written.
    """
    _retrying()(asks.update, lake, program)


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch of rows during its commits; see `store`."""

    lake: Lake
    info: Mapping[str, object]
    again: Mapping[Subject, Sequence[Span]]
    sound: Mapping[str, pl.Expr]

    def commit_candles(self, batch: Mapping[Subject, list[pl.DataFrame]]) -> tuple[Written, int]:
        """Commit the candles, and return the number that their commit took."""
        base = self.lake.snapshot(CANDLES.table)
        number = base.counter(BATCH) + 1
        written, files = Written(), list[DataFile]()
        for subject, pages in batch.items():
            came, twice = once(pl.concat(pages), CANDLES.key)
            written.differing += twice
            stored = _stored_candles(base, subject.name, came)
            rows = self._new(CANDLES, subject, came, stored, written)
            if rows.height:
                numbered = rows.with_columns(pl.lit(number, pl.Int64).alias(BATCH))
                # A file of one month has the digest of that month's rows in its name, so a
                # fingerprint need not read it.
                files += [
                    self.lake.write(CANDLES.table, own, subject.name)
                    for _, own in by_month(numbered)
                ]
        written.bytes = sum(file.bytes for file in files)
        commit_batch(self.lake, base, files, self.info)
        return written, number

    def append(
        self, dataset: Dataset, batch: Mapping[Subject, list[pl.DataFrame]], number: int
    ) -> tuple[Written, int]:
        """Commit rows of another dataset under a number, or under a new one if its table already
        has a later number; return the number.
        """
        base = self.lake.snapshot(dataset.table)
        written, new = Written(), list[pl.DataFrame]()
        stored = base.read(pl.col(dataset.subject).is_in([subject.name for subject in batch]))
        by_name = stored.partition_by(dataset.subject, as_dict=True)
        for subject, pages in batch.items():
            came, twice = once(pl.concat(pages), dataset.key)
            written.differing += twice
            own = by_name.get((subject.name,), stored.clear()).sort(BATCH)
            last = own.unique(dataset.key, keep="last").select(came.columns)
            rows = self._new(dataset, subject, came, last, written)
            new.append(rows.with_columns(pl.lit(subject.name).alias(dataset.subject)))
        if written.rows or written.replaced:
            rows = pl.concat(new)
            number, table = append(self.lake, dataset.table, rows, number, self.info, base)
            before = {file.path for file in base.files}
            written.bytes = sum(file.bytes for file in table.files if file.path not in before)
        return written, number

    def _new(
        self,
        dataset: Dataset,
        subject: Subject,
        came: pl.DataFrame,
        stored: pl.DataFrame,
        written: Written,
    ) -> pl.DataFrame:
        """The rows of one subject that are to be stored, counted."""
        fresh, others = new_rows(stored, came, dataset.key)
        is_sound = self.sound.get(dataset.name, _NEVER)
        better = better_rows(dataset, stored, came, self.again.get(subject, ()), is_sound)
        written.rows += fresh.height
        written.replaced += better.height
        written.differing += others - better.height
        return pl.concat([fresh, better])


def new_rows(
    stored: pl.DataFrame, came: pl.DataFrame, key: Sequence[str]
) -> tuple[pl.DataFrame, int]:
    """Return rows with new keys, and the number of rows that differ from stored ones; pure."""
    if stored.is_empty():
        return came, 0
    fresh = came.join(stored, on=key, how="anti")
    again = came.join(stored.select(came.columns), on=key, how="semi")
    same = again.join(stored, on=came.columns, how="semi", nulls_equal=True)
    return fresh, again.height - same.height


def better_rows(
    dataset: Dataset,
    stored: pl.DataFrame,
    came: pl.DataFrame,
    again: Sequence[Span],
    is_sound: pl.Expr,
) -> pl.DataFrame:
    """Return the rows that replace stored ones: sound rows of steps whose repeat was requested and
    that differ from the stored row; pure.

    Args:
        dataset: of the rows.
        stored: rows of one subject.
        came: received rows of it, each key once, with the same columns, sorted by time.
        again: steps whose repeat was requested.
        is_sound: whether a row breaks no rule.
    """
    spans = merge(again)
    if not spans or stored.is_empty():
        return came.clear()
    key = dataset.key
    differing = came.join(stored, on=key, how="semi", maintain_order="left").join(
        stored, on=came.columns, how="anti", nulls_equal=True, maintain_order="left"
    )
    steps = differing.with_columns(dataset.step.dt.cast_time_unit("us").alias("step"))
    schema = {"start": steps.schema["step"], "end": steps.schema["step"]}
    bounds = pl.DataFrame([tuple(span) for span in spans], schema, orient="row")
    within = steps.join_asof(bounds, left_on="step", right_on="start", strategy="backward")
    return within.filter(pl.col("step") < pl.col("end"), is_sound).select(came.columns)


def once(came: pl.DataFrame, key: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """Return rows in the order of time, each key once, with the values that arrived first; and the
    number of rows that arrived again with other values; pure.
    """
    came = came.sort(key, maintain_order=True)
    if came.select(key).n_unique() == came.height:
        return came, 0
    distinct = came.unique(maintain_order=True)
    first = distinct.unique(key, keep="first", maintain_order=True)
    return first, distinct.height - first.height


def _retrying() -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_retry),
        stop=tenacity.stop_after_attempt(_COMMIT_TRIES),
        wait=tenacity.wait_random_exponential(0.01, _LONGEST_WAIT_S),
        reraise=True,
    )


def _may_retry(error: BaseException) -> bool:
    """Whether to retry the same commit.

    On Ctrl-C Polars ends the queries of every thread. The main thread stops, and then saves the
    answers; a commit running in another thread is part of that.
    """
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is not threading.main_thread()
    return isinstance(error, ConflictError)


def _stored_candles(base: Snapshot, instrument: str, came: pl.DataFrame) -> pl.DataFrame:
    """The stored candles that count at the minutes of some new ones; unneeded files stay closed."""
    span = Span(came["ts"][0], came["ts"][-1] + MINUTE)
    files = [file for file in base.of(instrument) if file.may_hold(span)]
    if not files:
        return came.clear()
    minutes = pl.col("ts").is_between(span.start, span.end, closed="left")
    rows = base.rows_of(files, minutes).sort(BATCH)
    return rows.unique("ts", keep="last").select(came.columns)
