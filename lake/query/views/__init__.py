"""The derived views of the lake, each declared once: meaning, formula, source, columns, SQL.

`lake.query.duck` creates them next to the tables' views; `docs.write` writes docs/views.md from
them.
"""

from lake.errors import LakeError
from lake.query.views import (
    carry,
    completeness,
    continuous,
    curves,
    daily,
    fronts,
    funding,
    maturities,
    open_interest,
    premium,
    proofs,
    realised,
    rollups,
    spreads,
)
from lake.query.views.declaration import Parameter, View
from lake.tables import TABLES

__all__ = ["VIEWS", "Parameter", "View", "plain_view"]

# A view comes after the views that its SQL reads.
_MODULES = (
    *(completeness, premium, curves, maturities, continuous, fronts, rollups, proofs),
    *(funding, carry, realised, spreads, open_interest, daily),
)
VIEWS = tuple(
    found for module in _MODULES for found in vars(module).values() if isinstance(found, View)
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
