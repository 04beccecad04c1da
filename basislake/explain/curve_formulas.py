"""The formulas of the views across expiries, filled with the numbers of one minute; pure."""

from dataclasses import dataclass
from datetime import datetime

from basislake.explain.basis_formulas import Step
from basislake.explain.carry_formulas import YEARLY, Row, Steps
from lake.query.views.clock import DAYS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Leg:
    """A future of a curve at one instant.

    Attributes:
        name: of the future.
        expires_at: its expiry, UTC.
        close: of the future's minute.
        reference: the price that its basis refers to.
    """

    name: str
    expires_at: datetime
    close: float
    reference: float


def spread_steps(
    row: Row, ts: datetime, front_expires_at: datetime, back_expires_at: datetime
) -> list[Step]:
    """Return the steps that compute a row of `calendar_spreads`.

    Args:
        row: of the view.
        ts: the minute's open, UTC.
        front_expires_at: expiry of the front, UTC.
        back_expires_at: expiry of the back, UTC.
    """
    made = Steps()
    front_days = made.days(front_expires_at, ts, "ts", "front_days")
    back_days = made.days(back_expires_at, ts, "ts", "back_days")
    front, back = row["front_close"], row["back_close"]
    made.add(
        "spread", "back_close - front_close", "quote per base", lambda b, f: b - f, back, front,
        text="{} - {}",
    )  # fmt: skip
    if back_days > front_days:
        made.add(
            "forward_pct",
            f"(back_close / front_close - 1) x {DAYS_PER_YEAR} / (back_days - front_days) x 100",
            YEARLY,
            lambda b, f, d_b, d_f: (b / f - 1) * DAYS_PER_YEAR / (d_b - d_f) * 100,
            back, front, back_days, front_days,
            text=f"({{}} / {{}} - 1) x {DAYS_PER_YEAR} / ({{}} - {{}}) x 100",
        )  # fmt: skip
    return made.steps


def maturity_steps(method: str, days: int, end: datetime, legs: list[Leg]) -> list[Step]:
    """Return the steps that compute a row of `constant_maturity_by` from its legs.

    Args:
        method: forward, linear or nearest.
        days: the distance T.
        end: the instant from which days to expiry are counted, UTC.
        legs: the nearer and the farther; one if they are the same; none if one is missing.
    """
    made = Steps()
    rates = [_leg(made, leg, end, mark) for leg, mark in zip(legs, "nf", strict=False)]
    if len(rates) == 1:
        ((_, pct),) = rates
        formula = "b_n, of the nearest future" if method == "nearest" else "b_n, for T_n = T"
        made.add("annualised_pct", formula, YEARLY, lambda b: b, pct, text="{}")
    elif rates:
        (near_away, near), (far_away, far) = rates
        if method == "linear":
            made.add(
                "annualised_pct", "b_n + (b_f - b_n) x (T - T_n) / (T_f - T_n)", YEARLY,
                lambda b_n, b_f, t, t_n, t_f: b_n + (b_f - b_n) * (t - t_n) / (t_f - t_n),
                near, far, float(days), near_away, far_away,
                text="{0} + ({1} - {0}) x ({2} - {3}) / ({4} - {3})",
            )  # fmt: skip
        else:
            forward = made.add(
                "f", "(b_f x T_f - b_n x T_n) / (T_f - T_n)", YEARLY,
                lambda b_f, t_f, b_n, t_n: (b_f * t_f - b_n * t_n) / (t_f - t_n),
                far, far_away, near, near_away, text="({0} x {1} - {2} x {3}) / ({1} - {3})",
            )  # fmt: skip
            made.add(
                "annualised_pct", "(b_n x T_n + f x (T - T_n)) / T", YEARLY,
                lambda b_n, t_n, f, t: (b_n * t_n + f * (t - t_n)) / t,
                near, near_away, forward, float(days), text="({0} x {1} + {2} x ({3} - {1})) / {3}",
            )  # fmt: skip
    return made.steps


def _leg(made: Steps, leg: Leg, end: datetime, mark: str) -> tuple[float, float | None]:
    """Add a leg's days T and annualised basis b; return them."""
    away = made.days(leg.expires_at, end, "minute", f"T_{mark}")
    pct = made.add(
        f"b_{mark}",
        f"basis of {leg.name} in percent x {DAYS_PER_YEAR} / T_{mark}",
        YEARLY,
        lambda f, s, d: (f - s) / s * 100 * DAYS_PER_YEAR / d,
        leg.close, leg.reference, away,
        text=f"({{0}} - {{1}}) / {{1}} x 100 x {DAYS_PER_YEAR} / {{2}}",
    )  # fmt: skip
    return away, pct
