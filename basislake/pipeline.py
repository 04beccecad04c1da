"""The pipeline: from the exchange to a page, step by step."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from basislake.access import check_access
from basislake.curate import build_told
from basislake.exchange_settings import ExchangeSettings
from basislake.fetched import fetch_told
from basislake.fetching import is_complete
from basislake.loading import load_told
from basislake.output import duration, say, size
from basislake.report.beside import Loaded
from basislake.report.make import Made, make
from basislake.target import Target
from ingest.selection import Selection
from lake import Lake
from lake.cores import cores
from lake.errors import BasislakeError, LoadError


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


def report_told(
    where: Lake, loaded: Loaded | None, totals: Callable[[str], None] = say
) -> tuple[Made | None, bool]:
    """Make the report of a lake at its usual place, at the end of a run; `totals` gets the line
    that says where it is.

    Returns:
        What was made, None where nothing was; and whether that is as it should be. A report that
        fails is told and takes nothing from what the run did; a lake that is not on disk has no
        usual place for one.
    """
    if not where.is_local:
        say("Report: none for a lake that is not on disk; `basislake report --output FOLDER` does.")
        return None, True
    try:
        made, _ = make(where, None, datetime.now(UTC), loaded, cores())
    except (BasislakeError, OSError) as exc:
        say(f"Report: not made: {exc}. All else is safe; `basislake report` tries again.")
        return None, False
    totals(f"Report: {made.path}, {size(made.bytes)} in {duration(made.seconds)}.")
    return made, True
