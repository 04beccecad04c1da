"""Batches of answers into the lake: the candles, then what was asked for them, then what that comes
to.

A kill between the commits leaves candles that nobody is known to have asked for: they are asked for
again, and those that are stored already are not stored twice.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl
import tenacity

from ingest import asked
from ingest.asked import now as clock_now
from ingest.outcomes import Outcome
from lake import Lake
from lake.batches import append, claim
from lake.errors import ConflictError
from lake.files import DataFile
from lake.slices import by_month
from lake.snapshot import Snapshot
from lake.spans import MINUTE, Span, merge
from lake.table import BATCH
from lake.tables import ASKS, RAW_CANDLES

# Another writer on the same lake makes a commit start over, and so does Ctrl-C; each time one of
# them makes progress.
_COMMIT_TRIES = 50
_LONGEST_WAIT_S = 0.5

# No candle is sound: nothing is replaced.
NEVER = pl.lit(value=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """What committing a batch came to.

    Attributes:
        written: candles new to the lake.
        replaced: candles that took the place of stored ones, asked for again on purpose.
        differing: candles that came with other values than stored; the stored ones were kept.
        bytes: of the files written.
        asks_version: of the table `asks` after it, None where it did not change.
    """

    written: int
    replaced: int
    differing: int
    bytes: int
    asks_version: int | None = None


def store(
    lake: Lake,
    outcomes: Sequence[Outcome],
    program: str,
    *,
    run: str | None = None,
    again: Mapping[str, Sequence[Span]] | None = None,
    is_sound: pl.Expr = NEVER,
    now: Callable[[], datetime] = clock_now,
) -> Stored:
    """Commit some outcomes under the next number.

    Where a stored candle's minute was asked for again on purpose, a sound one that differs counts
    from this batch on; the stored one stays, and counts as of earlier batches.

    Args:
        lake: to commit to.
        outcomes: in the order they came.
        program: name and version.
        run: that asked.
        again: minutes that were asked for again on purpose, by instrument.
        is_sound: whether a candle may take the place of a stored one.
        now: this machine's clock, UTC.

    Raises:
        LakeError: the lake cannot be written; it holds what earlier batches committed.
    """
    by_instrument: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_instrument.setdefault(outcome.instrument, []).append(outcome)
    commit = _retrying()
    info = {"program": program, "windows": len(outcomes)}
    stored, number = commit(_store_candles, lake, by_instrument, info, again or {}, is_sound)
    rows = asked.rows_of(outcomes, program, run, now())
    version = None
    if rows.height:
        _, table = commit(append, lake, ASKS, rows, number, info)
        version = table.version
    catch_up(lake, program)
    return replace(stored, asks_version=version)


def catch_up(lake: Lake, program: str) -> None:
    """Bring `coverage` up to date with `asks`, also where a killed run did not get to it.

    Raises:
        LakeError: the lake cannot be read or written.
    """
    _retrying()(asked.update, lake, program)


def new_rows(stored: pl.DataFrame, came: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Return the rows whose minute is not stored, and how many others differ from the stored."""
    if stored.is_empty():
        return came, 0
    fresh = came.join(stored, on="ts", how="anti")
    again = came.join(stored.select(came.columns), on="ts", how="semi")
    same = again.join(stored, on=came.columns, how="semi", nulls_equal=True)
    return fresh, again.height - same.height


def better_rows(
    stored: pl.DataFrame, came: pl.DataFrame, again: Sequence[Span], is_sound: pl.Expr
) -> pl.DataFrame:
    """Return the rows that count in place of stored ones: those of minutes that were asked for
    again on purpose, that differ from what is stored, and that are sound; pure.

    Args:
        stored: candles of one instrument.
        came: candles of it, one a minute, sorted, with the same columns.
        again: the minutes that were asked for again on purpose.
        is_sound: whether a candle breaks no rule.
    """
    spans = merge(again)
    if not spans or stored.is_empty():
        return came.clear()
    differing = came.join(stored, on="ts", how="semi", maintain_order="left").join(
        stored, on=came.columns, how="anti", nulls_equal=True, maintain_order="left"
    )
    schema = {"start": came.schema["ts"], "end": came.schema["ts"]}
    bounds = pl.DataFrame([tuple(span) for span in spans], schema, orient="row")
    within = differing.join_asof(bounds, left_on="ts", right_on="start", strategy="backward")
    return within.filter(pl.col("ts") < pl.col("end"), is_sound).select(came.columns)


def _retrying() -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_begins_anew),
        stop=tenacity.stop_after_attempt(_COMMIT_TRIES),
        wait=tenacity.wait_random_exponential(0.01, _LONGEST_WAIT_S),
        reraise=True,
    )


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
    info: Mapping[str, object],
    again: Mapping[str, Sequence[Span]],
    is_sound: pl.Expr,
) -> tuple[Stored, int]:
    """Commit the candles, and return the number of their batch."""
    base = lake.snapshot(RAW_CANDLES)
    number = base.counter(BATCH) + 1
    written = replaced = differing = 0
    files: list[DataFile] = []
    for instrument, outcomes in batch.items():
        pages = [o.page.frame for o in outcomes if o.page and o.page.frame.height]
        if not pages:
            continue
        came, twice = _once(pl.concat(pages).sort("ts", maintain_order=True))
        stored = _stored(base, instrument, came)
        fresh, others = new_rows(stored, came)
        better = better_rows(stored, came, again.get(instrument, ()), is_sound)
        written += fresh.height
        replaced += better.height
        differing += others + twice - better.height
        rows = pl.concat([fresh, better]).with_columns(pl.lit(number, pl.Int64).alias(BATCH))
        # A file of a month has the digest of that month's rows in its name, so nobody reads it for
        # a fingerprint.
        files += [lake.write(RAW_CANDLES, own, instrument) for _, own in by_month(rows)]
    claim(lake, base, files, info)
    return Stored(written, replaced, differing, sum(file.bytes for file in files)), number


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
    """The stored candles that count at the minutes of some new ones; other files stay closed."""
    span = Span(came["ts"][0], came["ts"][-1] + MINUTE)
    files = [file for file in base.of(instrument) if file.may_hold(span)]
    if not files:
        return came.clear()
    minutes = pl.col("ts").is_between(span.start, span.end, closed="left")
    rows = base.rows_of(files, minutes).sort(BATCH)
    return rows.unique("ts", keep="last").select(came.columns)
