"""Batches of answers into the lake: first the candles, then the record that they were asked for.

A kill between the two commits leaves candles whose coverage is not known: they are asked for again,
and those that are stored already are not stored twice.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import polars as pl
import tenacity

from ingest.coverage import Coverage, from_table, to_table
from ingest.replacing import NEVER, Swap, better_rows, swap
from ingest.replies import Page
from lake import Lake
from lake.errors import ConflictError, ExchangeError, RejectedError
from lake.files import DataFile
from lake.pieces import REPLACED, listed
from lake.snapshot import Snapshot
from lake.spans import MINUTE, Span, floor_minute
from lake.tables import COVERAGE, INSTRUMENTS, RAW_CANDLES

# A second writer on the same lake makes a commit start over, and so does Ctrl-C; the writer makes
# progress each time, so few tries do.
_COMMIT_TRIES = 10
# A commit tells which windows it holds, in at most about 20 kB.
_MOST_WINDOWS_TOLD = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking for one window came to.

    Attributes:
        instrument: its name.
        window: that was asked.
        page: the answer, None where there was none.
        error: why there was none.
    """

    instrument: str
    window: Span
    page: Page | None
    error: ExchangeError | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the exchange gave no answer, as opposed to refusing the call for good."""
        return self.page is None and not isinstance(self.error, RejectedError)

    @property
    def rows(self) -> int:
        """Candles in the answer."""
        return self.page.frame.height if self.page else 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What committing a batch came to.

    Attributes:
        written: candles new to the lake.
        replaced: candles that took the place of stored ones, asked for again on purpose.
        differing: candles that came with other values than stored; the stored ones were kept.
        bytes: of the files written.
        coverage_version: of the coverage table after it, None where it did not change.
    """

    written: int
    replaced: int
    differing: int
    bytes: int
    coverage_version: int | None = None


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a run remembers of an instrument, beyond what the coverage table tells.

    Attributes:
        lacked: minutes that an earlier answer of the same run lacked.
        settled: how many minutes that were missing before the run it found missing again.
        again: minutes that it asks for again on purpose.
    """

    lacked: Sequence[Span] = ()
    settled: int = 0
    again: Sequence[Span] = ()


class _Origin(NamedTuple):
    """What a commit is made from.

    Attributes:
        program: name and version.
        instruments: as they were when the batch was begun.
    """

    program: str
    instruments: Snapshot


def store(
    lake: Lake,
    outcomes: Sequence[Outcome],
    program: str,
    recalled: Mapping[str, Recalled] | None = None,
    is_sound: pl.Expr = NEVER,
) -> Stored:
    """Commit the candles of some outcomes, then their coverage.

    Where a stored candle's minute was asked for again on purpose, a sound one that differs takes
    its place, in the same commit; earlier versions keep the stored one.

    Args:
        lake: to commit to.
        outcomes: in the order they came.
        program: name and version, for the lineage.
        recalled: by instrument.
        is_sound: whether a candle may take the place of a stored one.

    Raises:
        LakeError: the lake cannot be written; it holds what earlier batches committed.
    """
    by_instrument: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_instrument.setdefault(outcome.instrument, []).append(outcome)
    commit = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_begins_anew),
        stop=tenacity.stop_after_attempt(_COMMIT_TRIES),
        reraise=True,
    )
    origin = _Origin(program, lake.snapshot(INSTRUMENTS))
    known = recalled or {}
    stored = commit(_store_candles, lake, by_instrument, origin, known, is_sound)
    version = commit(_store_coverage, lake, by_instrument, origin, known)
    return replace(stored, coverage_version=version)


def apply(coverage: Coverage, outcomes: Iterable[Outcome]) -> Coverage:
    """Record outcomes of one instrument in its coverage, and return it."""
    for outcome in outcomes:
        if outcome.page is None:
            coverage.fail(outcome.window)
        else:
            coverage.answer(outcome.page.asked, outcome.page.present)
    return coverage


def new_rows(stored: pl.DataFrame, came: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Return the rows whose minute is not stored, and how many others differ from the stored."""
    if stored.is_empty():
        return came, 0
    fresh = came.join(stored, on="ts", how="anti")
    again = came.join(stored.select(came.columns), on="ts", how="semi")
    same = again.join(stored, on=came.columns, how="semi", nulls_equal=True)
    return fresh, again.height - same.height


def _begins_anew(error: BaseException) -> bool:
    """Whether the same commit should be tried again.

    On Ctrl-C Polars ends the queries of every thread. The main thread is the one to stop, and then
    saves what came; a commit under way in another is part of that.
    """
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is not threading.main_thread()
    return isinstance(error, ConflictError)


def _store_candles(
    lake: Lake,
    batch: Mapping[str, list[Outcome]],
    origin: _Origin,
    recalled: Mapping[str, Recalled],
    is_sound: pl.Expr,
) -> Stored:
    base = lake.snapshot(RAW_CANDLES)
    written = replaced = differing = 0
    new: list[DataFile] = []
    swapped = Swap()
    for instrument, outcomes in batch.items():
        pages = [o.page.frame for o in outcomes if o.page and o.page.frame.height]
        if not pages:
            continue
        came, twice = _once(pl.concat(pages).sort("ts", maintain_order=True))
        stored = _stored(base, instrument, came)
        fresh, others = new_rows(stored, came)
        again = recalled.get(instrument, Recalled()).again
        better = better_rows(stored, came, again, is_sound)
        swap(lake, base, instrument, better, swapped)
        replaced += better.height
        differing += others + twice - better.height
        if fresh.height:
            new.append(lake.write(RAW_CANDLES, fresh, instrument))
            written += fresh.height
    added = [*new, *swapped.written]
    if added:
        lineage = _lineage(batch, origin)
        if swapped.kept:
            lineage[REPLACED] = listed(swapped.kept)
        changed = {file.partition for file in added if file.partition}
        lake.commit(base, added, lineage, removing=swapped.removed, counting=changed)
    return Stored(written, replaced, differing, sum(file.bytes for file in added))


def _once(came: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Minutes that were asked for twice in one batch, once: as they came first. And how many came
    with other values the second time.
    """
    if came["ts"].n_unique() == came.height:
        return came, 0
    distinct = came.unique(maintain_order=True)
    first = distinct.unique("ts", keep="first", maintain_order=True)
    return first, distinct.height - first.height


def _stored(base: Snapshot, instrument: str, came: pl.DataFrame) -> pl.DataFrame:
    """The stored candles at the minutes of some new ones; other files are not opened."""
    span = Span(came["ts"][0], came["ts"][-1] + MINUTE)
    if not any(file.may_hold(span) for file in base.of(instrument)):
        return came.clear()
    minutes = pl.col("ts").is_between(span.start, span.end, closed="left")
    return base.read(minutes, partition=instrument).select(came.columns)


def _lineage(batch: Mapping[str, list[Outcome]], origin: _Origin) -> dict[str, Any]:
    # Of stored candles only: whoever has repeats has rows, and so figures that count them.
    repeats = {
        name: sum(o.page.duplicates for o in outcomes if o.page and o.rows)
        for name, outcomes in batch.items()
    }
    return {
        "program": origin.program,
        "made_from": {"instruments": origin.instruments.version},
        "windows": sum(len(outcomes) for outcomes in batch.values()),
        "asked": _asked(batch),
        "duplicates": {name: count for name, count in repeats.items() if count},
    }


def _asked(batch: Mapping[str, list[Outcome]]) -> dict[str, list[list[int]]]:
    """The windows whose candles came, by instrument: the first minute and the end, exclusive, in
    minutes since 1970.
    """
    asked: dict[str, list[list[int]]] = {}
    told = [o for outcomes in batch.values() for o in outcomes if o.rows][:_MOST_WINDOWS_TOLD]
    for outcome in told:
        bounds = [int(time.timestamp()) // 60 for time in outcome.window]
        asked.setdefault(outcome.instrument, []).append(bounds)
    return asked


def _store_coverage(
    lake: Lake,
    batch: Mapping[str, list[Outcome]],
    origin: _Origin,
    recalled: Mapping[str, Recalled],
) -> int | None:
    base = lake.snapshot(COVERAGE)
    before = base.read()
    listed = dict(origin.instruments.read().select("instrument", "listed_at").iter_rows())
    after = [before.filter(~pl.col("instrument").is_in(list(batch)))]
    for instrument, outcomes in batch.items():
        known = from_table(before.filter(pl.col("instrument") == instrument))
        known.recall(recalled.get(instrument, Recalled()).lacked)
        coverage = apply(known, outcomes)
        after.append(to_table(instrument, coverage.intervals(floor_minute(listed[instrument]))))
    # The newest, not our own: another writer's coverage may be below, made from candles after ours.
    raw_version = lake.watch(RAW_CANDLES).version()
    lineage = {"program": origin.program, "made_from": {"raw_candles": raw_version}}
    marks = {name: memory.settled for name, memory in recalled.items()}
    return lake.replace(base, pl.concat(after), lineage, marks)
