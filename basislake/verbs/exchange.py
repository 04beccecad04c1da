"""`exchange`: serves a simulated Deribit on loopback, for tests and rehearsals."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import polars as pl

from basislake.cli.defaults import NOW
from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.simulator.clock import Clock
from basislake.simulator.departures import DEPARTURES, depart
from basislake.simulator.faults import FaultScript
from basislake.simulator.full_market import full_universe
from basislake.simulator.limit import CreditLimit
from basislake.simulator.named_faults import read_rates
from basislake.simulator.replay import RECORDED, replay_universe
from basislake.simulator.server import SimulatedExchange, serve_forever
from basislake.simulator.universe import Universe, recent_universe
from lake.counted_words import counted
from lake.errors import UsageError

# On this day the full market has 248 expired futures of each coin.
DEFAULT_FULL_NOW = datetime(2025, 10, 31, 12, 0, 30, tzinfo=UTC)
# How far ahead contracts exist, for a running clock.
AHEAD = timedelta(weeks=52)

_MEGABYTE = 1_000_000
_CACHE_MB = 64
_FULL_CACHE_MB = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options as given."""

    universe: Literal["weekly", "full"]
    seed: int
    weeks: int
    quarterlies: int
    replay: Path | None
    now: datetime | None
    running: bool
    speed: float
    faults: tuple[str, ...]
    fault_seed: int
    delay_s: float
    departures: tuple[str, ...]
    limit: float
    burst: float | None
    limit_status: str
    connections: int
    port: int
    cache_mb: float | None
    as_json: bool


def exchange(**given: Any) -> int:  # noqa: ANN401  (the values of click's options)
    """See `basislake.cli.commands.exchange`; return the exit code."""
    options = _Options(**given)
    universe = _universe(options)
    announce = partial(_announce, universe, as_json=options.as_json)
    serve_forever(_server(options, universe), announce)
    return 0


def _universe(options: _Options) -> Universe:
    if options.replay:
        return _replayed(options.replay, options.now)
    if options.universe == "full":
        now = options.now or DEFAULT_FULL_NOW
        return full_universe(options.seed, now, until=now + AHEAD)
    now = options.now or NOW
    return recent_universe(options.seed, now, options.weeks, options.quarterlies, until=now + AHEAD)


def _replayed(path: Path, now: datetime | None) -> Universe:
    try:
        return replay_universe(path, now)
    except (pl.exceptions.PolarsError, ValueError) as exc:
        why = str(exc).partition("\n")[0].rstrip(".")
        raise UsageError(
            f"--replay: {path} cannot be served: {why}. It must be a Parquet file of candles with "
            f"the columns {', '.join(RECORDED)}."
        ) from exc


def _server(options: _Options, universe: Universe) -> SimulatedExchange:
    try:
        faults = FaultScript.at_rates(read_rates(options.faults), options.fault_seed)
    except ValueError as exc:
        raise UsageError(f"--fault: {exc}.") from exc
    for name in options.departures:
        if name not in DEPARTURES:
            known = ", ".join(DEPARTURES)
            raise UsageError(f"--departure: there is no {name!r}; there are {known}.")
        depart(faults, universe, name)
    try:
        return SimulatedExchange(
            universe,
            clock=Clock(universe.now_ms, speed=options.speed if options.running else 0.0),
            faults=faults,
            limit=_limit(options),
            most_connections=options.connections,
            port=options.port,
            delay_s=options.delay_s,
            cache_bytes=_cache_bytes(options),
        )
    except OSError as exc:
        raise UsageError(
            f"Port {options.port} cannot be used: {exc.strerror}. Use --port 0 for a free one."
        ) from exc


def _cache_bytes(options: _Options) -> int:
    """A small cache for the full market, where a cache of any size would rarely be hit."""
    default_mb = _FULL_CACHE_MB if options.universe == "full" else _CACHE_MB
    return int(_MEGABYTE * (default_mb if options.cache_mb is None else options.cache_mb))


def _limit(options: _Options) -> CreditLimit | None:
    if options.limit:
        status = int(options.limit_status)
        return CreditLimit.per_second(options.limit, burst=options.burst, status=status)
    if options.burst is not None:
        raise UsageError("--burst needs a limit: also give --limit CALLS_PER_SECOND.")
    return None


def _announce(universe: Universe, ready: SimulatedExchange, *, as_json: bool) -> None:
    listed = sum(one.is_listed(ready.now_ms) for one in universe.contracts.values())
    urls = {"exchange_url": ready.www_url, "history_url": ready.history_url}
    if as_json:
        print_json({**urls, "control_url": ready.control_url, "instruments": listed})
        return
    click.echo(f"BASISLAKE_EXCHANGE_URL={ready.www_url}")
    click.echo(f"BASISLAKE_HISTORY_URL={ready.history_url}")
    say(f"Serving {counted(listed, 'instrument')}; control at {ready.control_url}; Ctrl-C ends.")
