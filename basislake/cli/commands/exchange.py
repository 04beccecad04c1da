"""The command `exchange`."""

from collections.abc import Mapping
from pathlib import Path

import click

from basislake.cli import defaults
from basislake.cli.options import json_option, verb
from basislake.cli.parameter_types import Number, Time, Whole
from basislake.simulator.limit import MOST_CONNECTIONS

# Twenty years of a market, and contracts for ten years ahead.
_MOST_WEEKS = 1040
_MOST_QUARTERLIES = 40
_MOST_OPEN = 10_000
_STATUSES = ("429", "400", "200")
_LAST_SECTION = "Serving"
_SECTIONS: Mapping[str, str] = {
    **dict.fromkeys(("universe", "seed", "weeks", "quarterlies", "replay"), "Market"),
    **dict.fromkeys(("now", "running", "speed"), "Clock"),
    **dict.fromkeys(("faults", "fault_seed", "delay_s", "departures"), "Faults"),
    **dict.fromkeys(("limit", "burst", "limit_status", "connections"), "Limit"),
    **dict.fromkeys(("port", "cache_mb", "as_json"), _LAST_SECTION),
}
_CONTROL = """\b
Control requests, on the same port, with answers in JSON:
  GET  /control/counters                 Number of calls by method and outcome
  POST /control/counters                 Reset the counters to 0
  GET  /control/clock                    Time and speed of the clock
  POST /control/clock?advance_s=60       Advance the clock by 60 s
  POST /control/clock?now=2024-04-06T00:00Z&speed=1  Set time and speed
  GET  /control/faults                   Probabilities of the faults
  POST /control/faults?reset=0.1&seed=3  Set fault probabilities; without parameters,
                                         clear all faults
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
        from basislake.simulator.departures import DEPARTURES
        from basislake.simulator.named_faults import EFFECTS, KINDS

        for effect, meaning in EFFECTS.items():
            kinds = [(k.name, k.sentence) for k in KINDS.values() if k.effect == effect]
            with formatter.section(f"Kinds of faults ({meaning})"):
                formatter.write_dl(kinds)
        with formatter.section("Departures (permanent changes that break what clients rely on)"):
            formatter.write_dl([(each.name, each.sentence) for each in DEPARTURES.values()])


@click.command(cls=_Sections, epilog=_CONTROL)
@click.option(
    "--universe",
    type=click.Choice(["weekly", "full"]),
    default="weekly",
    help="weekly: some weeks of a small market; full: 500 contracts and 48 M candles since 2018",
)
@click.option("--seed", type=int, default=defaults.SEED, help="Seed of the market's prices")
@click.option(
    "--weeks",
    type=Whole(1, _MOST_WEEKS),
    default=defaults.WEEKS,
    help="Age of the weekly market in weeks",
)
@click.option(
    "--quarterlies",
    type=Whole(1, _MOST_QUARTERLIES),
    default=1,
    help="Quarterlies of each coin that are open at once, in the weekly market",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve the candles of this Parquet file instead",
)
@click.option(
    "--now",
    type=Time(),
    help="Time of the exchange's clock, which is stopped  [default: 2024-04-05T12:00:30, in the "
    "full market 2025-10-31T12:00:30]",
)
@click.option("--running", is_flag=True, help="Let the clock run from that time on")
@click.option(
    "--speed",
    type=Number(min=0, max=1e6),
    default=1.0,
    help="Exchange seconds per real second, with --running",
)
@click.option(
    "--fault",
    "faults",
    metavar="KIND=PROBABILITY",
    multiple=True,
    help="What goes wrong, and in which share of calls; repeat, or separate with commas",
)
@click.option(
    "--fault-seed", type=int, default=0, help="Seed of the faults; the same seed repeats them"
)
@click.option(
    "--departure",
    "departures",
    metavar="NAME",
    multiple=True,
    help="A permanent change of the exchange, for `basislake doctor` to find; may be given several "
    "times",
)
@click.option(
    "--delay",
    "delay_s",
    type=Number(min=0, max=3600),
    default=0.0,
    help="Extra delay of each candle call, in seconds",
)
@click.option(
    "--limit",
    metavar="CALLS_PER_SECOND",
    type=Number(min=0, max=1e6),
    default=0.0,
    help="Calls per second that the rate limit allows, 0 for no limit; Deribit publishes 20",
)
@click.option(
    "--burst",
    metavar="CALLS",
    type=Number(min=1, max=1e9),
    help="Calls that a full credit pool allows at once  [default: the calls of 5 seconds]",
)
@click.option(
    "--limit-status",
    type=click.Choice(_STATUSES),
    default=_STATUSES[0],
    help="HTTP status of a call over the limit (error 10028)",
)
@click.option(
    "--connections",
    type=Whole(1, _MOST_OPEN),
    default=MOST_CONNECTIONS,
    help="Connections open at once; further ones get HTTP 429",
)
@click.option("--port", type=Whole(0, 65535), default=0, help="Port to listen on, 0 for a free one")
@click.option(
    "--cache-mb",
    type=Number(min=0, max=1e5),
    help="Memory for rendered answers, to serve them again  [default: 64, in the full market 8]",
)
@json_option
@verb
def exchange() -> None:
    """Serve a simulated Deribit, on loopback only, until interrupted.

    It behaves like the real exchange, including its pitfalls: window ends are inclusive, a call
    returns at most 5,001 candles, flat candles follow the expiry, and some listed instruments do
    not belong in a lake. The same seed makes the same market.

    \b
    Example:
        basislake exchange --port 8600 &
        export BASISLAKE_EXCHANGE_URL=http://127.0.0.1:8600
        export BASISLAKE_HISTORY_URL=http://127.0.0.1:8600/history
        export BASISLAKE_RATE=0
        basislake run --lake rehearsal
    \b
    A rehearsal of seven years, at the published limit and with faults:
        basislake exchange --port 8601 --universe full \\
            --limit 20 --limit-status 200 \\
            --fault bad-gateway=0.02,reset=0.01,truncated-body=0.01,hang=0.001 \\
            --fault missing-minute=0.01 --fault lost-minute=0.001 &
        basislake run --lake seven-years --no-load --rate auto \\
            --exchange-url http://127.0.0.1:8601 --history-url http://127.0.0.1:8601/history
    \b
    An exchange that has changed, and the check that detects it:
        basislake exchange --port 8602 --departure fewer-candles &
        basislake doctor --exchange-url http://127.0.0.1:8602 \\
            --history-url http://127.0.0.1:8602/history
    \b
    A running market, an hour per minute, with new listings and expiries:
        basislake exchange --port 8603 --running --speed 60 &
        curl -X POST 'http://127.0.0.1:8603/control/clock?advance_s=604800'
    """
