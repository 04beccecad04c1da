"""The command `backfill`."""

from typing import Any

import click

from basislake.options import (
    data_option,
    engine_options,
    exchange_options,
    json_option,
    lake_option,
    no_doctor_option,
    selection_options,
)


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@click.option(
    "--repair",
    is_flag=True,
    help="Ask again for what is missing, and for rows that validation refused",
)
@click.option("--again", is_flag=True, help="Ask again for all that is selected, stored or not")
@engine_options
@no_doctor_option
@json_option
def backfill(**given: Any) -> int:
    """Fetch what the lake does not hold yet; kill it at any moment and start again.

    Fetches candles, hourly funding and its monthly totals, delivery prices and daily settlements;
    --data chooses. Keeps to the lake's scope (`basislake scope`), unless flags say otherwise.
    Discovers first where the lake knows no instruments. A future brings the minutes and the funding
    of its perpetual that it needs. All commands on a lake share one rate and one list of work, so a
    second backfill helps the first. Refusals by the rate limit, broken connections and wrong
    replies are asked again with growing waits. Exit code 1 where a window got no answer; it is
    named, and the next backfill asks for it.

    Minutes, hours or days that the exchange left out after the first row are asked again by the
    next backfill and believed after that; --repair asks for them all the same, for what it left out
    before the first row, and for rows that the last build put into `quarantine` or `rejected`.
    --again asks for everything that is selected, also what is stored. Where the exchange then sends
    a sound row that differs from the stored one, the new row takes its place; earlier versions of
    the lake keep the old one, and the next build remakes what the change reaches.

    Before the first window of an empty lake two calls check that the exchange gives all candles
    of a window and those of expired futures (`basislake doctor` checks more). Where it does not,
    twice in a row, nothing is fetched; exit code 1.

    With --engine dask the workers of a cluster make the calls. --rate and --threads are then those
    of each machine, which should have an address of its own for the exchange to count calls by;
    plan, commits and messages stay here, and a worker that ends loses nothing (docs/engines.md).

    \b
    Example:
        basislake backfill --instruments BTC-29MAR24,ETH-29MAR24
        basislake backfill --currency BTC --since 2024-03-01
        basislake backfill
        basislake backfill --data funding,settlements
        basislake backfill --repair --rate 20
        basislake backfill --again --instruments BTC-29MAR24 --since 2024-03-01 --until 2024-03-02
        basislake backfill --engine dask --workers 2
    """
    from basislake.verbs.backfill import backfill as body

    return body(**given)
