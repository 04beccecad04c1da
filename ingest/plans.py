"""Plans: what the lake still needs of a selection; nothing is called or changed."""

from datetime import datetime

import polars as pl

from ingest.coverage import Coverage, from_table
from ingest.replies import closed_until
from ingest.selection import Selection, choose
from ingest.windows import InstrumentPlan, life, plan_instrument
from lake import Lake
from lake.spans import Span, clip
from lake.tables import COVERAGE, INSTRUMENTS


def make_plans(
    lake: Lake, selection: Selection, now: datetime, *, repair: bool = False
) -> list[InstrumentPlan]:
    """Plan what the lake still needs of the selected instruments; the lake is read and not changed.

    Args:
        lake: whose `instruments` and `coverage` are read.
        selection: of instruments and minutes.
        now: the exchange's clock.
        repair: ask again about minutes that were answered without a candle, too.
    """
    covered = coverages(lake)
    chosen = choose(lake.read(INSTRUMENTS), selection)
    plans = []
    for name, wanted in wanted_minutes(chosen, closed_until(now)).items():
        coverage = covered.get(name, Coverage())
        held = coverage.present if repair else coverage.held()
        plans.append(plan_instrument(name, wanted, held, selection.span))
    return plans


def wanted_minutes(chosen: pl.DataFrame, until: datetime) -> dict[str, list[Span]]:
    """Return the minutes to be held of each chosen instrument; pure.

    Its life; of a perpetual that comes only for its futures' sake, the lives of those.

    Args:
        chosen: see `ingest.selection.choose`.
        until: end of the last closed minute, exclusive.
    """
    rows = chosen.rows(named=True)
    lives = {row["instrument"]: life(row["listed_at"], row["expires_at"], until) for row in rows}
    wanted = {}
    for row in rows:
        name = row["instrument"]
        own = [name]
        if row["is_companion"]:
            own = [r["instrument"] for r in rows if r["base"] == row["base"] and r is not row]
        wanted[name] = [clip(lives[other], lives[name]) for other in own]
    return wanted


def coverages(lake: Lake) -> dict[str, Coverage]:
    """Read the `coverage` table, by instrument."""
    rows = lake.read(COVERAGE)
    return {str(name): from_table(group) for (name,), group in rows.group_by("instrument")}
