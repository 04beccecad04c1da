"""The lake that the command line names."""

from pathlib import Path
from shlex import quote

from basislake.cli.defaults import LAKE as DEFAULT_LAKE
from lake import Lake
from lake.errors import LakeError
from lake.tables import INSTRUMENTS


def lake_flag(lake: Lake) -> str:
    """Return the flag for another command on the same lake, e.g. ` --lake ./demo-lake`; empty for
    the default lake.
    """
    place = Path(lake.uri)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was deleted
        here = None
    if not lake.is_local or here is None or not place.is_relative_to(here):
        return f" --lake {quote(lake.uri)}"
    if place == here / DEFAULT_LAKE:
        return ""
    shown = str(place.relative_to(here))
    # Without ./ it would be a home folder or an option.
    return f" --lake {quote(f'./{shown}' if shown[0] in '~-' else shown)}"


def check_exists(lake: Lake) -> None:
    """Refuse a place without a lake, as `Lake.check_exists` does, and name the commands that help.

    Raises:
        LakeError: the lake has no table, or its tables cannot be read.
    """
    # One existing table is enough; in a store each check costs a call.
    if lake.snapshot(INSTRUMENTS).version is not None:
        return
    try:
        lake.check_exists()
    except LakeError as exc:
        raise LakeError(
            f"{exc} --lake or BASISLAKE_LAKE names another lake; "
            f"`basislake run{lake_flag(lake)}` creates this one."
        ) from exc
