"""`run`: from the exchange to a page, step by step."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from basislake.access import check_access
from basislake.columns import Column
from basislake.exchange_settings import ExchangeSettings
from basislake.output import print_json, say
from basislake.pipeline import is_complete
from basislake.report.beside import Loaded
from basislake.tables import paragraph, print_table
from basislake.target import Target
from basislake.verbs.build import build_told
from basislake.verbs.ingest import fetch_told
from basislake.verbs.load import load_told
from basislake.verbs.report import report_told
from ingest.selection import Selection
from lake import Lake
from lake.errors import LoadError
from lake.views.fronts import FRONT_QUARTERLY_ROLL_DAYS

# The basis now: each coin's front quarterly, as the view `front_quarterly` chooses it.
FRONTS_SQL = f"""
    SELECT coin, instrument, ts, days_to_expiry, future_close, basis_pct, annualised_pct
    FROM term_structure_latest
    WHERE term = 'quarterly' AND days_to_expiry > {FRONT_QUARTERLY_ROLL_DAYS}
    QUALIFY row_number() OVER (PARTITION BY coin ORDER BY expires_at, instrument) = 1
    ORDER BY coin
"""
_COLUMNS = (
    "coin",
    "future",
    "minute",
    Column("days left", decimals=1),
    "price",
    Column("basis %", decimals=3),
    Column("% a year", decimals=2),
)


def run(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    target: Target,
    *,
    no_load: bool,
    no_doctor: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.run`; return the exit code."""
    totals = say if as_json else paragraph
    summary, code = run_all(
        where,
        settings,
        selection,
        None if no_load else target,
        totals=totals,
        is_checked=not no_doctor,
    )
    found = where.sql(FRONTS_SQL).to_dicts()
    if as_json:
        print_json({**summary, "basis": found})
    elif found:
        click.echo()
        print_table(
            "Basis of the front quarterlies", _COLUMNS, [list(row.values()) for row in found]
        )
    return code


def run_all(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    target: Target | None,
    totals: Callable[[str], Any] = say,
    *,
    is_checked: bool = False,
) -> tuple[dict[str, dict[str, object]], int]:
    """Run every step and return their figures, by step, and the exit code.

    What failed to be fetched does not keep the rest from being built, loaded and reported, nor a
    database that is away the report.

    Args:
        where: the lake.
        settings: of the exchange.
        selection: what the flags say; the lake's scope says the rest.
        target: the database; None to load nothing.
        totals: gets a line that sums up each step.
        is_checked: check the exchange before the first window of an empty lake.

    Raises:
        UsageError: a setting of the exchange or of the database is wrong; nothing was done.
    """
    if target is not None:
        check_access(target, where)
    fetched = fetch_told(
        where, settings, selection, discover_first=True, totals=totals, is_checked=is_checked
    )
    built = build_told(where, totals)
    summary: dict[str, dict[str, object]] = {
        "backfill": asdict(fetched.backfill),
        "build": asdict(built),
    }
    is_loaded = True
    if target is None:
        reported, is_reported = report_told(where, None, totals)
    else:
        summary["load"], reported, is_reported = _loaded(where, target, totals)
        is_loaded = "error" not in summary["load"]
    if reported:
        summary["report"] = asdict(reported)
    return summary, 0 if is_complete(fetched) and is_reported and is_loaded else 1


def _loaded(
    where: Lake, target: Target, totals: Callable[[str], Any]
) -> tuple[dict[str, object], Any, bool]:
    """Load, and make the report with what the database holds then, or without it."""
    try:
        with target.open(where) as uri:
            load = asdict(load_told(where, uri, target, totals))
            loaded = Loaded(uri, target.schema, target.lock_wait_s)
            return load, *report_told(where, loaded, totals)
    except LoadError as exc:
        say(f"Load: {exc}")
        return {"error": str(exc)}, *report_told(where, None, totals)
