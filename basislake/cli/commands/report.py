"""The command `report`."""

from pathlib import Path

import click

from basislake.cli.database_options import reading_options
from basislake.cli.options import MOST_THREADS, as_of_option, json_option, lake_option, verb
from basislake.cli.parameter_types import Whole


@click.command
@lake_option
@as_of_option
@reading_options
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for index.html and report.json. Default: `report` in the lake's folder",
)
@click.option(
    "--verify", is_flag=True, help="Check an existing report: run its queries again, write nothing"
)
@click.option(
    "--evidence",
    "evidence_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write row counts, failed instruments, basis validation and acceptance criteria, as "
    "text files",
)
@click.option(
    "--threads",
    type=Whole(1, MOST_THREADS),
    help="Partitions read at once for the fingerprint, as many as cores by default",
)
@json_option
@verb
def report() -> None:
    """Write one HTML page about the content of the lake and the database, and the same as JSON.

    The page needs no network and opens from disk, also on a phone. Below each chart or table is its
    query.

    \b
        Market       prices, term structure, basis at constant maturity, spreads, volume
        Carry        funding, premium, open interest, what expired futures earned
        Coverage     coverage by month, gaps by cause
        Quality      validation rules, untraded minutes, failed instruments
        Maintenance  backfills, the database compared with the lake, storage, fingerprint

    --verify runs all these queries again, as of the batch that the report was built from, and names
    the charts and tables that differ (exit code 1).

    --evidence computes the whole basis again and checks the acceptance criteria of the users'
    guide: each is `pass`, `FAIL`, or `open` if there is no data to decide it yet. With --evidence,
    exit code 1 means that a criterion is not met; the files are still written.

    \b
        AC-007  every future that the exchange lists is in `coverage`, and after its delivery in
                `settlements` and `deliveries`
        AC-008  every candle of a future has a basis row, or a reason why it has none
        AC-009  the 13.2 M candles of futures fit into 1.5 GB, in the lake and in PostgreSQL, by the
                bytes per candle of this lake. The lake passes: it needs a tenth. PostgreSQL does
                not pass: at 138 bytes a row it needs about 1.8 GB (docs/postgres.md)

    \b
    Example:
        basislake report
        basislake report --verify
        basislake report --output ./report --evidence ./evidence
    """
