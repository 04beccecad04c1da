"""Candles that were asked for again on purpose: which of them replace stored ones, and how."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import polars as pl

from ingest.coverage import spans_of
from lake import Lake
from lake.files import DataFile
from lake.fingerprint import proven_rows
from lake.snapshot import Snapshot
from lake.spans import Span, merge
from lake.tables import RAW_CANDLES

# Replaces nothing.
NEVER = pl.lit(value=False)


@dataclass(slots=True)
class Swap:
    """Files of `raw_candles` that take the place of others.

    Attributes:
        removed: files that hold a row that is replaced.
        kept: for each of them that holds other rows, too, a file of those.
        added: files of the new rows.
    """

    removed: list[DataFile] = field(default_factory=list)
    kept: list[tuple[tuple[DataFile, ...], DataFile]] = field(default_factory=list)
    added: list[DataFile] = field(default_factory=list)

    @property
    def written(self) -> list[DataFile]:
        """All files that come."""
        return [*(file for _, file in self.kept), *self.added]


def better_rows(
    stored: pl.DataFrame, came: pl.DataFrame, again: Collection[Span], is_sound: pl.Expr
) -> pl.DataFrame:
    """Return the rows that replace stored ones: those of minutes that were asked for again on
    purpose, that differ from what is stored, and that are sound; pure.

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


def swap(lake: Lake, base: Snapshot, instrument: str, rows: pl.DataFrame, into: Swap) -> None:
    """Write the files that put rows in the place of those that are stored of the same minutes.

    The new rows of each calendar month are a file of their own, so that a build sees which minutes
    changed.

    Args:
        lake: to write to; nothing is committed.
        base: of `raw_candles`.
        instrument: whose rows they are.
        rows: see `better_rows`.
        into: takes the files.

    Raises:
        LakeError: a file cannot be written, or one that holds replaced rows is damaged.
    """
    if rows.is_empty():
        return
    minutes = rows.select("ts")
    spans = spans_of(minutes["ts"])
    for file in base.of(instrument):
        if not any(map(file.may_hold, spans)):
            continue
        held = proven_rows(base, (file,))
        kept = held.join(minutes, on="ts", how="anti", maintain_order="left")
        if kept.height == held.height:
            continue
        into.removed.append(file)
        if kept.height:
            into.kept.append(((file,), lake.write(RAW_CANDLES, kept, instrument)))
    for month in _by_month(rows):
        into.added.append(lake.write(RAW_CANDLES, month, instrument))


def _by_month(rows: pl.DataFrame) -> Sequence[pl.DataFrame]:
    month = pl.col("ts").dt.truncate("1mo").alias("month")
    return [part.drop("month") for part in rows.with_columns(month).partition_by("month")]
