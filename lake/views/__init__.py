"""The derived views of the lake, each declared once: meaning, formula, source, columns, SQL.

`lake.duck` makes them beside the tables' views; docs/views.md is written from them.
"""

from lake.views.completeness import GAPS, UNMATCHED
from lake.views.continuous import CONTINUOUS, CONTINUOUS_BETWEEN, ROLLS
from lake.views.curves import CONSTANT_MATURITY, CONSTANT_MATURITY_EVERY, TERM_STRUCTURE
from lake.views.declaration import Parameter, View
from lake.views.rollups import BASIS_DAILY, BASIS_HOURLY, CANDLES_DAILY, CANDLES_HOURLY

__all__ = ["VIEWS", "Parameter", "View"]

# A view stands after those that its SQL reads.
VIEWS: tuple[View, ...] = (
    UNMATCHED,
    GAPS,
    TERM_STRUCTURE,
    CONSTANT_MATURITY_EVERY,
    CONSTANT_MATURITY,
    CONTINUOUS_BETWEEN,
    CONTINUOUS,
    ROLLS,
    CANDLES_HOURLY,
    CANDLES_DAILY,
    BASIS_HOURLY,
    BASIS_DAILY,
)
