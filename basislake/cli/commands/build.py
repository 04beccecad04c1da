"""The command `build`."""

import click

from basislake.cli.options import (
    MOST_THREADS,
    as_of_option,
    engine_options,
    json_option,
    lake_option,
    verb,
)
from basislake.cli.parameter_types import Whole


@click.command
@lake_option
@click.option("--full", is_flag=True, help="Build everything again, not only what changed")
@as_of_option
@click.option(
    "--threads",
    type=Whole(1, MOST_THREADS),
    help="Instruments built at once, two for each core by default; the result does not depend "
    "on it",
)
@engine_options
@json_option
@verb
def build() -> None:
    """Validate everything that was fetched, and compute the basis of every future.

    Writes the tables `candles`, `basis`, `quarantine`, `periods`, `warnings` and `quality`, and the
    validated `funding`, `funding_totals`, `deliveries` and `settlements`. Candles that fail
    validation go to `quarantine`, other rows that fail go to `rejected`. Rebuilds only the days
    that new or changed data can affect. Needs no network.

    With --as-of (or --raw-version, its other name), builds the tables from the raw data as of that
    batch or time; the next build without it uses the newest data again.

    \b
    Example:
        basislake build
        basislake build --full
        basislake build --as-of 1
        basislake build --engine dask --workers 4
    """
