"""Commands that fetch again only what got no answer."""

from collections.abc import Collection, Sequence

from basislake.output.pasting import called
from basislake.settings.lake_and_database import lake_flag
from ingest.datasets import DATASETS
from lake import Lake
from lake.coverage import Subject


def retry_arguments(failed: Sequence[str]) -> str:
    """Return the arguments of `basislake` that ask again for some instruments; pure.

    Args:
        failed: their names, at least one.
    """
    return f"backfill --instruments {','.join(failed)}"


def retry_command(lake: Lake, failed: Sequence[str]) -> str:
    """Return the full command for candles of some instruments, for pasting."""
    return f"{called()} {retry_arguments(failed)}{lake_flag(lake)}"


def retry_commands(lake: Lake, failed: Collection[Subject]) -> list[str]:
    """Return the commands for all failed subjects: one for candles, one for other data."""
    names = [subject.name for subject in failed if subject.dataset == "candles"]
    others = {DATASETS[s.dataset].choice for s in failed if s.dataset != "candles"}
    commands = [retry_command(lake, names)] if names else []
    if others:
        data = ",".join(sorted(others))
        commands.append(f"{called()} backfill --data {data}{lake_flag(lake)}")
    return commands
