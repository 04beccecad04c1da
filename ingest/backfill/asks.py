"""Rows of `asks`, which record requests and answers, and the table `coverage` computed from them.

`coverage` summarises `asks` up to a batch, so the many rows with status `present` need not be read
again; rows with another status are few.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import polars as pl

from ingest.backfill.outcome import Outcome
from lake import Lake
from lake.coverage import ABSENT, FAILED, PRESENT, Coverage, Subject, coverages, listings, to_table
from lake.snapshot import Snapshot
from lake.table import BATCH
from lake.tables import ASKS, COVERAGE, INSTRUMENTS
from lake.time.intervals import clip, subtract

_IS_PRESENT = pl.col("status") == PRESENT


def rows_of(
    outcomes: Iterable[Outcome], program: str, run: str | None, at: datetime
) -> pl.DataFrame:
    """Return the outcomes of windows as rows of `asks`, without their batch; pure.

    Args:
        outcomes: of the windows.
        program: name and version.
        run: name of the run that requested them.
        at: now, UTC.
    """
    schema = pl.Schema({n: t for n, t in ASKS.polars_schema.items() if n != BATCH})
    same = {"run": run, "program": program, "at": at}
    rows = [{**same, **row} for o in outcomes for row in _intervals(o)]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _intervals(outcome: Outcome) -> Iterator[dict[str, Any]]:
    page, window = outcome.page, outcome.window
    if page is None:
        tiles = [(window, FAILED)]
    else:
        came = [clip(span, page.asked) for span in page.present]
        tiles = [(span, PRESENT) for span in came]
        tiles += [(span, ABSENT) for span in subtract([page.asked], came)]
    duplicates = page.duplicates if page else 0
    for span, status in sorted(tile for tile in tiles if tile[0].start < tile[0].end):
        yield {
            "dataset": outcome.subject.dataset,
            "instrument": outcome.subject.name,
            "start": span.start,
            "end": span.end,
            "status": status,
            "window_start": window.start,
            "window_end": window.end,
            "duplicates": duplicates,
            "reason": str(outcome.error) if page is None and outcome.error else None,
        }
        duplicates = 0


def coverage_of(lake: Lake) -> tuple[dict[Subject, Coverage], bool]:
    """Return the coverage of all requests, and whether the table `coverage` is up to date.

    Raises:
        LakeError: the lake cannot be read.
    """
    table, asks = lake.snapshot(COVERAGE), lake.snapshot(ASKS)
    known = table.counter(BATCH)
    return _folded(asks, known, table.read()), known >= asks.counter(BATCH)


def update(lake: Lake, program: str) -> Snapshot | None:
    """Bring `coverage` up to date with `asks`, and return the table; None if it already was.

    Raises:
        ConflictError: another writer did the same meanwhile.
        LakeError: the lake cannot be read or written.
    """
    base, asks = lake.snapshot(COVERAGE), lake.snapshot(ASKS)
    known, newest = base.counter(BATCH), asks.counter(BATCH)
    if known >= newest:
        return None
    is_changed = pl.col("instrument").is_in(asks.since(known)["instrument"].unique().to_list())
    before = base.read()
    found = _folded(asks, known, before.filter(is_changed), is_changed)
    made = to_table(found, listings(lake.snapshot(INSTRUMENTS).read()))
    after = pl.concat([before.filter(~is_changed), made])
    return lake.replace(base, after, {"program": program}, {BATCH: newest})


def _folded(
    asks: Snapshot, known: int, rows: pl.DataFrame, *is_its: pl.Expr
) -> dict[Subject, Coverage]:
    """The coverage from some rows of `asks` and from rows of `coverage` with everything present up
    to a batch.
    """
    lacking = asks.read(~_IS_PRESENT, *is_its)
    return coverages(pl.concat([lacking, asks.since(known, _IS_PRESENT, *is_its)]), rows)
