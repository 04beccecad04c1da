"""Explanation of one number of `basis`, or of its absence, as plain values."""

from dataclasses import dataclass
from datetime import datetime

from basislake.explain.basis_formulas import Step, steps
from basislake.explain.legs import Reason, Row, Side, perpetuals_of, records_of, side_of
from basislake.explain.provenance import Made, made, row_at
from ingest.plan.selection import unknown_names
from lake import Lake
from lake.batches import newest_batch
from lake.errors import UsageError
from lake.tables import BASIS
from lake.time.intervals import floor_minute


@dataclass(frozen=True, slots=True)
class Explanation:
    """All facts behind the basis of an instrument in one minute.

    Attributes:
        instrument: its name.
        kind: `future` or `perpetual`.
        ts: the minute's open, UTC.
        basis: the row of `basis`, or None.
        reason: why there is none; None for a perpetual with a candle, since it has no basis.
        formula: the columns of the row, computed again from the two candles.
        agrees: whether the row has the same values to the last bit; None without a row.
        sides: the legs: the instrument, then the perpetual of a future if the lake has it.
        made: the build of the curated rows, None before the first.
        as_of: the newest batch.
    """

    instrument: str
    kind: str
    ts: datetime
    basis: Row | None
    reason: Reason | None
    formula: list[Step]
    agrees: bool | None
    sides: list[Side]
    made: Made | None
    as_of: int


def explain(lake: Lake, instrument: str, time: datetime) -> Explanation:
    """Explain an instrument's basis in the minute that contains a time (UTC), or a perpetual's
    candle, in the lake's newest state or as of a batch.

    Raises:
        UsageError: the lake knows no such instrument.
        LakeError: the lake cannot be read.
    """
    # The number and its inputs come from one state, whatever is committed meanwhile.
    still, ts = lake.state(), floor_minute(time)
    records = records_of(still)
    record = records.get(instrument)
    if record is None:
        raise UsageError(unknown_names([instrument], list(records)))
    others = [] if record["kind"] == "perpetual" else perpetuals_of(record["base"], records)
    sides = [side_of(still, each, ts) for each in (record, *others)]
    found = row_at(still.snapshot(BASIS), instrument, ts)
    row = found.row(0, named=True) if found is not None else None
    formula = _formula(sides, ts)
    return Explanation(
        instrument=instrument,
        kind=record["kind"],
        ts=ts,
        basis=row,
        reason=None if row else _reason(sides),
        formula=formula,
        agrees=_agrees(formula, row) if row else None,
        sides=sides,
        made=made(still),
        as_of=still.as_of or newest_batch(still),
    )


def _formula(sides: list[Side], ts: datetime) -> list[Step]:
    candles = [side.candle for side in sides]
    if len(candles) == 1 or candles[0] is None or candles[1] is None or not sides[0].expires_at:
        return []
    return steps(candles[0]["close"], candles[1]["close"], ts, sides[0].expires_at)


def _agrees(formula: list[Step], row: Row) -> bool:
    return bool(formula) and all(row[step.column] == step.value for step in formula)


def _reason(sides: list[Side]) -> Reason | None:
    """The instrument's own reason first, then its perpetual's."""
    own = sides[0]
    if own.reason or own.kind == "perpetual":
        return own.reason
    if len(sides) == 1:
        text = "The lake knows no perpetual of its coin; `basislake instruments` fetches it."
        return Reason("no_perpetual", own.instrument, text)
    text = "Both candles are stored, but no build has joined them; `basislake build` does."
    return sides[1].reason or Reason("not_built", own.instrument, text)
