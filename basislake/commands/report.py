"""The command `report`."""

from pathlib import Path
from typing import Any

import click

from basislake.database_options import reading_options
from basislake.options import MOST_THREADS, as_of_option, json_option, lake_option
from basislake.parameter_types import Whole


@click.command
@lake_option
@as_of_option
@reading_options
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Of index.html and report.json, by default `report` in a lake on disk",
)
@click.option("--verify", is_flag=True, help="Ask every query of an existing report again instead")
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
    """Make one HTML page that shows what the lake and the database hold, and the same as JSON.

    The page needs no network and opens from disk, also on a phone: coverage by month, term
    structure, basis at constant maturity, one contract's way to expiry, the part "Carry" (funding,
    premium, open interest, what expired futures earned), untraded minutes, gaps by cause, quality,
    backfills, the database next to the lake, storage and fingerprint. Under each figure is the
    query that made it.

    --verify asks all these queries again, as of the batch the report was made from, and names the
    figures that differ (exit code 1).

    --evidence computes the whole basis again and decides the acceptance criteria of the users'
    guide, each as `pass`, `FAIL`, or `open` where there is nothing to judge yet. Exit code 1 then
    means that one is not met; all files are written all the same.

    \b
        AC-007  every future that the exchange lists is accounted for in `coverage`, and where it
                was delivered, in `settlements` and `deliveries`
        AC-008  every candle of a future has a basis row, or the reason why not
        AC-009  13.2 M candles of futures, at the bytes each takes here, fit into 1.5 GB: of the
                lake, and of PostgreSQL with its keys. The lake takes a tenth of it. PostgreSQL
                fails, by about a fifth: 138 bytes a candle is what rows with a unique key take
                there (docs/postgres.md), and some more where there are few of them

    \b
    Example:
        basislake report
        basislake report --verify
        basislake report --output ./report --evidence ./evidence
    """
    from basislake.verbs.report import report as body

    return body(**given)
