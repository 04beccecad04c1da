"""Formulas of the views of carry, with the numbers of one row; pure."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from basislake.explain.basis_formulas import Step, number
from lake.query.views.carry import TRAILING_DAYS
from lake.query.views.clock import DAYS_PER_YEAR, HOURS_PER_YEAR
from lake.time.steps import DAY, HOUR

Row = Mapping[str, Any]
YEARLY = "percent a year"


class Steps:
    """Steps that build on one another; a step without a value leaves later ones without, too."""

    def __init__(self) -> None:
        """Begin without any."""
        self.steps: list[Step] = []

    def add(
        self,
        column: str,
        formula: str,
        unit: str,
        compute: Callable[..., float],
        *inputs: float | None,
        text: str,
    ) -> float | None:
        """Add a step: `text` has a `{}` for each input; None if an input is None."""
        numbers = text.format(*("?" if value is None else number(value) for value in inputs))
        value = None if None in inputs else compute(*inputs)
        self.steps.append(Step(column, formula, numbers, value, unit))
        return value

    def basis(self, column: str, price: str, future: float | None, other: float | None) -> Any:  # noqa: ANN401  (a number, or None)
        """Add a basis in percent of a price."""
        return self.add(
            column, f"(future_close - {price}) / {price} x 100", "percent",
            lambda f, s: (f - s) / s * 100, future, other, text="({0} - {1}) / {1} x 100",
        )  # fmt: skip

    def annual(self, column: str, percent: str, value: float | None, days: float) -> float | None:
        """Add a simple annual rate; none if an hour or less is left."""
        formula = f"{percent} x {DAYS_PER_YEAR} / days_to_expiry"
        if days * 24 <= 1:
            none = "none if 60 minutes or less are left"
            self.steps.append(Step(column, formula, none, None, YEARLY))
            return None
        return self.add(
            column, formula, YEARLY, lambda p, d: p * DAYS_PER_YEAR / d, value, days,
            text=f"{{}} x {DAYS_PER_YEAR} / {{}}",
        )  # fmt: skip

    def days(self, expires_at: datetime, start: datetime, start_name: str, column: str) -> float:
        """Add the time left in days."""
        days = (expires_at - start) / DAY
        times = f"{expires_at:%Y-%m-%d %H:%M}Z - {start:%Y-%m-%d %H:%M}Z"
        self.steps.append(Step(column, f"expires_at - {start_name}", times, days, "days"))
        return days


def carry_steps(row: Row, expires_at: datetime, hours: Mapping[datetime, float]) -> list[Step]:
    """Return the columns of a row of `carry_at` as they follow from one another.

    Args:
        row: of the view.
        expires_at: the future's expiry, UTC.
        hours: interest_1h of the perpetual, by end of the hour.
    """
    made = Steps()
    future, days = row["future_close"], made.days(expires_at, row["ts"], "ts", "days_to_expiry")
    apr = None
    for name, price in (("perpetual", "perpetual_close"), ("index", "index_price")):
        basis = made.basis(f"{name}_basis_pct", price, future, row[price])
        rate = made.annual(f"{name}_apr_pct", f"{name}_basis_pct", basis, days)
        apr = rate if name == "perpetual" else apr
    end = row["index_hour_end"]
    for count in TRAILING_DAYS:
        paid = _paid(hours, end - count * DAY, end)
        funding = made.add(
            f"funding_{count}d_pct",
            f"sum of interest_1h over {24 * count} hours x {HOURS_PER_YEAR} / {24 * count} x 100",
            YEARLY,
            lambda total, n=24 * count: total * HOURS_PER_YEAR / n * 100,
            paid,
            text=f"{{}} x {HOURS_PER_YEAR} / {24 * count} x 100",
        )
        made.add(
            f"less_funding_{count}d_pct", f"perpetual_apr_pct - funding_{count}d_pct", YEARLY,
            lambda a, f: a - f, apr, funding, text="{} - {}",
        )  # fmt: skip
    made.add(
        "open_interest", "position of the newest settlement", "USD, of inverse contracts",
        lambda position: position, row["open_interest"], text="{}",
    )  # fmt: skip
    return made.steps


def realised_steps(row: Row, expires_at: datetime, hours: Mapping[datetime, float]) -> list[Step]:
    """Return the columns of a row of `realised_carry`; see `carry_steps`."""
    made = Steps()
    f, p = row["future_close"], row["perpetual_close"]
    d, p_t = row["delivery_price"], row["perpetual_last"]
    of_p = "percent of P"
    days = made.days(expires_at, row["entry"], "entry", "days")
    made.add(
        "locked_pct", "(F - P) / P x 100", of_p, lambda f, p: (f - p) / p * 100, f, p,
        text="({0} - {1}) / {1} x 100",
    )  # fmt: skip
    gross = made.add(
        "gross_pct", "((F - D) + (P_T - P)) / P x 100", of_p,
        lambda f, d, p_t, p: ((f - d) + (p_t - p)) / p * 100, f, d, p_t, p,
        text="(({0} - {1}) + ({2} - {3})) / {3} x 100",
    )  # fmt: skip
    count = (expires_at - row["entry"]) // HOUR
    funding = made.add(
        "funding_pct", f"sum of interest_1h over {count} hours x 100", of_p,
        lambda total: total * 100, _paid(hours, row["entry"], expires_at), text="{} x 100",
    )  # fmt: skip
    net = made.add(
        "net_pct", "gross_pct - funding_pct", of_p, lambda g, paid: g - paid, gross, funding,
        text="{} - {}",
    )  # fmt: skip
    made.add(
        "net_apr_pct", f"net_pct x {DAYS_PER_YEAR} / days", YEARLY,
        lambda n, d: n * DAYS_PER_YEAR / d, net, days, text=f"{{}} x {DAYS_PER_YEAR} / {{}}",
    )  # fmt: skip
    return made.steps


def index_steps(row: Row, expires_at: datetime, _hours: object = None) -> list[Step]:
    """Return the columns of a row of `index_basis`; see `carry_steps`."""
    made = Steps()
    future, index = row["future_close"], row["index_price"]
    made.add(
        "basis", "future_close - index_price", "quote per base", lambda f, s: f - s, future, index,
        text="{} - {}",
    )  # fmt: skip
    basis = made.basis("basis_pct", "index_price", future, index)
    days = made.days(expires_at, row["hour_end"], "hour_end", "days_to_expiry")
    if made.annual("apr_pct", "basis_pct", basis, days) is None or row["apy_pct"] is None:
        return made.steps
    made.add(
        "apy_pct", "((future_close / index_price)^(365 / days_to_expiry) - 1) x 100", YEARLY,
        lambda f, s, d: ((f / s) ** (DAYS_PER_YEAR / d) - 1) * 100, future, index, days,
        text=f"(({{}} / {{}})^({DAYS_PER_YEAR} / {{}}) - 1) x 100",
    )  # fmt: skip
    made.add(
        "log_pct", "ln(future_close / index_price) x 365 / days_to_expiry x 100", YEARLY,
        lambda f, s, d: math.log(f / s) * DAYS_PER_YEAR / d * 100, future, index, days,
        text=f"ln({{}} / {{}}) x {DAYS_PER_YEAR} / {{}} x 100",
    )  # fmt: skip
    return made.steps


def premium_steps(row: Row, _expires_at: object = None, _hours: object = None) -> list[Step]:
    """Return the columns of a row of `perpetual_premium`; see `carry_steps`."""
    made = Steps()
    made.add(
        "premium_pct", "(close - index_price) / index_price x 100", "percent",
        lambda c, s: (c - s) / s * 100, row["close"], row["index_price"],
        text="({0} - {1}) / {1} x 100",
    )  # fmt: skip
    return made.steps


def funding_steps(row: Row, _expires_at: object, hours: Mapping[datetime, float]) -> list[Step]:
    """Return the columns of a row of `funding_daily`; see `carry_steps`."""
    made = Steps()
    start, count = row["ts"], row["hours"]
    rates = [rate for end, rate in hours.items() if start < end <= start + DAY]
    formula = f"sum of interest_1h over the {count} hours of the day that are stored"
    unit = "fraction of the notional"
    total = math.fsum(rates) if rates else None
    made.add("sum_interest_1h", formula, unit, lambda paid: paid, total, text="{}")
    made.add(
        "annualised_pct", f"sum_interest_1h x {HOURS_PER_YEAR} / {count} x 100", YEARLY,
        lambda paid: paid * HOURS_PER_YEAR / count * 100, total,
        text=f"{{}} x {HOURS_PER_YEAR} / {count} x 100",
    )  # fmt: skip
    return made.steps


def _paid(hours: Mapping[datetime, float], start: datetime, end: datetime) -> float | None:
    """The funding of the hours that end in (start, end]; None if an hour is missing."""
    rates = [hours.get(start + n * HOUR) for n in range(1, (end - start) // HOUR + 1)]
    known = [rate for rate in rates if rate is not None]
    return math.fsum(known) if len(known) == len(rates) else None
