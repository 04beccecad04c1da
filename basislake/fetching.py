"""Fetching, from the command line's settings: discover, then backfill; and what a plan comes to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from basislake import PROGRAM
from basislake.callers import callers
from basislake.engines import HERE, Engine
from basislake.exchange_settings import ExchangeSettings
from ingest.backfill import Backfill
from ingest.discover import Discovery, discover
from ingest.exchange import Exchange
from ingest.plans import Planner
from ingest.results import Finished, Progress, Result
from ingest.scope import scope_of, within
from ingest.selection import Selection
from lake import Lake
from lake.tables import INSTRUMENTS
from transforms.carry import CURATIONS
from transforms.rules import is_sound


@dataclass(frozen=True, slots=True)
class Fetched:
    """A discovery, where one was made, and the backfill after it."""

    discovery: Discovery | None
    backfill: Result


def fetch(  # noqa: PLR0913  (each is a wish of its own, all but the first three by keyword)
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    discover_first: bool,
    repair: bool = False,
    again: bool = False,
    engine: Engine = HERE,
    check: Callable[[Exchange, datetime], None] = lambda _exchange, _now: None,
    tell: Callable[[Discovery], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    report: Callable[[Progress], None] = lambda _: None,
    finish: Callable[[Finished], None] = lambda _: None,
) -> Fetched:
    """Backfill a selection, discovering first where asked to or where nothing is known yet.

    Args:
        where: the lake.
        settings: of the exchange.
        selection: what the flags say; the lake's scope says the rest.
        discover_first: discover even where the lake knows instruments.
        repair: ask again for what was answered without a row, or whose row the last build did not
            take.
        again: ask again for all of the selection, whatever is stored.
        engine: whose workers ask; planning, commits and all else are done here.
        check: called with the exchange and its clock before any window is asked for; what it raises
            ends the fetch.
        tell: told of the discovery, before the backfill begins.
        say: told what else a user should know.
        report: told of the backfill's progress.
        finish: called with each subject that is finished.

    Raises:
        BasislakeError: what was answered until then is saved.
    """
    with callers(engine, settings, where) as elsewhere, settings.open(where) as exchange:
        found = None
        if discover_first or knows_nothing(where):
            found = discover(exchange, where, PROGRAM)
            tell(found)
        now = exchange.server_time()
        chosen = within(selection, scope_of(where))
        planner = Planner(where, chosen, now, repair=repair, again=again)
        check(exchange, now)
        job = Backfill(
            where,
            exchange,
            planner,
            PROGRAM,
            threads=settings.threads,
            callers=elsewhere,
            sound=sound_rows(),
            report=report,
            finish=finish,
            tell=say,
        )
        return Fetched(found, job.run())


def sound_rows() -> dict[str, pl.Expr]:
    """Return by dataset whether a row breaks none of the rules that hold for it alone."""
    carry = {c.dataset: ~pl.any_horizontal(rule.broken for rule in c.errors) for c in CURATIONS}
    return {"candles": is_sound(), **carry}


def knows_nothing(where: Lake) -> bool:
    """Whether the lake has no instruments yet."""
    return where.snapshot(INSTRUMENTS).rows == 0


def instrument_counts(known: pl.DataFrame) -> dict[str, int]:
    """Count the instruments of the table `instruments`."""
    futures = known.filter(pl.col("kind") == "future").height
    return {"known": known.height, "futures": futures, "perpetuals": known.height - futures}


def is_complete(fetched: Fetched) -> bool:
    """Whether nothing failed and nothing that could be a future was refused."""
    found = fetched.discovery
    return not fetched.backfill.all_failed and (found is None or found.is_complete)
