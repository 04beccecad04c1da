"""The command `backfill`."""

import click

from basislake.cli.options import (
    data_option,
    engine_options,
    exchange_options,
    json_option,
    lake_option,
    no_doctor_option,
    selection_options,
    verb,
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
@verb
def backfill() -> None:
    """Fetch what the lake lacks; you can kill this at any moment and start it again.

    Fetches candles, hourly funding and its monthly totals, delivery prices and daily settlements;
    --data chooses among them. Fetches the lake's scope (`basislake scope`), unless flags select
    something else. Discovers instruments first if the lake has no list of them. For each future,
    also fetches its perpetual's candles (for the basis) and funding (for carry) for the life of the
    future. Commands on one machine share the rate limit and lock each instrument, so a second
    backfill fetches the instruments that the first has not started. Refused calls, broken
    connections and invalid replies are retried with increasing delays. Exit code 1 if a window got
    no answer; the next backfill fetches it.

    If rows are missing after an instrument's first row, the next backfill asks for them once more.
    If the rows are missing again, the backfill accepts the gap. --repair also fetches accepted
    gaps, the time before the first row, and rows that the last build put into `quarantine` or
    `rejected`. --again fetches the whole selection, stored or not. If a new valid row differs from
    the stored one, the new row counts from its batch on; earlier batches still show the old row.
    The next build recomputes everything that uses the row.

    If the lake is empty, two calls first check that the exchange returns complete windows, also of
    expired futures (see `basislake doctor`). If the check fails twice in a row, nothing is fetched
    (exit code 1); --no-doctor skips this check.

    With --engine dask, the workers of a cluster make the calls. --rate and --threads then apply to
    each machine. The exchange counts calls by IP address, so each machine needs its own IP address.
    This process still plans, commits and prints messages; no data is lost if a worker stops
    (docs/engines.md).

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
