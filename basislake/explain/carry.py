"""Explanation of one number of carry, or of what is missing for it, as plain values."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from basislake.explain.basis_formulas import Step
from basislake.explain.carry_formulas import (
    carry_steps,
    funding_steps,
    index_steps,
    premium_steps,
    realised_steps,
)
from basislake.explain.inputs import Input, input_of
from basislake.explain.legs import Row, Side, perpetuals_of, records_of, side_of
from basislake.explain.provenance import Made, made
from ingest.plan.selection import unknown_names
from lake import Lake
from lake.batches import newest_batch
from lake.counted_words import counted
from lake.errors import UsageError
from lake.query import duck
from lake.query.views.carry import TRAILING_DAYS
from lake.state import State
from lake.time.intervals import MINUTE, Span, floor_minute
from lake.time.steps import DAY, HOUR, HOURS

# Relative tolerance: two programs may round the last digits of sums and powers differently.
_SAME = 1e-11
_Evidence: TypeAlias = tuple[list[Side], list[Input]]
_Formula: TypeAlias = Callable[[Row, Any, Mapping[datetime, float]], list[Step]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A view whose rows are explained.

    Attributes:
        of: `future` or `perpetual`, the kind of instrument of its rows.
        formula: computes its columns from the inputs.
        query: SQL of one row, with `{name}` and `{at}`.
        at: returns the row's own time for the time that was asked for.
    """

    of: str
    formula: _Formula
    query: str
    at: Callable[[datetime], datetime]


def _eight(time: datetime) -> datetime:
    """08:00 of the calendar day that holds a time."""
    return time.replace(hour=8, minute=0, second=0, microsecond=0)


def _row_at(view: str, time: str) -> str:
    return f"FROM {view} WHERE instrument = '{{name}}' AND {time} = '{{at}}'"


KINDS: Mapping[str, _Kind] = {
    "carry": _Kind(
        "future", carry_steps, "FROM carry_at('{at}') WHERE instrument = '{name}'", floor_minute
    ),
    "realised": _Kind("future", realised_steps, _row_at("realised_carry", "entry"), _eight),
    "index": _Kind("future", index_steps, _row_at("index_basis", "hour_end"), HOURS.ceil),
    "premium": _Kind(
        "perpetual", premium_steps, _row_at("perpetual_premium", "hour_end"), HOURS.ceil
    ),
    "funding": _Kind("perpetual", funding_steps, _row_at("funding_daily", "ts"), _eight),
}


@dataclass(frozen=True, slots=True)
class CarryExplanation:
    """All facts behind one row of a view of carry.

    Attributes:
        of: which view, as `--of` names it.
        query: SQL of the row.
        instrument: its name, or the coin.
        kind: `future`, `perpetual` or `coin`.
        at: the minute, end of the hour, or 08:00 that names the row, UTC.
        row: of the view, or None.
        reason: why there is no row, or which inputs are missing; None if nothing is missing.
        formula: the columns of the row, computed again from the inputs.
        agrees: whether the view has the same values, up to rounding; None without a row.
        sides: the legs: each candle that the row needs, with its origin.
        inputs: rows of other tables that it needs.
        made: the build of the curated rows, None before the first.
        as_of: the newest batch.
    """

    of: str
    query: str
    instrument: str
    kind: str
    at: datetime
    row: Row | None
    reason: str | None
    formula: list[Step]
    agrees: bool | None
    sides: list[Side]
    inputs: list[Input]
    made: Made | None
    as_of: int


def explain_carry(lake: Lake, of: str, instrument: str, time: datetime) -> CarryExplanation:
    """Explain a row of a view of carry.

    Args:
        lake: the lake, in its newest state or as of a batch.
        of: a name in `KINDS`.
        instrument: its name.
        time: UTC; `carry` uses the minute that contains it, `index` and `premium` the hour that
            contains it or ends with it, `realised` and `funding` 08:00 of its day.

    Raises:
        UsageError: the lake knows no such instrument, or it is of another kind.
        LakeError: the lake cannot be read.
    """
    still, kind = lake.state(), KINDS[of]
    records = records_of(still)
    record = records.get(instrument)
    if record is None:
        raise UsageError(unknown_names([instrument], list(records)))
    if record["kind"] != kind.of:
        raise UsageError(f"{instrument} is a {record['kind']}; --of {of} explains a {kind.of}.")
    at = kind.at(time)
    query = kind.query.format(name=instrument, at=at.isoformat())
    row = row_of(still, query)
    sides, inputs = _evidence(still, of, at, record, records)
    hours = {
        each["hour_end"]: each["interest_1h"]
        for input_ in inputs
        if input_.table == "funding"
        for each in input_.rows
    }
    formula = kind.formula(row, record["expires_at"], hours) if row else []
    return CarryExplanation(
        of=of,
        query=query,
        instrument=instrument,
        kind=record["kind"],
        at=at,
        row=row,
        reason=_reason(of, row, at, record, (sides, inputs)),
        formula=formula,
        agrees=agrees(formula, row) if row else None,
        sides=sides,
        inputs=inputs,
        made=made(still),
        as_of=still.as_of or newest_batch(still),
    )


def row_of(still: State, query: str) -> Row | None:
    """Return the first row of a query `FROM view ...`, None if there is none."""
    with still.duckdb([query.split()[1].partition("(")[0]]) as connection:
        rows: list[Row] = list(duck.rows(connection, query).to_dicts())
    return rows[0] if rows else None


def _evidence(
    still: State, of: str, at: datetime, record: Row, records: Mapping[str, Row]
) -> _Evidence:
    """The candles and the other rows that the row of a view needs."""
    expires_at, name = record["expires_at"], record["instrument"]
    perpetuals = perpetuals_of(record["base"], records)
    perpetual = perpetuals[0]["instrument"] if perpetuals else None

    def closes(minute: datetime, *of_: Row) -> list[Side]:
        return [side_of(still, each, minute) for each in of_]

    def rows(what: str, dataset: str, subject: str | None, span: Span, count: int) -> list[Input]:
        return [input_of(still, what, dataset, subject, span, count)] if subject else []

    def paid(start: datetime, end: datetime, what: str = "interest_1h") -> list[Input]:
        return rows(what, "funding", perpetual, Span(start, end), (end - start) // HOUR)

    if of == "carry":
        end = at + MINUTE
        hour = HOURS.floor(end)
        return closes(at, record, *perpetuals), [
            *paid(hour - HOUR, hour, "index_price"),
            *paid(hour - max(TRAILING_DAYS) * DAY, hour),
            *rows("open_interest", "settlements", name, Span(end - DAY, end), 1),
        ]
    if of == "realised":
        last, day = floor_minute(expires_at - timedelta(microseconds=1)), _eight(expires_at)
        return [*closes(at - MINUTE, record, *perpetuals), *closes(last, *perpetuals)], [
            *rows("delivery_price", "deliveries", record["price_index"], Span(day - DAY, day), 1),
            *paid(at, expires_at),
        ]
    if of == "funding":
        return [], paid(at, at + DAY)
    return closes(at - MINUTE, record), paid(at - HOUR, at, "index_price")


def _reason(of: str, row: Row | None, at: datetime, record: Row, evidence: _Evidence) -> str | None:
    sides, inputs = evidence
    expires_at = record["expires_at"]
    if row is None and of == "realised" and record["active"]:
        return f"It is open until {expires_at:%Y-%m-%d %H:%M}Z; a carry is realised at the expiry."
    if row is not None and "reason" in row:
        return None if row["reason"] is None else f"{row['reason']}."
    lacking = [f"{s.instrument}: {s.reason.text}" for s in sides if s.reason]
    lacking += [
        f"{i.name}: `{i.table}` has {len(i.rows)} of {counted(i.expected, 'row')}."
        for i in inputs
        if len(i.rows) < i.expected
    ]
    if row is not None or lacking:
        return " ".join(lacking) or None
    if expires_at and at >= expires_at:
        return f"It expired at {expires_at:%Y-%m-%d %H:%M}Z."
    return "The view has no row for it; docs/views.md has the formula of the view."


def agrees(formula: list[Step], row: Row) -> bool:
    """Return whether a row has the values of a formula, except for rounding in the last digits.
    Steps that no column shows are not compared.
    """
    return all(_is_same(row[step.column], step.value) for step in formula if step.column in row)


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_SAME, abs_tol=1e-13)
    return one == other
