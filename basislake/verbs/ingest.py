"""`instruments`, `plan` and `backfill`: from the exchange to the raw tables."""

from dataclasses import asdict

import polars as pl

from basislake import PROGRAM
from basislake.columns import Column, Kind
from basislake.engines import HERE, Engine
from basislake.exchange_settings import ExchangeSettings
from basislake.output import Progress as ProgressLine
from basislake.output import counted, duration, print_json, say, size
from basislake.pipeline import (
    Fetched,
    fetch,
    instrument_counts,
    is_complete,
    knows_nothing,
    plan_totals,
)
from basislake.settings import check_exists
from basislake.tables import paragraph, print_table
from ingest.discover import Discovery, discover
from ingest.plans import make_plans
from ingest.results import Progress, Result
from ingest.selection import Selection, choose
from lake import Lake
from lake.tables import INSTRUMENTS

_SIZE = Column("size", Kind.SIZE)
# What of a record is listed, and how.
_LISTED = {
    "instrument": Column("instrument"),
    "kind": Column("kind", rank=2),
    "listed_at": Column("listed"),
    "expires_at": Column("expires"),
    "tick_size": Column("tick size", rank=1),
    "contract_size": Column("contract size", rank=1),
    "active": Column("active"),
}


def instruments(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    offline: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.instruments`; return the exit code."""
    if offline:
        check_exists(where)
        found = Discovery(where.read(INSTRUMENTS))
    else:
        with settings.open(where) as exchange:
            found = discover(exchange, where, PROGRAM)
        tell_discovery(found)
    chosen = _listed(found.known, selection)
    if as_json:
        print_json(
            {
                **instrument_counts(found.known),
                "new": found.new,
                "left_out": found.left_out,
                "refused": [asdict(refused) for refused in found.refused],
                "failed": found.failed,
                "instruments": chosen.to_dicts(),
            }
        )
    else:
        print_table("Instruments", list(_LISTED.values()), chosen.select(*_LISTED).rows())
    return 0 if found.is_complete else 1


def _listed(known: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """The chosen instruments whose life meets the chosen minutes."""
    if selection.currencies or selection.names:
        known = choose(known, selection).drop("is_companion")
    if selection.span is None:
        return known
    is_open = pl.col("expires_at").is_null() | (pl.col("expires_at") > selection.span.start)
    return known.filter(pl.col("listed_at") < selection.span.end, is_open)


def plan(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    repair: bool,
    again: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.plan`; return the exit code."""
    settings.check(where)
    is_unknown = knows_nothing(where)
    if is_unknown:
        say("The lake knows no instruments yet; `basislake instruments` fetches them.")
    with settings.open() as exchange:
        now = exchange.server_time()
    plans = make_plans(where, selection, now, repair=repair, again=again)
    totals = plan_totals(plans, settings.rate)
    if as_json:
        print_json(totals)
        return int(is_unknown)
    shown = ("instrument", "start", "end", "windows", "candles", "bytes")
    rows = [[row[name] for name in shown] for row in totals["instruments"] if row["windows"]]
    print_table("Plan", ["instrument", "start", "end", "calls", "candles", _SIZE], rows)
    seconds = totals["seconds_at_rate"]
    lasting = f", {duration(seconds)} at {settings.rate:g} calls/s" if seconds else ""
    paragraph(
        f"{counted(totals['calls'], 'call')} for at most {counted(totals['candles'], 'candle')} of "
        f"{counted(len(rows), 'instrument')}, {size(totals['bytes'])}{lasting}"
    )
    return int(is_unknown)


def backfill(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    repair: bool,
    again: bool,
    engine: Engine,
    as_json: bool,
) -> int:
    """See `basislake.commands.backfill`; return the exit code."""
    fetched = fetch_told(
        where,
        settings,
        selection,
        discover_first=False,
        repair=repair,
        again=again,
        engine=engine,
    )
    if as_json:
        print_json(fetched.backfill)
    else:
        show_backfill(fetched.backfill)
    return 0 if is_complete(fetched) else 1


def fetch_told(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    discover_first: bool,
    repair: bool = False,
    again: bool = False,
    engine: Engine = HERE,
) -> Fetched:
    """Fetch, with progress on stderr."""
    line = ProgressLine("calls")

    def report(progress: Progress) -> None:
        note = f"{counted(progress.candles, 'candle')}, {progress.instrument}"
        line(progress.done, progress.total, note)

    fetched = fetch(
        where,
        settings,
        selection,
        discover_first=discover_first,
        repair=repair,
        again=again,
        engine=engine,
        tell=tell_discovery,
        say=say,
        report=report,
    )
    tell_backfill(fetched.backfill)
    return fetched


def tell_discovery(found: Discovery) -> None:
    """Say on stderr what a discovery found, and name what it could not read."""
    counts = instrument_counts(found.known)
    left_out = sum(found.left_out.values())
    say(
        f"Known: {counted(counts['futures'], 'dated future')} and "
        f"{counted(counts['perpetuals'], 'perpetual')}, {len(found.new)} new; "
        f"{counted(left_out, 'other record')} left out."
    )
    for name in found.changed:
        say(f"Changed: the exchange now gives another life for {name}.")
    for refused in found.refused:
        label = "Refused" if refused.could_be_dated else "Warning: refused"
        say(f"{label}: record {refused.name}: {refused.reason}.")
    for failed in found.failed:
        say(f"Failed: {failed} What was known of it is kept; run the command again.")


def tell_backfill(result: Result) -> None:
    """Say on stderr the totals of a backfill, and name what failed or is empty."""
    say(
        f"Backfill: {result.complete} of {counted(result.instruments, 'instrument')} complete, "
        f"{counted(result.candles_written, 'candle')} written by {counted(result.calls, 'call')} "
        f"({counted(result.retries, 'retry', 'retries')}) in {duration(result.seconds)}."
    )
    if result.replaced:
        say(
            f"Replaced: {counted(result.replaced, 'stored candle')} by what the exchange now sends. "
            "Earlier versions keep the old ones; the next build takes up the new ones."
        )
    if result.differing:
        say(
            f"Warning: {counted(result.differing, 'candle')} came again with other values; the "
            "stored ones stand. `basislake backfill --again` replaces them, where the new ones are "
            "sound."
        )
    for failure in result.failed:
        say(f"Failed: {failure.instrument}: {failure.reason}")
    if result.failed:
        say("What was answered is saved; the same command asks for the rest.")
    for name, minutes in result.missing.items():
        lacking = counted(minutes, "minute")
        say(f"Missing: {lacking} of {name} after its first candle; asked for twice.")
    if result.log:
        say(f"A line for each instrument: {result.log}")
    if result.empty:
        say(f"Empty: no candle yet in the life of {', '.join(result.empty)}.")


def show_backfill(result: Result) -> None:
    """Print on stdout what was planned and what came of it."""
    plan = result.plan
    rows = [
        ["instruments", result.instruments, result.complete],
        ["calls", plan["calls"], result.calls],
        ["candles", plan["candles"], result.candles_written],
        ["bytes", size(plan["bytes"]), size(result.bytes_written)],
        ["time at the rate", _lasting(plan["seconds_at_rate"]), _lasting(result.seconds)],
        ["empty instruments", None, len(result.empty)],
        ["failed instruments", None, len(result.failed)],
        ["missing minutes", None, sum(result.missing.values())],
        ["replaced candles", None, result.replaced],
        ["retries", None, result.retries],
        ["throttled", None, result.throttled],
    ]
    print_table("Backfill", ["figure", "planned", "actual"], rows)


def _lasting(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)
