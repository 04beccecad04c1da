"""The command `status`."""

from typing import Any

import click

from basislake.options import json_option, lake_option, target_options, wide_option


@click.command
@lake_option
@target_options
@wide_option
@json_option
def status(**given: Any) -> int:
    """Show what the lake and the database hold, what a backfill is doing, and what has no answer.

    Ends with the commands that would bring it further, if there are any. Works beside a running
    backfill and changes nothing. Exit code 1 where something was asked and not answered, or the
    database differs or cannot be asked.

    \b
    Example:
        basislake status
        basislake status --json
    """
    from basislake.verbs.query import status as body

    return body(**given)
