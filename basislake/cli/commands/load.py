"""The command `load`."""

import click

from basislake.cli.database_options import target_options
from basislake.cli.options import json_option, lake_option, verb, wide_option


@click.command
@lake_option
@target_options
@click.option("--full", is_flag=True, help="Send every partition again, not only what changed")
@click.option(
    "--dry-run", is_flag=True, help="Print the DDL and what would be sent; change nothing"
)
@click.option("--verify", is_flag=True, help="Compare every cell with the lake; load nothing")
@wide_option
@json_option
@verb
def load() -> None:
    """Load the curated tables into PostgreSQL; send only partitions whose content changed.

    A partition is one instrument's calendar month, or a whole small table. `load` creates a missing
    table, fills it and adds its keys in one transaction. In an existing table, one transaction
    replaces a partition or appends new minutes to some, so readers never see a mixture of old and
    new rows. Each transaction compares its rows with the lake before it commits; an interrupted
    load resumes. --verify loads nothing: it reads every row back, compares every cell bit for bit,
    and ends with exit code 1 if one differs (docs/tables.md, docs/postgres.md).

    \b
    Example:
        basislake load
        basislake load --postgres postgresql://me@db.example/market --schema deribit
        basislake load --dry-run
        basislake load --verify
        basislake load --keep      # leaves the embedded PostgreSQL running, for psql
    """
