"""Declaration of a figure of the report: its meaning, its query, its chart and its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from textwrap import dedent


class ChartKind(Enum):
    """Kind of chart; the value is its name in the page's script (drawers.js)."""

    HEAT = "heat"
    SURFACE = "surface"
    PANELS = "panels"
    LINES = "lines"
    COLUMNS = "columns"
    CURVE = "curve"
    HISTORY = "history"
    FORWARDS = "forwards"
    BAND = "band"
    POINTS = "points"
    BARS = "bars"
    ENTRIES = "entries"
    LAYERS = "layers"
    MONTHS = "months"


# Titles of horizontal axes, by column.
X_TITLES: Mapping[str, str] = {
    "start": "time, UTC",
    "day": "day, UTC",
    "month": "month, UTC",
    **dict.fromkeys(("days", "from_days", "step"), "days to expiry"),
}


@dataclass(frozen=True, slots=True)
class Chart:
    """How the rows of a figure are drawn.

    Attributes:
        kind: of chart.
        x: column along the horizontal axis.
        y: columns along the vertical one: a line or a bar each. A band has the line, its lower and
            its upper end; a heat map the column of its rows; a surface the level and the value.
        series: column whose values have a colour each; empty if the columns of `y` do.
        choose: column whose values the reader selects from; empty to show all at once.
        names: names of the values of `series`, or of the columns of `y`, in order; other values
            follow with their own names.
        colours: of the page, in the same order.
        x_title: title of the horizontal axis, with its unit; by default that of the column `x`.
        y_title: title of the vertical axis, with its unit; `{step}` becomes the step of `x`.
        unit: of the values, as the ticks show it: `%`, `USD`, `bytes`, a plural noun, or empty.
    """

    kind: ChartKind
    x: str
    y: tuple[str, ...]
    series: str = ""
    choose: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    colours: tuple[str, ...] = ()
    x_title: str = ""
    y_title: str = ""
    unit: str = "%"


@dataclass(frozen=True, slots=True)
class Listing:
    """Table of a figure's rows.

    Attributes:
        columns: shown, with their headings.
        rows: the most rows that are shown.
        empty: the sentence shown instead of no rows.
        links: columns whose cells link to another figure, and its name.
        is_searched: whether the reader can search the rows.
    """

    columns: Mapping[str, str]
    rows: int = 2_000
    empty: str = "None."
    links: Mapping[str, str] = field(default_factory=dict)
    is_searched: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the report.

    Attributes:
        name: in the page's addresses, the JSON and messages.
        title: a few words.
        meaning: full explanation, with units, and what is left out or sampled.
        sql: a DuckDB query over the lake's tables and views, and those of `lake_facts`; equal
            content gives equal rows in equal order.
        caption: one line under the title: what is measured, and when.
        units: of columns that have one.
        empty: the sentence shown if there is nothing to draw.
        chart: or None.
        listing: or None.
        is_wide: whether it takes the full width of the page.
        is_lasting: whether an unchanged lake gives the same rows later; if not, `verify` runs the
            query but does not compare.
        is_hourly: whether its query needs only the rows of `basis` and `candles` in HOURS, which
            are then read once for all such figures.
    """

    name: str
    title: str
    meaning: str
    sql: str
    caption: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    empty: str = "Nothing to draw yet."
    chart: Chart | None = None
    listing: Listing | None = None
    is_wide: bool = False
    is_lasting: bool = True
    is_hourly: bool = False


# The last minute of each hour; for candles also the last minute before each expiry.
HOURS: Mapping[str, str] = {
    "basis": """
        SELECT instrument, ts, days_to_expiry, annualised_pct, future_traded, perpetual_traded,
               suspect
        FROM basis
        WHERE (epoch_us(ts) // 60000000 + 1) % 60 = 0
    """,
    "candles": """
        SELECT instrument, ts, close, traded, suspect
        FROM candles
        WHERE (epoch_us(ts) // 60000000 + 1) % 60 = 0
            OR epoch_us(ts) IN (
                SELECT epoch_us(expires_at) // 60000000 * 60000000 - 60000000
                FROM instruments
                WHERE expires_at IS NOT NULL
            )
    """,
}


def query(text: str) -> str:
    """Return SQL without the indent of the module that declares it."""
    return dedent(text).strip()
