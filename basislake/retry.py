"""The command that asks again just for what got no answer."""

from collections.abc import Sequence

from basislake.output import called
from basislake.settings import lake_flag
from lake import Lake


def retry_arguments(failed: Sequence[str]) -> str:
    """Return the arguments of `basislake` that ask again for some instruments; pure.

    Args:
        failed: their names, at least one.
    """
    return f"backfill --instruments {','.join(failed)}"


def retry_command(where: Lake, failed: Sequence[str]) -> str:
    """Return the whole command, to be pasted."""
    return f"{called()} {retry_arguments(failed)}{lake_flag(where)}"
