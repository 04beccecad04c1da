"""Batches of answers into the lake: first the candles, then the record that they were asked for.

A kill between the two commits leaves candles whose coverage is not known: they are asked for again,
and those that are stored already are not stored twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import tenacity

from ingest.coverage import Coverage, from_table, spans_of, to_table
from ingest.replies import Page
from lake import Lake
from lake.errors import ConflictError
from lake.files import DataFile
from lake.snapshot import Snapshot
from lake.spans import Span, floor_minute
from lake.tables import COVERAGE, INSTRUMENTS, RAW_CANDLES

# A second writer on the same lake makes a commit start over; it makes progress each time, so few
# tries do.
_COMMIT_TRIES = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking for one window came to.

    Attributes:
        instrument: its name.
        window: that was asked.
        page: the answer, None where there was none.
    """

    instrument: str
    window: Span
    page: Page | None

    @property
    def rows(self) -> int:
        """Candles in the answer."""
        return self.page.frame.height if self.page else 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What committing a batch came to.

    Attributes:
        written: candles new to the lake.
        differing: candles that came with other values than stored; the stored ones were kept.
    """

    written: int
    differing: int


def store(
    lake: Lake,
    outcomes: Sequence[Outcome],
    program: str,
    lacked: Mapping[str, Sequence[Span]] | None = None,
) -> Stored:
    """Commit the candles of some outcomes, then their coverage.

    Args:
        lake: to commit to.
        outcomes: of windows that do not overlap.
        program: name and version, for the lineage.
        lacked: minutes that an earlier answer in the same run lacked, by instrument.

    Raises:
        LakeError: the lake cannot be written; it holds what earlier batches committed.
    """
    by_instrument: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_instrument.setdefault(outcome.instrument, []).append(outcome)
    commit = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ConflictError),
        stop=tenacity.stop_after_attempt(_COMMIT_TRIES),
        reraise=True,
    )
    stored = commit(_store_candles, lake, by_instrument, program)
    commit(_store_coverage, lake, by_instrument, program, lacked or {})
    return stored


def apply(coverage: Coverage, outcomes: Iterable[Outcome]) -> Coverage:
    """Record outcomes of one instrument in its coverage, and return it."""
    for outcome in outcomes:
        if outcome.page is None:
            coverage.fail(outcome.window)
        else:
            coverage.answer(outcome.page.asked, spans_of(outcome.page.frame["ts"]))
    return coverage


def new_rows(stored: pl.DataFrame, came: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Return the rows whose minute is not stored, and how many others differ from the stored."""
    fresh = came.join(stored, on="ts", how="anti")
    again = came.join(stored.select(came.columns), on="ts", how="semi")
    same = again.join(stored, on=came.columns, how="semi", nulls_equal=True)
    return fresh, again.height - same.height


def _store_candles(lake: Lake, batch: Mapping[str, list[Outcome]], program: str) -> Stored:
    base = lake.snapshot(RAW_CANDLES)
    written = differing = 0
    added: list[DataFile] = []
    for instrument, outcomes in batch.items():
        pages = [o.page.frame for o in outcomes if o.page and o.page.frame.height]
        if not pages:
            continue
        came = pl.concat(pages).sort("ts")
        fresh, others = new_rows(_stored(base, instrument, came), came)
        differing += others
        if fresh.height:
            added.append(lake.write(RAW_CANDLES, fresh, instrument))
            written += fresh.height
    if added:
        changed = [file.partition for file in added if file.partition]
        lake.commit(base, added, _lineage(lake, batch, program), counting=changed)
    return Stored(written, differing)


def _stored(base: Snapshot, instrument: str, came: pl.DataFrame) -> pl.DataFrame:
    """The stored candles at the minutes of some new ones; other files are not opened."""
    span = Span(came["ts"][0], came["ts"][-1])
    if not any(_may_hold(file, span) for file in base.of(instrument)):
        return came.clear()
    minutes = pl.col("ts").is_between(span.start, span.end)
    return base.scan(instrument).filter(minutes).select(came.columns).collect()


def _may_hold(file: DataFile, span: Span) -> bool:
    """Whether the file's range, where it is known, meets the span, its end included."""
    if file.first is None or file.last is None:
        return True
    return file.first <= span.end and file.last >= span.start


def _lineage(lake: Lake, batch: Mapping[str, list[Outcome]], program: str) -> dict[str, Any]:
    repeats = {
        name: sum(o.page.duplicates for o in outcomes if o.page) for name, outcomes in batch.items()
    }
    return {
        "program": program,
        "made_from": {"instruments": lake.snapshot(INSTRUMENTS).version},
        "windows": sum(len(outcomes) for outcomes in batch.values()),
        "duplicates": {name: count for name, count in repeats.items() if count},
    }


def _store_coverage(
    lake: Lake,
    batch: Mapping[str, list[Outcome]],
    program: str,
    lacked: Mapping[str, Sequence[Span]],
) -> None:
    base = lake.snapshot(COVERAGE)
    before = COVERAGE.cast(base.scan().collect())
    listed = dict(lake.read(INSTRUMENTS).select("instrument", "listed_at").iter_rows())
    after = [before.filter(~pl.col("instrument").is_in(list(batch)))]
    for instrument, outcomes in batch.items():
        known = from_table(before.filter(pl.col("instrument") == instrument))
        known.recall(lacked.get(instrument, ()))
        coverage = apply(known, outcomes)
        after.append(to_table(instrument, coverage.intervals(floor_minute(listed[instrument]))))
    made_from = {"raw_candles": lake.snapshot(RAW_CANDLES).version}
    lake.replace(base, pl.concat(after), {"program": program, "made_from": made_from})
