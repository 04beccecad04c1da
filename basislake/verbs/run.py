"""`run`: from the exchange to a page, step by step."""

from dataclasses import asdict

from basislake.access import check_access
from basislake.exchange_settings import ExchangeSettings
from basislake.output import print_json, say
from basislake.pipeline import is_complete
from basislake.report.beside import Loaded
from basislake.tables import print_figures
from basislake.target import Target
from basislake.verbs.build import build_told
from basislake.verbs.ingest import fetch_told
from basislake.verbs.load import load_told
from basislake.verbs.report import report_told
from ingest.selection import Selection
from lake import Lake
from lake.errors import LoadError


def run(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """See `basislake.commands.run`; return the exit code."""
    summary, code = run_all(where, settings, selection, target)
    if as_json:
        print_json(summary)
    else:
        for name in ("backfill", "build", "load"):
            print_figures(name.capitalize(), summary[name])
    return code


def run_all(
    where: Lake, settings: ExchangeSettings, selection: Selection, target: Target
) -> tuple[dict[str, dict[str, object]], int]:
    """Run every step and return their figures, by step, and the exit code.

    What failed to be fetched does not keep the rest from being built, loaded and reported, nor a
    database that is away the report.

    Raises:
        UsageError: a setting of the exchange or of the database is wrong; nothing was done.
    """
    check_access(target, where)
    fetched = fetch_told(where, settings, selection, discover_first=True)
    built = build_told(where)
    summary: dict[str, dict[str, object]] = {
        "backfill": asdict(fetched.backfill),
        "build": asdict(built),
    }
    try:
        with target.open(where) as uri:
            summary["load"] = asdict(load_told(where, uri, target))
            reported, is_reported = report_told(
                where, Loaded(uri, target.schema, target.lock_wait_s)
            )
    except LoadError as exc:
        say(f"Load: {exc}")
        summary["load"] = {"error": str(exc)}
        reported, is_reported = report_told(where, None)
    if reported:
        summary["report"] = asdict(reported)
    is_whole = is_complete(fetched) and is_reported and "error" not in summary["load"]
    return summary, 0 if is_whole else 1
