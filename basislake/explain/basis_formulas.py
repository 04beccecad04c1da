"""Formulas of the basis, with the numbers of one minute; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from transforms.basis import (
    DAYS_PER_YEAR,
    LEAST_MINUTES_TO_ANNUALISE,
    MICROSECONDS_PER_DAY,
    annualised,
    difference,
    percent,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One column of `basis`, computed.

    Attributes:
        column: its name.
        formula: in words.
        numbers: the formula with the minute's exact numbers.
        value: the result, or None.
        unit: of the value, or empty.
    """

    column: str
    formula: str
    numbers: str
    value: float | str | None
    unit: str = ""


def steps(
    future_close: float, perpetual_close: float, ts: datetime, expires_at: datetime
) -> list[Step]:
    """Return the columns of a row of `basis` in the order they follow from one another.

    Args:
        future_close: close of the future's candle, quote per base.
        perpetual_close: close of the perpetual's candle of the same minute.
        ts: the minute's open, UTC.
        expires_at: the future's expiry, UTC.
    """
    basis = difference(future_close, perpetual_close)
    basis_pct = percent(basis, perpetual_close)
    left = expires_at - ts
    microseconds = left // timedelta(microseconds=1)
    days = microseconds / MICROSECONDS_PER_DAY
    sign, market = ("=", "flat")
    if basis:
        sign, market = (">", "contango") if basis > 0 else ("<", "backwardation")
    return [
        Step(
            "basis",
            "future close - perpetual close",
            f"{number(future_close)} - {number(perpetual_close)}",
            basis,
            "quote per base",
        ),
        Step(
            "basis_pct",
            "basis / perpetual close x 100",
            f"{number(basis)} / {number(perpetual_close)} x 100",
            basis_pct,
            "percent",
        ),
        Step(
            "days_to_expiry",
            "expires_at - ts",
            f"{expires_at:%Y-%m-%d %H:%M}Z - {ts:%Y-%m-%d %H:%M}Z",
            days,
            "days",
        ),
        _annualised(basis_pct, days, left),
        Step(
            "market_structure",
            "the sign of basis",
            f"{number(basis)} {sign} 0",
            market,
        ),
    ]


def number(value: float) -> str:
    """Return a number with all its digits, and no more."""
    text = repr(value)
    return text.removesuffix(".0")


def _annualised(basis_pct: float, days: float, left: timedelta) -> Step:
    formula = f"basis_pct x {DAYS_PER_YEAR} / days_to_expiry"
    if left <= timedelta(minutes=LEAST_MINUTES_TO_ANNUALISE):
        numbers = f"none if {LEAST_MINUTES_TO_ANNUALISE} minutes or less are left"
        return Step("annualised_pct", formula, numbers, None, "percent a year")
    numbers = f"{number(basis_pct)} x {DAYS_PER_YEAR} / {number(days)}"
    return Step("annualised_pct", formula, numbers, annualised(basis_pct, days), "percent a year")
