"""Building of the curated tables in the chosen engine."""

from collections.abc import Callable

from basislake import PROGRAM
from basislake.engines import HERE, Engine, executor
from lake import Lake
from transforms.build import BuildResult, build


def curate(
    where: Lake,
    *,
    full: bool = False,
    target: Lake | None = None,
    threads: int | None = None,
    engine: Engine = HERE,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> BuildResult:
    """Build the curated tables, see `transforms.build`, in an engine, see `basislake.engines`."""
    with executor(engine, threads=threads) as pool:
        return build(where, pool, PROGRAM, full=full, target=target, report=report)
