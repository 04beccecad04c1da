"""How a figure of the report is declared: once, with what it means, its query and how it looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from textwrap import dedent


class Kind(Enum):
    """How a chart looks; the value is its name in the page's script (charts.js)."""

    HEAT = "heat"
    LINES = "lines"
    CURVE = "curve"
    BAND = "band"
    POINTS = "points"
    BARS = "bars"


@dataclass(frozen=True, slots=True)
class Chart:
    """How the rows of a figure are drawn.

    Attributes:
        kind: of chart.
        x: column along the axis: of time, of distance, or of what the bars stand for.
        y: columns across it: one line or bar each; of a band the line, its lower and upper end; of
            a heat map the column of its rows.
        series: column whose values make a colour each; empty where `y` does.
        choose: column whose values the reader chooses among; empty where all is shown at once.
        stands_for: what a value of `series`, or a column of `y`, is called, in order; others are
            called by their name, and come after.
        colours: of the page, in the same order.
        x_title: of the axis.
        y_title: of the one across.
    """

    kind: Kind
    x: str
    y: tuple[str, ...]
    series: str = ""
    choose: str = ""
    stands_for: Mapping[str, str] = field(default_factory=dict)
    colours: tuple[str, ...] = ()
    x_title: str = ""
    y_title: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """How the rows of a figure are listed.

    Attributes:
        columns: shown, with their headings.
        rows: at most so many are shown, the first ones.
        empty: what to say where there is none.
    """

    columns: Mapping[str, str]
    rows: int = 12
    empty: str = "None."


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the report.

    Attributes:
        name: in the page's addresses, the JSON and messages.
        title: a few words.
        meaning: what is seen, with units, and what is left out or sampled.
        sql: a DuckDB query over the lake's tables and views, and those of `beside`; always the same
            rows in the same order for the same content.
        units: of columns that have one.
        chart: None where there is none.
        listing: None where the rows are not listed.
        is_wide: whether it takes the page's whole width.
        is_lasting: whether the same lake answers the same later; if not, `verify` asks, and does
            not compare.
    """

    name: str
    title: str
    meaning: str
    sql: str
    units: Mapping[str, str] = field(default_factory=dict)
    chart: Chart | None = None
    listing: Listing | None = None
    is_wide: bool = False
    is_lasting: bool = True


def query(text: str) -> str:
    """Return SQL as it is shown, without the indent of the module that declares it."""
    return dedent(text).strip()
