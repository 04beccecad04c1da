"""`health`: an exit code for a program that monitors the lake."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_table
from basislake.settings.named_lake import check_exists
from basislake.status.health import Health
from basislake.status.health import health as health_of
from lake import Lake
from lake.counted_words import counted


def health(lake: Lake, hours: float, *, as_json: bool) -> int:
    """See `basislake.cli.commands.health`; return the exit code."""
    check_exists(lake)
    found = health_of(lake, datetime.now(UTC), timedelta(hours=hours))
    if as_json:
        print_json({"healthy": not found.problems, **asdict(found)})
    else:
        rows = [[t, base, last] for t, own in found.newest.items() for base, last in own.items()]
        if rows:
            print_table("Newest minutes", ["table", "coin", "minute"], rows)
        for problem in found.problems:
            say(f"Problem: {problem}")
        paragraph(_verdict(found, hours))
    return 1 if found.problems else 0


def _verdict(found: Health, hours: float) -> str:
    of = f"scope: {found.scope}"
    if found.problems:
        return f"Not healthy: {counted(len(found.problems), 'problem')} ({of})."
    return f"Healthy: nothing failed, and no newest minute is older than {hours:g} h ({of})."
