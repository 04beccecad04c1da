"""The command `load`."""

from typing import Any

import click

from basislake.database_options import target_options
from basislake.options import json_option, lake_option, wide_option


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
def load(**given: Any) -> int:
    """Bring the curated tables into PostgreSQL; only partitions whose content changed are sent.

    A table that is not there yet is made, filled and given its keys in one transaction. In others
    each partition is replaced in one, or gets its new minutes appended, so readers see the old rows
    or the new ones and never a part. All is compared with the lake before it is committed; a load
    that was killed goes on where it was. --verify reads every row back instead, compares every cell
    bit for bit and ends with exit code 1 where one differs (docs/tables.md, docs/postgres.md).

    \b
    Example:
        basislake load
        basislake load --postgres postgresql://me@db.example/market --schema deribit
        basislake load --dry-run
        basislake load --verify
        basislake load --keep      # the embedded PostgreSQL goes on, for psql
    """
    from basislake.verbs.load import load as body

    return body(**given)
