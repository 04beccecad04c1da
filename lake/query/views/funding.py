"""Views of what a perpetual paid, by day and by calendar month."""

from lake.carry_tables import FUNDING, FUNDING_TOTALS
from lake.query.views.clock import HOUR_US, HOURS_PER_YEAR, start_of_day
from lake.query.views.declaration import View, columns_of, optional
from lake.table import Column, Type

_FIGURES = (
    Column("hours", Type.INT, "rows of `funding` in the period", "hours"),
    Column("missing_hours", Type.INT, "hours of the period that `funding` lacks", "hours"),
    optional(
        "sum_interest_1h",
        "sum of interest_1h; null if no hour is stored",
        "fraction of the notional",
    ),
    optional(
        "annualised_pct", "the sum as an annual rate; null if no hour is stored", "percent a year"
    ),
)


def _formula(period: str) -> str:
    return (
        f"sum_interest_1h sums interest_1h over the hours that end in (start, end] of the "
        f"{period}. annualised_pct = sum_interest_1h x {HOURS_PER_YEAR} / hours x 100: simple, "
        "over the stored hours, 365 days of 24 hours a year. A long position pays if the sum is "
        "above 0. missing_hours counts the hours that `funding` lacks between the perpetual's "
        f"first and last stored hour. A {period} between these two without any stored hour also "
        "has a row. Hours before the first or after the last are not counted."
    )


def _sql(start: str, name: str) -> str:
    """The figures of each period.

    Args:
        start: SQL of the start of the period that holds the hour that begins at `begins_us`.
        name: of the column of the start.
    """
    return f"""
        WITH spans AS (
            SELECT instrument, min(hour_end) AS first, max(hour_end) AS last
            FROM funding
            GROUP BY instrument
        ), hours AS (
            SELECT instrument,
                   unnest(range(epoch_us(first), epoch_us(last) + 1, {HOUR_US})) AS end_us
            FROM spans
        ), expected AS (
            SELECT instrument, end_us, end_us - {HOUR_US} AS begins_us
            FROM hours
        ), found AS (
            SELECT expected.instrument, {start} AS {name}, count(interest_1h) AS hours,
                   count(*) - count(interest_1h) AS missing_hours,
                   fsum(interest_1h) AS sum_interest_1h
            FROM expected
            LEFT JOIN funding
                ON funding.instrument = expected.instrument
                AND funding.hour_end = make_timestamptz(end_us)
            GROUP BY ALL
        )
        SELECT *, sum_interest_1h * {HOURS_PER_YEAR} / hours * 100 AS annualised_pct
        FROM found
        ORDER BY instrument, {name}
    """


_SOURCE = (
    "Table `funding`. interest_1h is the funding paid in the hour; interest_8h is a trailing rate "
    "and is never summed. Reference: the notional of the position."
)

FUNDING_DAILY = View(
    name="funding_daily",
    meaning="What a long position in a perpetual paid in a day from 08:00 to 08:00 UTC.",
    formula=_formula("day"),
    source=_SOURCE,
    columns=(
        *columns_of(FUNDING, "instrument"),
        Column("ts", Type.TIME, "start of the day, 08:00", "UTC"),
        *_FIGURES,
    ),
    sql=_sql(f"make_timestamptz({start_of_day('begins_us')})", "ts"),
)

FUNDING_MONTHLY = View(
    name="funding_monthly",
    meaning="What a long position in a perpetual paid in a calendar month (UTC).",
    formula=_formula("month"),
    source=f"{_SOURCE} `funding_proof` compares whole months with the exchange's own totals.",
    columns=(*columns_of(FUNDING_TOTALS, "instrument", "month"), *_FIGURES),
    sql=_sql("CAST(date_trunc('month', make_timestamp(begins_us)) AS DATE)", "month"),
)
