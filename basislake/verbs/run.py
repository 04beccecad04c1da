"""`run`: the whole pipeline, from the exchange to the report."""

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
from basislake.verbs.build import build_logged
from basislake.verbs.ingest import fetch_logged
from basislake.verbs.load import load_logged
from basislake.verbs.report import report_logged
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

    If a window cannot be fetched, the rest is still built, loaded and reported. If the database
    cannot be reached, the report is still written.

    Args:
        where: the lake.
        settings: of the exchange.
        selection: from the flags; the lake's scope fills in the rest.
        target: the database; None to load nothing.
        totals: called with a summary line of each step.
        is_checked: check the exchange before the first window of an empty lake.

    Raises:
        UsageError: a setting of the exchange or of the database is wrong; nothing was done.
    """
    if target is not None:
        check_access(target, where)
    fetched = fetch_logged(
        where, settings, selection, discover_first=True, totals=totals, is_checked=is_checked
    )
    built = build_logged(where, totals)
    summary: dict[str, dict[str, object]] = {
        "backfill": asdict(fetched.backfill),
        "build": asdict(built),
    }
    is_loaded = True
    if target is None:
        reported, is_reported = report_logged(where, None, totals)
    else:
        summary["load"], reported, is_reported = _loaded(where, target, totals)
        is_loaded = "error" not in summary["load"]
    if reported:
        summary["report"] = asdict(reported)
    return summary, 0 if is_complete(fetched) and is_reported and is_loaded else 1


def _loaded(
    where: Lake, target: Target, totals: Callable[[str], Any]
) -> tuple[dict[str, object], Any, bool]:
    """Load, then write the report with the database's tables, or without if the load failed."""
    try:
        with target.open(where) as uri:
            load = asdict(load_logged(where, uri, target, totals))
            loaded = Loaded(uri, target.schema, target.lock_wait_s)
            return load, *report_logged(where, loaded, totals)
    except LoadError as exc:
        say(f"Load: {exc}")
        return {"error": str(exc)}, *report_logged(where, None, totals)
