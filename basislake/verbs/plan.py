"""`plan`: shows what a backfill would fetch; writes nothing."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from basislake.output.columns import Heading, Kind
from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_table
from basislake.output.units import duration, size
from basislake.pipeline.estimates import BASIS, estimate
from basislake.pipeline.fetch import knows_nothing
from basislake.settings.exchange import ExchangeSettings
from basislake.settings.named_lake import lake_flag
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.plan.planner import Planner, plan_figures
from ingest.plan.scope import as_json as scope_as_json
from ingest.plan.scope import described, scope_of, within
from ingest.plan.selection import Selection
from ingest.plan.windows import Plan
from ingest.rate_limit.remembered import Expected
from lake import Lake
from lake.counted_words import counted
from lake.tables import INSTRUMENTS

# The user waits for the answer, so fewer retries than in a run.
_MOST_RETRIES = 1
_SOURCES = {
    "given": "",
    "remembered": " (the rate of the last run)",
    "published": " (the published rate)",
}
# Perpetuals, which never expire, come first.
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def plan(
    lake: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    repair: bool,
    again: bool,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.plan`; return the exit code."""
    settings.check(lake)
    chosen = within(selection, scope_of(lake))
    plans: list[Plan] = []
    at = None
    is_unknown = knows_nothing(lake)
    if is_unknown:
        say(
            "The lake has no list of instruments yet, so there is no plan. The exchange was not "
            f"called. `{called()} instruments{lake_flag(lake)}` fetches the list."
        )
    else:
        with settings.open() as exchange:
            at = exchange.server_time(_MOST_RETRIES)
        plans = Planner(lake, chosen, at, repair=repair, again=again).plans()
    known = lake.snapshot(INSTRUMENTS).read()
    records = {row["instrument"]: row for row in known.to_dicts()}
    kinds = {name: row["kind"] for name, row in records.items()}
    candles = [plan for plan in plans if plan.subject.dataset == CANDLES.name]
    rate = settings.expected()
    figures = {
        **plan_figures(plans, rate.calls_per_second),
        **asdict(rate),
        **asdict(estimate(plans, kinds)),
    }
    rows = sorted(
        (_row(plan, records[plan.subject.name], kinds) for plan in candles),
        key=lambda row: (row["expires_at"] or _BEFORE_ALL, row["instrument"]),
    )
    if as_json:
        facts = {"at": at, "scope": scope_as_json(chosen), "estimates": BASIS}
        print_json({**figures, **facts, "instruments": rows})
    elif not is_unknown:
        _show(figures, rows, chosen, rate)
    return int(is_unknown)


def _row(plan: Plan, record: dict[str, Any], kinds: dict[str, str]) -> dict[str, Any]:
    return {
        "instrument": plan.subject.name,
        "expires_at": record["expires_at"],
        "start": plan.wanted[0].start,
        "end": plan.wanted[-1].end,
        "windows": len(plan.windows),
        "candles": plan.rows,
        "bytes": round(plan.rows * CANDLES.bytes_per_row),
        **asdict(estimate([plan], kinds)),
    }


def _show(
    figures: dict[str, Any], rows: list[dict[str, Any]], chosen: Selection, rate: Expected
) -> None:
    columns: list[str | Heading] = [
        "instrument",
        Heading("from", rank=1),
        "until",
        "calls",
        "candles",
        Heading("in the lake", Kind.SIZE),
    ]
    names = ("instrument", "start", "end", "windows", "candles", "lake_bytes")
    cells = [[row[name] for name in names] for row in rows if row["windows"]]
    if cells:
        print_table("Plan, by expiry", columns, cells)
        click.echo()
    _show_others(figures["datasets"])
    instruments = f", {counted(len(rows), 'instrument')}" if rows else ""
    paragraph(f"Scope: {described(chosen)}{instruments}.")
    if not figures["all_calls"]:
        paragraph("Nothing is left to fetch.")
        return
    seconds, calls = figures["all_seconds_at_rate"], figures["all_calls"]
    at_rate = f"{rate.calls_per_second:.3g} calls/s{_SOURCES[rate.rate_source]}"
    lasting = f", {duration(seconds)} at {at_rate}" if seconds else ""
    parts = []
    if cells:
        parts.append(
            f"at most {counted(figures['candles'], 'candle')} of "
            f"{counted(len(cells), 'instrument')}, in {counted(figures['calls'], 'call')}"
        )
    if others := calls - figures["calls"]:
        parts.append(f"carry data in {counted(others, 'call')}")
    paragraph(f"To fetch: {', and '.join(parts)}{lasting}.")
    raw = figures["bytes"] + sum(of["bytes"] for of in figures["datasets"].values())
    paragraph(
        f"Disk: about {size(figures['lake_bytes'])} more in the lake, of which "
        f"{size(raw)} are raw data; and {size(figures['database_bytes'])} in "
        "PostgreSQL (none with `run --no-load`)."
    )
    paragraph(BASIS)


def _show_others(datasets: dict[str, dict[str, int]]) -> None:
    """Print what is left to fetch of the other datasets, if anything."""
    rows = [
        [
            DATASETS[name].words,
            of["instruments"],
            of["calls"],
            f"{DATASETS[name].noun}s",
            of["rows"],
            of["bytes"],
        ]
        for name, of in datasets.items()
        if of["calls"]
    ]
    columns: list[str | Heading] = ["data", "of", "calls", "in", "rows", Heading("raw", Kind.SIZE)]
    if rows:
        print_table("Plan, of carry data", columns, rows)
        click.echo()
