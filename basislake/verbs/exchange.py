"""`exchange`: a simulated Deribit on loopback, to rehearse against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import click
import polars as pl

from basislake.exchange.clock import Clock
from basislake.exchange.faults import FaultScript
from basislake.exchange.history import full_universe
from basislake.exchange.kinds import EFFECTS, KINDS, read_rates
from basislake.exchange.limit import MOST_CONNECTIONS, CreditLimit
from basislake.exchange.replay import RECORDED, replay_universe
from basislake.exchange.server import SimulatedExchange, serve_forever
from basislake.exchange.universe import Universe, weekly_universe
from basislake.options import Number, Time, Whole, json_option
from basislake.output import print_json, say
from lake.errors import UsageError

DEFAULT_SEED = 7
# The demo's market: its clock stands still, so that every run of it is the same.
DEFAULT_NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)
DEFAULT_WEEKS = 6
# On this day the full market has 248 expired futures of each coin.
DEFAULT_FULL_NOW = datetime(2025, 10, 31, 12, 0, 30, tzinfo=UTC)
# How far ahead contracts are made, for a clock that moves on.
AHEAD = timedelta(weeks=52)

# Twenty years of a market, and contracts for ten years ahead.
_MOST_WEEKS = 1040
_MOST_QUARTERLIES = 40
_MOST_OPEN = 10_000
_MEGABYTE = 1_000_000
_CACHE_MB = 64
_FULL_CACHE_MB = 8
_STATUSES = ("429", "400", "200")
_LAST_SECTION = "Serving"
_SECTIONS: Mapping[str, str] = {
    **dict.fromkeys(("universe", "seed", "weeks", "quarterlies", "replay"), "Market"),
    **dict.fromkeys(("now", "running", "speed"), "Clock"),
    **dict.fromkeys(("faults", "fault_seed", "delay_s"), "Faults"),
    **dict.fromkeys(("limit", "burst", "limit_status", "connections"), "Limit"),
    **dict.fromkeys(("port", "cache_mb", "as_json"), _LAST_SECTION),
}
_CONTROL = """\b
Control, on the same port of loopback, answers in JSON:
  GET  /control/counters                 Calls by method and by what came of them
  POST /control/counters                 Start them afresh
  GET  /control/clock                    The time, and how fast it runs
  POST /control/clock?advance_s=60       Move on; also now=2024-04-06T00:00Z, speed=1
  GET  /control/faults                   The faults by rate
  POST /control/faults?reset=0.1&seed=3  Set them; without a query, clear all
"""


class _Sections(click.Command):
    """A command whose help shows its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records: dict[str, list[tuple[str, str]]] = {title: [] for title in _SECTIONS.values()}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                records[_SECTIONS.get(str(param.name), _LAST_SECTION)].append(record)
        for title, of_section in records.items():
            with formatter.section(title):
                formatter.write_dl(of_section)
        for effect, meaning in EFFECTS.items():
            kinds = [(k.name, k.sentence) for k in KINDS.values() if k.effect == effect]
            with formatter.section(f"Kinds of faults ({meaning})"):
                formatter.write_dl(kinds)


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
    limit: float
    burst: float | None
    limit_status: str
    connections: int
    port: int
    cache_mb: float | None
    as_json: bool


@click.command(cls=_Sections, short_help="Serve a simulated Deribit", epilog=_CONTROL)
@click.option(
    "--universe",
    type=click.Choice(["weekly", "full"]),
    default="weekly",
    help="weekly: some weeks of a small market; full: 500 contracts and 48 M candles since 2018",
)
@click.option("--seed", type=int, default=DEFAULT_SEED, help="Of the market")
@click.option(
    "--weeks",
    type=Whole(1, _MOST_WEEKS),
    default=DEFAULT_WEEKS,
    help="Since the weekly market opened",
)
@click.option(
    "--quarterlies",
    type=Whole(1, _MOST_QUARTERLIES),
    default=1,
    help="Open at a time for each coin of the weekly market",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve the candles of this Parquet file instead",
)
@click.option(
    "--now",
    type=Time(),
    default=None,
    help="The exchange's time, which stands still  [default: 2024-04-05T12:00:30, in the full "
    "market 2025-10-31T12:00:30]",
)
@click.option("--running", is_flag=True, help="The time runs on from there")
@click.option(
    "--speed",
    type=Number(min=0, max=1e6),
    default=1.0,
    help="Seconds of the exchange in one of ours, with --running",
)
@click.option(
    "--fault",
    "faults",
    metavar="KIND=PROBABILITY",
    multiple=True,
    help="What goes wrong, and in which share of calls; repeat, or separate by commas",
)
@click.option("--fault-seed", type=int, default=0, help="Of the draws: the same faults again")
@click.option(
    "--delay", "delay_s", type=Number(min=0, max=3600), default=0.0, help="Seconds a candle call"
)
@click.option(
    "--limit",
    metavar="CALLS_PER_SECOND",
    type=Number(min=0, max=1e6),
    default=0.0,
    help="Calls a second that the credits pay for, 0 for no limit; Deribit publishes 20",
)
@click.option(
    "--burst",
    metavar="CALLS",
    type=Number(min=1, max=1e9),
    default=None,
    help="Calls of a full pool  [default: 5 seconds' worth]",
)
@click.option(
    "--limit-status",
    type=click.Choice(_STATUSES),
    default=_STATUSES[0],
    help="HTTP status of a refusal with 10028",
)
@click.option(
    "--connections",
    type=Whole(1, _MOST_OPEN),
    default=MOST_CONNECTIONS,
    help="Open at once; further ones get HTTP 429",
)
@click.option("--port", type=Whole(0, 65535), default=0, help="0 for any free one")
@click.option(
    "--cache-mb",
    type=Number(min=0, max=1e5),
    default=None,
    help="Memory for rendered pages that are asked again  [default: 64, in the full market 8]",
)
@json_option
def exchange(**options: Any) -> int:  # noqa: ANN401  (whatever click hands on)
    """Serve a simulated Deribit on loopback, and there only, until interrupted.

    It behaves as the real one does, with its traps: inclusive ends, at most 5,001 candles a call,
    flat padding after expiry, decoys in the lists. The same seed makes the same market.

    \b
    Example:
        basislake exchange --port 8600 &
        export BASISLAKE_EXCHANGE_URL=http://127.0.0.1:8600
        export BASISLAKE_HISTORY_URL=http://127.0.0.1:8600/history BASISLAKE_RATE=0
        basislake run --lake rehearsal
    \b
    A rehearsal of seven years, at the published limit and with an exchange that ails:
        basislake exchange --port 8600 --universe full --limit 20 --limit-status 200 \\
            --fault bad-gateway=0.02,reset=0.01,truncated-body=0.01,hang=0.001 \\
            --fault missing-minute=0.01 --fault lost-minute=0.001
    \b
    A market that goes on, an hour in a minute, with new listings and expiries:
        basislake exchange --port 8600 --running --speed 60
        curl -X POST 'http://127.0.0.1:8600/control/clock?advance_s=604800'
    """
    wishes = _Wishes(**options)
    universe = _universe(wishes)
    serve_forever(_server(wishes, universe), _announcer(universe, as_json=wishes.as_json))
    return 0


def market(
    seed: int,
    now: datetime,
    weeks: int,
    quarterlies: int = 1,
    *,
    until: datetime | None = None,
) -> Universe:
    """Return a market of both coins that opened some weeks before `now`.

    Args:
        seed: of the market.
        now: the exchange's clock.
        weeks: since it opened.
        quarterlies: open at a time for each coin.
        until: contracts listed by then are in it, too; by default those listed by `now`.
    """
    start = (now - timedelta(weeks=weeks)).replace(hour=8, minute=0, second=9, microsecond=0)
    return weekly_universe(seed, start, now, quarterlies=quarterlies, until=until)


def _universe(wishes: _Wishes) -> Universe:
    if wishes.replay:
        return _replayed(wishes.replay, wishes.now)
    if wishes.universe == "full":
        now = wishes.now or DEFAULT_FULL_NOW
        return full_universe(wishes.seed, now, until=now + AHEAD)
    now = wishes.now or DEFAULT_NOW
    return market(wishes.seed, now, wishes.weeks, wishes.quarterlies, until=now + AHEAD)


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
        say(f"Serving {listed} instruments; control at {ready.control_url}; Ctrl-C ends.")

    return announce
