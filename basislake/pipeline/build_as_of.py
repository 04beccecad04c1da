"""The lake as of a batch or a time. If no build as of that batch is stored, the curated tables are
built in a temporary folder for the duration of the command.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from tempfile import TemporaryDirectory

from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.units import duration
from lake import Lake
from lake.history.as_of import PastLake, past
from lake.state import State, Unbuilt


@contextmanager
def opened(lake: Lake, as_of: int | datetime | None, built: int | None = None) -> Iterator[State]:
    """Yield a lake to read from: its newest state, or as of a batch.

    Args:
        lake: to read.
        as_of: the batch, or a time at which it was the newest; the newest by default.
        built: the batch that the curated tables are built from, by default the same; 0 for none.

    Raises:
        UsageError: there is no such batch.
        LakeError: the lake cannot be read, or the disk has no room for the temporary tables.
    """
    if as_of is None:
        yield lake.state()
        return
    found = past(lake, as_of)
    if built == 0:
        yield PastLake(lake, found.as_of, Unbuilt(lake))
        return
    if built is not None and built != found.as_of:
        with opened(lake, built) as other:
            yield PastLake(lake, found.as_of, other)
        return
    if found.is_built:
        yield found
        return
    from basislake.pipeline.build import build_in_engine  # noqa: PLC0415  (few commands build)

    with TemporaryDirectory(prefix="basislake-as-of-") as folder:
        target = Lake(folder)
        made = build_in_engine(found, target=target, report=Progress("instruments"))
        say(
            f"Curated tables as of batch {found.as_of}: built for this command in "
            f"{duration(made.seconds)}; the lake is unchanged."
        )
        yield PastLake(lake, found.as_of, target.state())
