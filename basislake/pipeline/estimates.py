"""Estimate of the disk space of rows that are still to be fetched; pure.

The bytes per row were measured (benchmarks/RESULTS.md, docs/postgres.md): in the lake after
compaction, in PostgreSQL with the key of each table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.plan.windows import Plan

# In `candles`, and in `basis`.
_CURATED_BYTES = {"perpetual": 10.0, "future": 10.0 + 15.0}
# In `perpetuals_ohlcv`; in `futures_ohlcv` and `futures_basis_spread`.
_DATABASE_BYTES = {"perpetual": 138.0, "future": 138.0 + 151.0}

_RAW_BYTES = CANDLES.bytes_per_row
# Of carry data: a curated row takes as much as its raw one; totals are not in PostgreSQL.
_CARRY_DATABASE_BYTES = {"funding": 133.0, "deliveries": 124.0, "settlements": 194.0}

BASIS = (
    f"Estimated by bytes per candle: {_RAW_BYTES:g} raw; in the lake "
    f"{_RAW_BYTES + _CURATED_BYTES['future']:.0f} for a future, "
    f"{_RAW_BYTES + _CURATED_BYTES['perpetual']:.0f} for a perpetual; in PostgreSQL, with "
    f"keys, {_DATABASE_BYTES['future']:.0f} and {_DATABASE_BYTES['perpetual']:.0f}. A row of carry "
    "data: 12 to 56, and in PostgreSQL 124 to 194."
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Disk space of the rows of some plans.

    Attributes:
        lake_bytes: raw and curated tables.
        database_bytes: tables and keys of PostgreSQL.
    """

    lake_bytes: int
    database_bytes: int


def estimate(plans: Iterable[Plan], kinds: Mapping[str, str]) -> Estimate:
    """Return the disk space of the rows of some plans, if the exchange has all of them.

    Args:
        plans: of any datasets.
        kinds: `future` or `perpetual`, by instrument.
    """
    in_lake = in_database = 0.0
    for plan in plans:
        name = plan.subject.dataset
        if name != CANDLES.name:
            in_lake += plan.rows * 2 * DATASETS[name].bytes_per_row
            in_database += plan.rows * _CARRY_DATABASE_BYTES.get(name, 0.0)
            continue
        kind = kinds[plan.subject.name]
        in_lake += plan.rows * (_RAW_BYTES + _CURATED_BYTES[kind])
        in_database += plan.rows * _DATABASE_BYTES[kind]
    return Estimate(round(in_lake), round(in_database))
