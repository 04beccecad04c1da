"""What a fetch knows and returns: the lake's instruments, the rules for a row, and the results."""

from dataclasses import dataclass

import polars as pl

from ingest.backfill.results import Result
from ingest.discover import Discovery
from lake import Lake
from lake.tables import INSTRUMENTS
from transforms.carry_validation import CURATIONS
from transforms.rules import is_sound


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """A discovery, if there was one, and the backfill after it."""

    discovery: Discovery | None
    backfill: Result


def sound_rows() -> dict[str, pl.Expr]:
    """Return by dataset an expression: whether a row breaks no rule that needs only that row."""
    carry = {c.dataset: ~pl.any_horizontal(rule.broken for rule in c.errors) for c in CURATIONS}
    return {"candles": is_sound(), **carry}


def knows_nothing(lake: Lake) -> bool:
    """Whether the lake has no instruments yet."""
    return lake.snapshot(INSTRUMENTS).rows == 0


def instrument_counts(known: pl.DataFrame) -> dict[str, int]:
    """Count the instruments of the table `instruments`."""
    futures = known.filter(pl.col("kind") == "future").height
    return {"known": known.height, "futures": futures, "perpetuals": known.height - futures}


def is_complete(fetched: FetchSummary) -> bool:
    """Whether nothing failed and nothing that could be a future was refused."""
    found = fetched.discovery
    return not fetched.backfill.all_failed and (found is None or found.is_complete)
