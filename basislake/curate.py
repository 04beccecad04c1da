"""Building, in the engine that the command line names, or as a part of something longer."""

from collections.abc import Callable

from basislake import PROGRAM
from basislake.engines import HERE, Engine, executor
from basislake.output import Progress, duration, say
from lake import Lake
from lake.counts import counted
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


def build_told(where: Lake, totals: Callable[[str], None] = say) -> BuildResult:
    """Build as a part of something longer, with progress on stderr; `totals` gets the line that
    sums it up.
    """
    result = curate(where, report=Progress("instruments"))
    totals(
        f"Build: {counted(result.periods, 'period')} of {counted(result.rebuilt, 'instrument')} "
        f"built again, {result.unchanged} unchanged; "
        f"{counted(result.candles, 'candle')}, {result.quarantined:,} quarantined, "
        f"{counted(result.basis_rows, 'basis row')}, {result.unmatched:,} unmatched "
        f"in {duration(result.seconds)}."
    )
    return result
