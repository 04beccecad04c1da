"""The whole pipeline, from the exchange to the report."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from basislake.output.screen import say
from basislake.output.units import duration, size
from basislake.pipeline.build import build_logged
from basislake.pipeline.database_access import check_access
from basislake.pipeline.fetch import fetch_logged, is_complete
from basislake.pipeline.load import load_logged
from basislake.report.make import Report, make
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from ingest.plan.selection import Selection
from lake import Lake
from lake.errors import BasislakeError, LoadError
from lake.machine.cores import cores


def run_all(
    lake: Lake,
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
        lake: to fetch into.
        settings: of the exchange.
        selection: from the flags; the lake's scope fills in the rest.
        target: the database; None to load nothing.
        totals: called with a summary line of each step.
        is_checked: check the exchange before the first window of an empty lake.

    Raises:
        UsageError: a setting of the exchange or of the database is wrong; nothing was done.
    """
    if target is not None:
        check_access(target, lake)
    fetched = fetch_logged(
        lake, settings, selection, discover_first=True, totals=totals, is_checked=is_checked
    )
    built = build_logged(lake, totals)
    summary: dict[str, dict[str, object]] = {
        "backfill": asdict(fetched.backfill),
        "build": asdict(built),
    }
    is_loaded = True
    if target is None:
        reported, is_reported = report_logged(lake, None, totals)
    else:
        summary["load"], reported, is_reported = _loaded(lake, target, totals)
        is_loaded = "error" not in summary["load"]
    if reported:
        summary["report"] = asdict(reported)
    return summary, 0 if is_complete(fetched) and is_reported and is_loaded else 1


def _loaded(
    lake: Lake, target: Target, totals: Callable[[str], Any]
) -> tuple[dict[str, object], Any, bool]:
    """Load, then write the report with the database's tables, or without if the load failed."""
    try:
        with target.open(lake) as uri:
            load = asdict(load_logged(lake, uri, target, totals))
            return load, *report_logged(lake, replace(target, postgres=uri), totals)
    except LoadError as exc:
        say(f"Load: {exc}")
        return {"error": str(exc)}, *report_logged(lake, None, totals)


def report_logged(
    lake: Lake, loaded: Target | None, totals: Callable[[str], None] = say
) -> tuple[Report | None, bool]:
    """Write the report into the lake's folder, at the end of a run; `totals` gets its path.

    Returns:
        The report, or None; and whether that is right. A failed report is logged, and the results
        of the run stay; a lake in an object store gets no report.
    """
    if not lake.is_local:
        say("Report: skipped, as the lake is not on disk. Run `basislake report --output FOLDER`.")
        return None, True
    try:
        made, _ = make(lake, None, datetime.now(UTC), loaded, cores())
    except (BasislakeError, OSError) as exc:
        say(f"Report: not written: {exc}. Everything else is safe; retry by `basislake report`.")
        return None, False
    totals(f"Report: {made.path}, {size(made.bytes)} in {duration(made.seconds)}.")
    return made, True
