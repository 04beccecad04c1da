"""The command `doctor`."""

from pathlib import Path

import click

from basislake.cli.database_options import reading_options
from basislake.cli.options import exchange_options, json_option, lake_option, verb, wide_option


@click.command
@lake_option
@exchange_options
@reading_options
@click.option(
    "--exchange/--no-exchange",
    "asks_exchange",
    default=True,
    help="Check the exchange too (18 calls), or only this machine",
)
@click.option(
    "--replay",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Check replies that an earlier `doctor` saved; the exchange is not called",
)
@wide_option
@json_option
@verb
def doctor() -> None:
    """Check whether this machine and the exchange behave as basislake assumes.

    Each check shows the assumption, what was seen, and the result: ok, differs, or cannot tell. On
    this machine it checks packages, cores, memory, open files, disk, clock, the lake's folder or
    store, locks, proxies and PostgreSQL. At the exchange it checks lists, candles, funding,
    delivery prices and settlements. The 18 calls take about 5 seconds at the default rate and stay
    below all limits. Exit code 1 if a difference could corrupt or lose data.

    It saves the replies in the lake's folder `runs` (doctor-….json, without passwords), as evidence
    for a bug report; --replay checks them again. `run` and `backfill` make the most important of
    these checks themselves before they fill an empty lake.

    \b
    Example:
        basislake doctor
        basislake doctor --no-exchange --postgres postgresql://db.example/market
        basislake doctor --replay lake-data/runs/doctor-TIME.json    # the path that doctor printed
    """
