"""`exchange`: a simulated Deribit on loopback, to rehearse against."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from basislake.exchange.replay import replay_universe
from basislake.exchange.server import SimulatedExchange, serve_forever
from basislake.exchange.universe import Universe, weekly_universe
from basislake.output import print_json, say
from basislake.settings import Time, json_option
from lake.errors import UsageError

DEFAULT_SEED = 7
# The demo's market: its clock stands still, so that every run of it is the same.
DEFAULT_NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)
DEFAULT_WEEKS = 6


@click.command(short_help="Serve a simulated Deribit")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 for any free one")
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True, help="Of the market")
@click.option("--now", type=Time(), default=None, help="The exchange's clock, which stands still")
@click.option(
    "--weeks",
    type=click.IntRange(min=1),
    default=DEFAULT_WEEKS,
    show_default=True,
    help="Since the exchange opened",
)
@click.option(
    "--quarterlies", type=click.IntRange(min=1), default=1, help="Open at a time for each coin"
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve the candles of this Parquet file instead",
)
@click.option(
    "--delay", "delay_s", type=click.FloatRange(min=0), default=0.0, help="Seconds a candle call"
)
@json_option
def exchange(
    port: int,
    seed: int,
    now: datetime | None,
    weeks: int,
    quarterlies: int,
    replay: Path | None,
    delay_s: float,
    *,
    as_json: bool,
) -> int:
    """Serve a simulated Deribit on loopback until interrupted.

    It behaves as the real one does, with its traps: inclusive ends, at most 5,001 candles a call,
    flat padding after expiry, decoys in the lists. The same seed makes the same market.

    \b
    Example:
        basislake exchange --port 8600 &
        export BASISLAKE_EXCHANGE_URL=http://127.0.0.1:8600
        export BASISLAKE_HISTORY_URL=http://127.0.0.1:8600/history BASISLAKE_RATE=0
        basislake run --lake rehearsal
    """
    universe = (
        replay_universe(replay, now)
        if replay
        else market(seed, now or DEFAULT_NOW, weeks, quarterlies)
    )
    try:
        server = SimulatedExchange(universe, port=port, delay_s=delay_s)
    except OSError as exc:
        raise UsageError(f"Port {port} cannot be had: {exc.strerror}. Use --port 0.") from exc

    def announce(ready: SimulatedExchange) -> None:
        if as_json:
            urls = {"exchange_url": ready.www_url, "history_url": ready.history_url}
            print_json({**urls, "instruments": len(universe.contracts)})
            return
        click.echo(f"BASISLAKE_EXCHANGE_URL={ready.www_url}")
        click.echo(f"BASISLAKE_HISTORY_URL={ready.history_url}")
        say(f"Serving {len(universe.contracts)} instruments; Ctrl-C ends.")

    serve_forever(server, announce)
    return 0


def market(seed: int, now: datetime, weeks: int, quarterlies: int = 1) -> Universe:
    """Return a market of both coins that opened some weeks before `now`."""
    start = (now - timedelta(weeks=weeks)).replace(hour=8, minute=0, second=9, microsecond=0)
    return weekly_universe(seed, start, now, quarterlies=quarterlies)
