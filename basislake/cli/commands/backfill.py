"""The command `backfill`."""

from typing import Any

import click

from basislake.cli.options import (
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
    help="Fetch missing rows again, and rows that validation rejected",
)
@click.option("--again", is_flag=True, help="Fetch the whole selection again, stored or not")
@engine_options
@no_doctor_option
@json_option
def backfill(**given: Any) -> int:
    """Fetch what the lake lacks; you can kill this at any moment and start it again.

    Fetches candles, hourly funding and its monthly totals, delivery prices and daily settlements;
    --data chooses among them. Fetches the lake's scope (`basislake scope`), unless flags select
    something else. If the lake has no list of instruments, discovers them first. For each future,
    also fetches the minutes and the funding of its perpetual that its basis needs. All commands on
    a lake share one rate limit and one list of work, so a second backfill helps the first. If the
    exchange refuses a call, breaks the connection or sends a wrong reply, the backfill retries
    after growing waits. Exit code 1 if a window got no answer; the next backfill fetches it.

    If the exchange leaves out minutes, hours or days after the first row, the next backfill asks
    once more, and then accepts the gap. --repair asks again even for accepted gaps, for gaps before
    the first row, and for rows that the last build put into `quarantine` or `rejected`. --again
    fetches the whole selection, also what is stored. If the exchange then sends a valid row that
    differs from the stored one, the new row replaces it. Earlier versions of the lake keep the old
    row, and the next build rebuilds what depends on it.

    Before the first window of an empty lake, two calls check that the exchange returns complete
    windows, also of expired futures (`basislake doctor` checks more). If that fails twice in a row,
    nothing is fetched; exit code 1.

    With --engine dask, the workers of a cluster make the calls. --rate and --threads then apply to
    each machine; give each machine its own IP address, by which the exchange counts calls. Plan,
    commits and messages stay here, and a worker that ends loses no data (docs/engines.md).

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
