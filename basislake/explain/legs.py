"""One leg of a basis: an instrument in one minute, with its candle, checks, coverage and calls, or
the reason why it has no candle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from basislake.explain.provenance import Fetched, fetched, row_at
from lake import Lake
from lake.coverage import IS_CANDLES
from lake.table import BATCH
from lake.tables import CANDLES, COVERAGE, INSTRUMENTS, QUARANTINE, RAW_CANDLES, SUPERSEDED
from lake.time.intervals import MINUTE, floor_minute
from transforms.rules import ERRORS, WARNING_RULES

Row = Mapping[str, Any]

_UNSTORED = {
    "present": "Coverage records it as stored, but it is missing: the lake is damaged.",
    "no_data": "The exchange had no data yet: the first trade came later.",
    "missing": "A gap: the exchange was asked more than once, and each answer lacked the minute.",
    "failed": "The exchange was asked and gave no usable answer; `basislake backfill` asks again.",
    "never_asked": "It was never fetched; `basislake backfill` fetches it if the minute is over.",
}


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """Result of a validation rule for a raw candle."""

    rule: str
    meaning: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no candle, or no basis.

    Attributes:
        code: outside_life, never_asked, failed, missing, no_data, quarantined, not_built or
            no_perpetual.
        instrument: the one that lacks data.
        text: one or two sentences, with what to do about it.
    """

    code: str
    instrument: str
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """One instrument at one minute.

    Attributes:
        instrument: its name.
        kind: `future` or `perpetual`.
        ts: the minute's open, UTC.
        listed_at: creation by the record, UTC.
        expires_at: expiry by the record, exclusive, UTC; None for a perpetual.
        raw: the raw candle as received, or None.
        candle: the candle that passed validation, or None.
        checks: of the raw candle, by rule.
        warnings: the warning rules that flagged the candle.
        quarantined: the rules for which a build put it into quarantine.
        coverage: the interval that contains the minute and its neighbours, in order.
        status: of the minute in the coverage; None if the minute is outside of it.
        fetched: the call that brought the raw candle.
        reason: why there is no candle; None if there is one.
    """

    instrument: str
    kind: str
    ts: datetime
    listed_at: datetime
    expires_at: datetime | None
    raw: Row | None
    candle: Row | None
    checks: list[RuleCheck]
    warnings: list[str]
    quarantined: list[str]
    coverage: list[Row]
    status: str | None
    fetched: Fetched | None
    reason: Reason | None


def records_of(lake: Lake) -> dict[str, Row]:
    """Return the rows of `instruments` by name.

    Raises:
        LakeError: the lake cannot be read.
    """
    return {row["instrument"]: row for row in lake.read(INSTRUMENTS).to_dicts()}


def perpetuals_of(coin: str, records: Mapping[str, Row]) -> list[Row]:
    """Return the record of a coin's perpetual; empty if the lake has none."""
    return [r for r in records.values() if (r["kind"], r["base"]) == ("perpetual", coin)][:1]


def side_of(lake: Lake, record: Row, ts: datetime) -> Side:
    """Gather what the lake has about one instrument, by its row of `instruments`, in the minute
    that opens at `ts`, UTC.

    Raises:
        LakeError: the lake cannot be read.
    """
    name = record["instrument"]
    raw, candle = (row_at(lake.snapshot(table), name, ts) for table in (RAW_CANDLES, CANDLES))
    quarantined = _quarantined(lake, name, ts)
    intervals, status = _coverage(lake, name, ts)
    reason = None
    if candle is None:
        reason = _reason(record, ts, quarantined, status, is_stored=raw is not None)
    return Side(
        instrument=name,
        kind=record["kind"],
        ts=ts,
        listed_at=record["listed_at"],
        expires_at=record["expires_at"],
        raw=raw.row(0, named=True) if raw is not None else None,
        candle=candle.row(0, named=True) if candle is not None else None,
        checks=_checks(raw, record) if raw is not None else [],
        warnings=_warnings(lake, name, ts) if candle is not None else [],
        quarantined=quarantined,
        coverage=intervals,
        status=status,
        fetched=fetched(lake, name, ts, raw[BATCH][0]) if raw is not None else None,
        reason=reason,
    )


def _checks(raw: pl.DataFrame, record: Row) -> list[RuleCheck]:
    rows = raw.with_columns(**{name: pl.lit(record[name]) for name in ("listed_at", "expires_at")})
    broken = rows.select(rule.broken.fill_null(value=False).alias(rule.name) for rule in ERRORS)
    return [RuleCheck(rule.name, rule.meaning, not broken[rule.name][0]) for rule in ERRORS]


def _warnings(lake: Lake, instrument: str, ts: datetime) -> list[str]:
    """The warning rules that a candle breaks; some look at the candle of the minute before."""
    both = (row_at(lake.snapshot(CANDLES), instrument, at) for at in (ts - MINUTE, ts))
    candles = pl.concat(found for found in both if found is not None)
    broken = candles.select(rule.broken.alias(rule.name) for rule in WARNING_RULES).tail(1)
    return [name for name in broken.columns if broken[name][0]]


def _quarantined(lake: Lake, instrument: str, ts: datetime) -> list[str]:
    is_it = (pl.col("instrument") == instrument) & (pl.col("ts") == ts)
    is_current = ~pl.col("rules").list.contains(SUPERSEDED)
    rows = lake.snapshot(QUARANTINE).read(is_it, is_current)
    return rows["rules"].explode().drop_nulls().to_list()


def _coverage(lake: Lake, instrument: str, ts: datetime) -> tuple[list[Row], str | None]:
    """The interval that contains the minute, with its neighbours, and its status; outside of the
    coverage the nearest interval and None.
    """
    own = lake.read(COVERAGE).filter(IS_CANDLES, pl.col("instrument") == instrument)
    intervals: list[Row] = list(own.iter_rows(named=True))
    for place, interval in enumerate(intervals):
        if interval["start"] <= ts < interval["end"]:
            return intervals[max(0, place - 1) : place + 2], str(interval["status"])
    return intervals[:1] if intervals and ts < intervals[0]["start"] else intervals[-1:], None


def _reason(
    record: Row, ts: datetime, quarantined: list[str], status: str | None, *, is_stored: bool
) -> Reason:
    name, expires_at = record["instrument"], record["expires_at"]
    if quarantined:
        broken = ", ".join(quarantined)
        text = (
            f"Its candle is in quarantine because it broke {broken}. `basislake backfill --repair` "
            "asks for it again."
        )
        return Reason("quarantined", name, text)
    if is_stored:
        text = "Its raw candle is stored, but not built yet; `basislake build` builds it."
        return Reason("not_built", name, text)
    if ts < floor_minute(record["listed_at"]):
        text = f"It was listed only at {record['listed_at']:%Y-%m-%d %H:%M}Z."
        return Reason("outside_life", name, text)
    if expires_at is not None and ts >= expires_at:
        return Reason("outside_life", name, f"It expired at {expires_at:%Y-%m-%d %H:%M}Z.")
    code = status or "never_asked"
    return Reason(code, name, _UNSTORED[code])
