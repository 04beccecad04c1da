"""The derived views of the lake, each declared once: meaning, formula, source, columns, SQL.

`lake.query.duck` creates them next to the tables' views; `docs.write` writes docs/views.md from
them.
"""

from lake.errors import LakeError
from lake.query.views.carry import CARRY_AT
from lake.query.views.completeness import GAPS, UNMATCHED
from lake.query.views.continuous import CONTINUOUS, CONTINUOUS_BETWEEN, ROLLS
from lake.query.views.curves import TERM_STRUCTURE, TERM_STRUCTURE_LATEST
from lake.query.views.daily import CARRY_DAILY
from lake.query.views.declaration import Parameter, View
from lake.query.views.fronts import (
    BACK_ADJUSTED_BY,
    CONTINUOUS_BY,
    FRONT_BY,
    FRONT_QUARTERLY,
    FRONT_QUARTERLY_ADJUSTED,
    ROLLS_BY,
)
from lake.query.views.funding import FUNDING_DAILY, FUNDING_MONTHLY
from lake.query.views.maturities import CONSTANT_MATURITY, CONSTANT_MATURITY_BY
from lake.query.views.open_interest import OPEN_INTEREST_DAILY, WEIGHTED_BASIS_DAILY
from lake.query.views.premium import INDEX_BASIS, INDEX_HOURLY, PERPETUAL_PREMIUM
from lake.query.views.proofs import DELIVERY_PROOF, FUNDING_PROOF, INDEX_CHAIN
from lake.query.views.realised import REALISED_CARRY
from lake.query.views.rollups import BASIS_DAILY, BASIS_HOURLY, CANDLES_DAILY, CANDLES_HOURLY
from lake.query.views.spreads import CALENDAR_SPREADS
from lake.tables import TABLES

__all__ = ["VIEWS", "Parameter", "View", "plain_view"]

# A view comes after the views that its SQL reads.
VIEWS: tuple[View, ...] = (
    UNMATCHED,
    GAPS,
    INDEX_HOURLY,
    TERM_STRUCTURE,
    TERM_STRUCTURE_LATEST,
    CONSTANT_MATURITY_BY,
    CONSTANT_MATURITY,
    CONTINUOUS_BETWEEN,
    CONTINUOUS,
    ROLLS,
    FRONT_BY,
    ROLLS_BY,
    CONTINUOUS_BY,
    FRONT_QUARTERLY,
    BACK_ADJUSTED_BY,
    FRONT_QUARTERLY_ADJUSTED,
    CANDLES_HOURLY,
    CANDLES_DAILY,
    BASIS_HOURLY,
    BASIS_DAILY,
    FUNDING_PROOF,
    INDEX_CHAIN,
    DELIVERY_PROOF,
    PERPETUAL_PREMIUM,
    INDEX_BASIS,
    FUNDING_DAILY,
    FUNDING_MONTHLY,
    CARRY_AT,
    REALISED_CARRY,
    CALENDAR_SPREADS,
    OPEN_INTEREST_DAILY,
    WEIGHTED_BASIS_DAILY,
    CARRY_DAILY,
)


def plain_view(name: str) -> View:
    """Return the declaration of a view without parameters.

    Raises:
        LakeError: there is none, or it has parameters.
    """
    plain = {view.name: view for view in VIEWS if not view.parameters}
    if name in plain:
        return plain[name]
    if called := [view.call for view in VIEWS if view.name == name]:
        raise LakeError(f'{name} has parameters; ask for it with sql("FROM {called[0]}").')
    raise LakeError(
        f"There is no table {name!r}, and no view; the tables are {', '.join(TABLES)}, the views "
        f"without parameters {', '.join(plain)}."
    )
