"""The command `report`."""

from pathlib import Path
from typing import Any

import click

from basislake.cli.database_options import reading_options
from basislake.cli.options import MOST_THREADS, as_of_option, json_option, lake_option
from basislake.cli.parameter_types import Whole


@click.command
@lake_option
@as_of_option
@reading_options
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of index.html and report.json, by default `report` in a lake on disk",
)
@click.option("--verify", is_flag=True, help="Run every query of an existing report again instead")
@click.option(
    "--evidence",
    "evidence_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write row counts, failed instruments, basis validation and acceptance as texts",
)
@click.option(
    "--threads",
    type=Whole(1, MOST_THREADS),
    help="Partitions read at once for the fingerprint, as many as cores by default",
)
@json_option
def report(**given: Any) -> int:
    """Write one HTML page about the content of the lake and the database, and the same as JSON.

    The page needs no network and opens from disk, also on a phone. It shows coverage by month, term
    structure, basis at constant maturity, one contract until its expiry, carry (funding, premium,
    open interest, what expired futures earned), untraded minutes, gaps by cause, quality,
    backfills, the database compared with the lake, storage and fingerprint. Under each figure is
    the query behind it.

    --verify runs all these queries again, as of the batch that the report was built from, and names
    the figures that differ (exit code 1).

    --evidence computes the whole basis again and decides the acceptance criteria of the users'
    guide: each is `pass`, `FAIL`, or `open` if there is no data to decide it yet. Exit code 1 then
    means that a criterion is not met; all files are still written.

    \b
        AC-007  every future that the exchange lists is in `coverage`, and after its delivery in
                `settlements` and `deliveries`
        AC-008  every candle of a future has a basis row, or a reason why it has none
        AC-009  13.2 M candles of futures, at the bytes per candle measured here, fit into 1.5 GB,
                both in the lake and in PostgreSQL with its keys. The lake needs a tenth of that.
                PostgreSQL fails by about a fifth: a row with its unique key takes 138 bytes
                (docs/postgres.md), and somewhat more in a small table

    \b
    Example:
        basislake report
        basislake report --verify
        basislake report --output ./report --evidence ./evidence
    """
    from basislake.verbs.report import report as body

    return body(**given)
