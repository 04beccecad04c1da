"""Shows how a calendar spread or a rate of constant maturity was computed, or what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from basislake.explain.carry import CarryExplanation, agrees, row_of
from basislake.explain.curve_formulas import Leg, maturity_steps, spread_steps
from basislake.explain.inputs import Input, input_of
from basislake.explain.legs import Row, Side, perpetuals_of, records_of, side_of
from basislake.explain.provenance import made, row_at
from ingest.plan.selection import unknown_names
from lake import Lake
from lake.batches import newest_batch
from lake.errors import UsageError
from lake.query.views.maturities import SHORTEST_LEG_DAYS
from lake.state import State
from lake.tables import BASIS
from lake.time.intervals import MINUTE, Span, floor_minute
from lake.time.steps import DAY, HOUR, HOURS


@dataclass(frozen=True, slots=True)
class Maturity:
    """Which rate of constant maturity: see `constant_maturity_by`.

    Attributes:
        days: the distance.
        method: forward, linear or nearest.
        reference: perpetual or index.
    """

    days: int = 90
    method: str = "forward"
    reference: str = "perpetual"


def explain_spread(lake: Lake, instrument: str, time: datetime) -> CarryExplanation:
    """Explain the row of `calendar_spreads` whose front is a future.

    Args:
        lake: the lake, as it is or as of a batch.
        instrument: the front.
        time: UTC; the minute that contains it is explained.

    Raises:
        UsageError: the lake has no such future.
        LakeError: the lake cannot be read.
    """
    still, at = lake.state(), floor_minute(time)
    records = records_of(still)
    front = records.get(instrument)
    if front is None:
        raise UsageError(unknown_names([instrument], list(records)))
    if front["kind"] != "future":
        raise UsageError(f"{instrument} is a {front['kind']}; --of spread explains a future.")
    query = f"FROM calendar_spreads('{at.isoformat()}') WHERE front = '{instrument}'"
    row = row_of(still, query)
    legs = [front] if row is None else [front, records[row["back"]]]
    sides = [side_of(still, leg, at) for leg in legs]
    reasons = [f"{side.instrument}: {side.reason.text}" for side in sides if side.reason]
    if row is None and not reasons:
        reasons = ["No other open future of its coin expires after it."]
    formula = spread_steps(row, at, *(leg["expires_at"] for leg in legs)) if row else []
    return CarryExplanation(
        of="spread",
        query=query,
        instrument=instrument,
        kind=front["kind"],
        at=at,
        row=row,
        reason=" ".join(reasons) or None,
        formula=formula,
        agrees=agrees(formula, row) if row else None,
        sides=sides,
        inputs=[],
        made=made(still),
        as_of=still.as_of or newest_batch(still),
    )


def explain_maturity(lake: Lake, coin: str, time: datetime, of: Maturity) -> CarryExplanation:
    """Explain a row of `constant_maturity_by`.

    Args:
        lake: the lake, as it is or as of a batch.
        coin: whose.
        time: UTC. Against the perpetual, the minute that contains it is explained. Against the
            index, the last minute of the hour that contains it or ends with it.
        of: which rate.

    Raises:
        UsageError: the lake has no future of the coin.
        LakeError: the lake cannot be read.
    """
    still, is_index = lake.state(), of.reference == "index"
    at = HOURS.ceil(time) - MINUTE if is_index else floor_minute(time)
    step_minutes = HOUR // MINUTE if is_index else 1
    records = records_of(still)
    futures = [r for r in records.values() if (r["kind"], r["base"]) == ("future", coin)]
    if not futures:
        coins = sorted({r["base"] for r in records.values() if r["kind"] == "future"})
        raise UsageError(
            f"The lake has no future of {coin!r}; it has futures of {', '.join(coins)}."
        )
    query = (
        f"FROM constant_maturity_by({step_minutes}, '{of.method}', '{of.reference}') "
        f"WHERE coin = '{coin}' AND days = {of.days} AND ts = '{at.isoformat()}'"
    )
    row = row_of(still, query)
    # Against the index days count from the instant of the index, as in `index_basis`.
    end = at + MINUTE if is_index else at
    chosen = list(dict.fromkeys(n for c in ("nearer", "farther") if row and (n := row[c])))
    shown = _considered(futures, chosen, records, end, of)
    perpetuals = perpetuals_of(coin, records)
    sides = [side_of(still, each, at) for each in (*shown, *(() if is_index else perpetuals))]
    inputs = [
        input_of(still, "index_price", "funding", each["instrument"], Span(end - HOUR, end), 1)
        for each in perpetuals
        if is_index
    ]
    formula = []
    if row and row["annualised_pct"] is not None:
        price = inputs[0].rows[0]["index_price"] if is_index else _close(sides[-1])
        by_name = {side.instrument: side for side in sides}
        legs = [
            Leg(name, records[name]["expires_at"], _close(by_name[name]), price) for name in chosen
        ]
        formula = maturity_steps(of.method, of.days, end, legs)
    reasons = _unused(still, sides, inputs, chosen, end, of)
    return CarryExplanation(
        of="maturity",
        query=query,
        instrument=coin,
        kind="coin",
        at=at,
        row=row,
        reason=" ".join(reasons) or None,
        formula=formula,
        agrees=agrees(formula, row) if row and formula else None,
        sides=sides,
        inputs=inputs,
        made=made(still),
        as_of=still.as_of or newest_batch(still),
    )


def _considered(
    futures: list[Row], chosen: list[str], records: Mapping[str, Row], end: datetime, of: Maturity
) -> list[Row]:
    """The legs, and the open futures that are nearer to the distance than the legs. If a leg is
    missing, all futures on its side of the distance.
    """

    def away(record: Row) -> float:
        return float((record["expires_at"] - end) / DAY)

    legs = [away(records[name]) for name in chosen]
    below, above = (
        [a for a in legs if a <= of.days], [a for a in legs if a >= of.days]
    )  # fmt: skip
    lowest, highest = max(below, default=0.0), min(above, default=float("inf"))
    if of.method == "nearest" and legs:
        reach = abs(legs[0] - of.days)
        lowest, highest = of.days - reach, of.days + reach
    opened = [r for r in futures if r["listed_at"] < end + MINUTE and away(r) >= SHORTEST_LEG_DAYS]
    return sorted(
        (r for r in opened if lowest <= away(r) <= highest),
        key=lambda r: (r["expires_at"], r["instrument"]),
    )


def _unused(
    still: State,
    sides: list[Side],
    inputs: list[Input],
    chosen: list[str],
    end: datetime,
    of: Maturity,
) -> list[str]:
    """Why there is no rate, and why futures nearer to the distance than the legs are not used."""
    found = []
    for side in sides:
        if side.reason:
            found.append(f"{side.instrument}: {side.reason.text}")
        elif side.kind == "future" and side.instrument not in chosen:
            found.append(f"{side.instrument}: {_why_not(still, side, of)}")
    found += [f"{i.name}: `{i.table}` has no row for that hour." for i in inputs if not i.rows]
    spans = [(s.expires_at - end) / DAY for s in sides if s.expires_at]
    if of.method != "nearest" and not any(away <= of.days for away in spans):
        found.append(f"No future expires within {of.days} days; nothing is extrapolated.")
    if of.method != "nearest" and not any(away >= of.days for away in spans):
        found.append(f"No future expires at {of.days} days or beyond; nothing is extrapolated.")
    return found


def _why_not(still: State, side: Side, of: Maturity) -> str:
    """Why a future with a candle is no leg."""
    if of.reference == "index":
        is_suspect = bool(side.candle and side.candle["suspect"])
    else:
        row = row_at(still.snapshot(BASIS), side.instrument, side.ts)
        if row is None:
            return "It has no row of `basis` in that minute; `basislake explain` shows why."
        is_suspect = bool(row.select(pl.col("suspect")).item())
    if is_suspect:
        return "A warning rule marked its row as suspect, so it is not used."
    return "Another future is as near to the distance."


def _close(side: Side) -> float:
    """The close of a leg: the view has a row of it, so it is there."""
    return float(side.candle["close"]) if side.candle else float("nan")
