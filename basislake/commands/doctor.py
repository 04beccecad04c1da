"""The command `doctor`."""

from pathlib import Path
from typing import Any

import click

from basislake.database_options import reading_options
from basislake.options import exchange_options, json_option, lake_option, wide_option


@click.command
@lake_option
@exchange_options
@reading_options
@click.option(
    "--exchange/--no-exchange",
    "asks_exchange",
    default=True,
    help="Ask the exchange, 18 calls; or look at this machine alone",
)
@click.option(
    "--replay",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Check the replies that an earlier call saved; nothing is asked",
)
@wide_option
@json_option
def doctor(**given: Any) -> int:
    """Check whether this machine and the exchange are what basislake relies on.

    Each check says what is relied on, what was seen, and whether that is so: ok, differs, or cannot
    tell. Of this machine: packages, cores, memory, open files, disk, clock, the lake's folder or
    store, locks, proxies and PostgreSQL. Of the exchange: its lists, candles, funding, delivery
    prices and settlements, by 18 calls in some 5 seconds at the default rate. No limit is
    provoked. Exit code 1 where something differs so that data could be lost or wrong.

    The replies are saved in the lake's folder `runs` (doctor-….json, without passwords), as
    evidence for a report; --replay judges them again. `run` and `backfill` themselves make the few
    checks that would cost data, before the first window of an empty lake.

    \b
    Example:
        basislake doctor
        basislake doctor --no-exchange --postgres postgresql://db.example/market
        basislake doctor --replay lake-data/runs/doctor-20261128T214500Z.json
    """
    from basislake.verbs.doctor import doctor as body

    return body(**given)
