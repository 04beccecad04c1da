"""Validation of funding, its totals, delivery prices and settlements; pure, and no row is lost.

Each dataset is declared once: its raw table, its curated table, and the rules between the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lake.carry_tables import (
    DELIVERIES,
    FUNDING,
    FUNDING_TOTALS,
    RAW_DELIVERIES,
    RAW_FUNDING,
    RAW_FUNDING_TOTALS,
    RAW_SETTLEMENTS,
    REJECTED,
    SETTLEMENTS,
)
from lake.table import BATCH, Table
from lake.tables import SUPERSEDED
from transforms.rules import Rule, broken_names

# Today's cap of the eight-hour rate, by coin; older caps are unknown, so a breach is a warning.
CAPS = {"BTC": 0.005, "ETH": 0.01}
# Between eight hours' sum and `interest_8h`: recorded hours differ by up to 0.74 % of some 2e-4.
MOST_APART = 5e-5
_HOURS = 8


@dataclass(frozen=True, slots=True)
class Curation:
    """The rules that turn the raw rows of a dataset into curated rows.

    Attributes:
        dataset: its name.
        raw: the raw table.
        table: the curated table.
        errors: rules that reject a row.
        warnings: rules that count a row and keep it, evaluated on all rows of the table in order.
    """

    dataset: str
    raw: Table
    table: Table
    errors: tuple[Rule, ...]
    warnings: tuple[Rule, ...] = ()

    @property
    def subject(self) -> str:
        """The column of the instrument or index."""
        return self.table.key[0]


def _null(*names: str) -> Rule:
    return Rule(
        "null_value",
        "A value is missing, so the row is incomplete.",
        pl.any_horizontal(pl.col(*names).is_null()),
    )


def _nonpositive(*names: str) -> Rule:
    return Rule(
        "nonpositive_price",
        "A price is zero or negative, which no index or contract here can have.",
        pl.any_horizontal((pl.col(*names) <= 0).fill_null(value=False)),
    )


_coin = pl.col("instrument").str.extract(r"^([A-Z]+)")
_trailing = pl.col("interest_1h").rolling_sum(_HOURS).over("instrument")
_since = pl.col("hour_end") - pl.col("hour_end").shift(_HOURS - 1).over("instrument")

CURATIONS = (
    Curation(
        "funding",
        RAW_FUNDING,
        FUNDING,
        (_null("index_price", "interest_1h", "interest_8h"), _nonpositive("index_price")),
        (
            Rule(
                "funding_over_cap",
                "The eight-hour rate exceeds today's cap of its coin, so the rate is wrong or from "
                "a time with another cap.",
                pl.col("interest_8h").abs()
                > _coin.replace_strict(CAPS, default=max(CAPS.values())),
            ),
            Rule(
                "funding_sum",
                "The sum of eight hourly rates differs from the exchange's eight-hour rate by more "
                "than 0.5 basis points, so one of the rates is wrong.",
                (_since == pl.duration(hours=_HOURS - 1))
                & ((_trailing - pl.col("interest_8h")).abs() > MOST_APART),
            ),
        ),
    ),
    Curation("funding_totals", RAW_FUNDING_TOTALS, FUNDING_TOTALS, (_null("total"),)),
    Curation(
        "deliveries",
        RAW_DELIVERIES,
        DELIVERIES,
        (_null("delivery_price"), _nonpositive("delivery_price")),
    ),
    Curation(
        "settlements",
        RAW_SETTLEMENTS,
        SETTLEMENTS,
        (
            _null("position", "mark_price", "index_price"),
            _nonpositive("mark_price", "index_price"),
            Rule(
                "negative_position",
                "The open interest is negative, which no sum of open contracts can be.",
                (pl.col("position") < 0).fill_null(value=False),
            ),
        ),
    ),
)


def curate_rows(curation: Curation, raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split raw rows by the rules.

    Args:
        curation: of the dataset.
        raw: all rows of its raw table. Of several rows of one key the last batch counts;
            the others are superseded.

    Returns:
        Rows of the curated table, and rows of `rejected`; together as many as in `raw`.
    """
    key = list(curation.table.key)
    ordered = raw.sort(*key, BATCH)
    is_last = pl.struct(key).ne_missing(pl.struct(key).shift(-1))
    named = ordered.with_columns(
        rules=pl.when(is_last).then(broken_names(curation.errors)).otherwise(pl.lit([SUPERSEDED]))
    )
    is_sound = pl.col("rules").list.len() == 0
    sound = curation.table.cast(named.filter(is_sound))
    return sound, _rejected(curation, named.filter(~is_sound))


def warned(curation: Curation, rows: pl.DataFrame) -> Mapping[tuple[str, str], int]:
    """Return how many rows each warning rule flagged, by instrument and rule, without zeros.

    Args:
        curation: of the dataset.
        rows: of the curated table, in its order.
    """
    found: dict[tuple[str, str], int] = {}
    for rule in curation.warnings:
        names = rows.filter(rule.broken.fill_null(value=False))[curation.subject]
        counts = names.value_counts().iter_rows()
        found |= {(name, rule.name): count for name, count in counts}
    return found


def _rejected(curation: Curation, rows: pl.DataFrame) -> pl.DataFrame:
    time, cells = curation.table.key[1], [c.name for c in curation.table.columns[2:]]
    return REJECTED.cast(
        rows.select(
            pl.lit(curation.dataset).alias("dataset"),
            pl.col(curation.subject).alias("instrument"),
            pl.col(time).cast(REJECTED.polars_schema["ts"]).alias("ts"),
            "rules",
            pl.struct(cells).struct.json_encode().alias("row"),
        )
    )
