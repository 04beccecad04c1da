"""`exchange`: a simulated Deribit on loopback, to rehearse against."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import click
import polars as pl

from basislake.defaults import NOW
from basislake.exchange.clock import Clock
from basislake.exchange.departures import DEPARTURES, depart
from basislake.exchange.faults import FaultScript
from basislake.exchange.history import full_universe
from basislake.exchange.kinds import read_rates
from basislake.exchange.limit import CreditLimit
from basislake.exchange.replay import RECORDED, replay_universe
from basislake.exchange.server import SimulatedExchange, serve_forever
from basislake.exchange.universe import Universe, recent_universe
from basislake.output import print_json, say
from lake.counts import counted
from lake.errors import UsageError

# On this day the full market has 248 expired futures of each coin.
DEFAULT_FULL_NOW = datetime(2025, 10, 31, 12, 0, 30, tzinfo=UTC)
# How far ahead contracts are made, for a clock that moves on.
AHEAD = timedelta(weeks=52)

_MEGABYTE = 1_000_000
_CACHE_MB = 64
_FULL_CACHE_MB = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
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


def exchange(**options: Any) -> int:  # noqa: ANN401  (whatever click hands on)
    """See `basislake.commands.exchange`; return the exit code."""
    wishes = _Wishes(**options)
    universe = _universe(wishes)
    serve_forever(_server(wishes, universe), _announcer(universe, as_json=wishes.as_json))
    return 0


def _universe(wishes: _Wishes) -> Universe:
    if wishes.replay:
        return _replayed(wishes.replay, wishes.now)
    if wishes.universe == "full":
        now = wishes.now or DEFAULT_FULL_NOW
        return full_universe(wishes.seed, now, until=now + AHEAD)
    now = wishes.now or NOW
    return recent_universe(wishes.seed, now, wishes.weeks, wishes.quarterlies, until=now + AHEAD)


def _replayed(path: Path, now: datetime | None) -> Universe:
    try:
        return replay_universe(path, now)
    except (pl.exceptions.PolarsError, ValueError) as exc:
        why = str(exc).partition("\n")[0].rstrip(".")
        raise UsageError(
            f"--replay: {path} cannot be served: {why}. It should be a Parquet file of candles, "
            f"with the columns {', '.join(RECORDED)}."
        ) from exc


def _server(wishes: _Wishes, universe: Universe) -> SimulatedExchange:
    try:
        faults = FaultScript.at_rates(read_rates(wishes.faults), wishes.fault_seed)
    except ValueError as exc:
        raise UsageError(f"--fault: {exc}.") from exc
    for name in wishes.departures:
        if name not in DEPARTURES:
            known = ", ".join(DEPARTURES)
            raise UsageError(f"--departure: there is no {name!r}; there are {known}.")
        depart(faults, universe, name)
    try:
        return SimulatedExchange(
            universe,
            clock=Clock(universe.now_ms, speed=wishes.speed if wishes.running else 0.0),
            faults=faults,
            limit=_limit(wishes),
            most_connections=wishes.connections,
            port=wishes.port,
            delay_s=wishes.delay_s,
            cache_bytes=_cache_bytes(wishes),
        )
    except OSError as exc:
        raise UsageError(
            f"Port {wishes.port} cannot be had: {exc.strerror}. Use --port 0."
        ) from exc


def _cache_bytes(wishes: _Wishes) -> int:
    """A small cache for the full market: it would not hold what is asked again there."""
    default_mb = _FULL_CACHE_MB if wishes.universe == "full" else _CACHE_MB
    return int(_MEGABYTE * (default_mb if wishes.cache_mb is None else wishes.cache_mb))


def _limit(wishes: _Wishes) -> CreditLimit | None:
    if wishes.limit:
        status = int(wishes.limit_status)
        return CreditLimit.per_second(wishes.limit, burst=wishes.burst, status=status)
    if wishes.burst is not None:
        raise UsageError("--burst is of a limit; give --limit CALLS_PER_SECOND, too.")
    return None


def _announcer(universe: Universe, *, as_json: bool) -> Callable[[SimulatedExchange], None]:
    def announce(ready: SimulatedExchange) -> None:
        listed = sum(one.is_listed(ready.now_ms) for one in universe.contracts.values())
        urls = {"exchange_url": ready.www_url, "history_url": ready.history_url}
        if as_json:
            print_json({**urls, "control_url": ready.control_url, "instruments": listed})
            return
        click.echo(f"BASISLAKE_EXCHANGE_URL={ready.www_url}")
        click.echo(f"BASISLAKE_HISTORY_URL={ready.history_url}")
        say(
            f"Serving {counted(listed, 'instrument')}; control at {ready.control_url}; Ctrl-C ends."
        )

    return announce
