"""Fetching with the command line's settings: discover, then backfill."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from basislake import PROGRAM
from basislake.pipeline.engine_workers import callers
from basislake.pipeline.engines import HERE, Engine
from basislake.settings.exchange import ExchangeSettings
from ingest.backfill.backfill import Backfill
from ingest.backfill.fetch_workers import threads_here
from ingest.backfill.results import FetchProgress, Finished, Result
from ingest.deribit.client import Exchange
from ingest.discover import Discovery, discover
from ingest.plan.planner import Planner
from ingest.plan.scope import scope_of, within
from ingest.plan.selection import Selection
from lake import Lake
from lake.tables import INSTRUMENTS
from transforms.carry_validation import CURATIONS
from transforms.rules import is_sound


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """A discovery, if there was one, and the backfill after it."""

    discovery: Discovery | None
    backfill: Result


def fetch(  # noqa: PLR0913  (independent settings, all but the first three by keyword)
    lake: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    discover_first: bool,
    repair: bool = False,
    again: bool = False,
    engine: Engine = HERE,
    check: Callable[[Exchange, datetime], None] = lambda _exchange, _now: None,
    discovered: Callable[[Discovery], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    report: Callable[[FetchProgress], None] = lambda _: None,
    finish: Callable[[Finished], None] = lambda _: None,
) -> FetchSummary:
    """Backfill a selection; discover first if asked to, or if the lake has no instruments yet.

    Args:
        lake: to fetch into.
        settings: of the exchange.
        selection: from the flags; the lake's scope fills in the rest.
        discover_first: discover even if the lake has instruments.
        repair: ask again for steps that were answered without a row, or whose row the last build
            rejected.
        again: ask again for the whole selection, stored or not.
        engine: whose workers make the calls; everything else happens in this process.
        check: called with the exchange and its clock before the first window; an error that it
            raises ends the fetch.
        discovered: called with the discovery, before the backfill begins.
        say: called with other messages for the user.
        report: called with the backfill's progress.
        finish: called with each finished subject.

    Raises:
        BasislakeError: a step failed; earlier answers are saved.
    """
    with callers(engine, settings, lake) as elsewhere, settings.open(lake) as exchange:
        found = None
        if discover_first or knows_nothing(lake):
            found = discover(exchange, lake, PROGRAM)
            discovered(found)
        now = exchange.server_time()
        chosen = within(selection, scope_of(lake))
        planner = Planner(lake, chosen, now, repair=repair, again=again)
        check(exchange, now)
        job = Backfill(
            lake,
            exchange,
            planner,
            elsewhere or threads_here(exchange, settings.threads),
            PROGRAM,
            sound=sound_rows(),
            report=report,
            finish=finish,
            tell=say,
        )
        return FetchSummary(found, job.run())


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
