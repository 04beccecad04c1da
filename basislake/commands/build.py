"""The command `build`."""

from typing import Any

import click

from basislake.options import MOST_THREADS, Whole, engine_options, json_option, lake_option


@click.command
@lake_option
@click.option("--full", is_flag=True, help="Make everything anew, not only what changed")
@click.option(
    "--raw-version",
    type=Whole(min=0),
    metavar="N",
    help="Build from raw_candles at this version, and the instruments and coverage of then",
)
@click.option(
    "--threads",
    type=Whole(1, MOST_THREADS),
    help="Instruments built at once, two for each core by default; the rows are the same",
)
@engine_options
@json_option
def build(**given: Any) -> int:
    """Validate the raw candles and compute the basis of every future.

    Writes candles, quarantine, warnings, quality and basis; only instruments whose raw candles
    changed, or that a change can reach, are made anew. Needs no network. With --raw-version the
    tables become what they were for that version of the raw candles; the next build without it
    brings back the newest.

    \b
    Example:
        basislake build
        basislake build --full
        basislake build --raw-version 1
        basislake build --engine dask --workers 4
    """
    from basislake.verbs.build import build as body

    return body(**given)
