"""Building of the curated tables in the chosen engine, alone or as a step of a pipeline."""

from collections.abc import Callable, Iterator

from basislake import PROGRAM
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.units import duration
from basislake.pipeline.engines import HERE, Engine, executor
from lake import Lake
from lake.carry_tables import REJECTED
from lake.counted_words import counted
from transforms.build import BuildResult, build


def build_in_engine(
    lake: Lake,
    *,
    full: bool = False,
    target: Lake | None = None,
    threads: int | None = None,
    engine: Engine = HERE,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> BuildResult:
    """Build the curated tables, see `transforms.build`, in an engine, see
    `basislake.pipeline.engines`.
    """
    with executor(engine, threads=threads) as pool:
        return build(lake, pool, PROGRAM, full=full, target=target, report=report)


def build_logged(lake: Lake, totals: Callable[[str], None] = say) -> BuildResult:
    """Build as a step of a pipeline, with progress on stderr; `totals` gets the summary line."""
    result = build_in_engine(lake, report=Progress("instruments"))
    totals(f"Build: {'; '.join(_totals_of(result))} in {duration(result.seconds)}.")
    return result


def _totals_of(result: BuildResult) -> Iterator[str]:
    """What was built: of candles, and of carry data if there is any."""
    carry = dict(result.carry)
    rejected = carry.pop(REJECTED.name, 0)
    has_carry = any(carry.values()) or rejected
    if result.candles or result.quarantined or result.periods or not has_carry:
        yield (
            f"{counted(result.periods, 'period')} of {counted(result.rebuilt, 'instrument')} "
            f"rebuilt, {result.unchanged} unchanged; "
            f"{counted(result.candles, 'candle')}, {result.quarantined:,} quarantined, "
            f"{counted(result.basis_rows, 'basis row')}, {result.unmatched:,} unmatched"
        )
    if has_carry:
        rows = [
            f"{counted(n, 'row')} of {name.replace('_', ' ')}" for name, n in carry.items() if n
        ]
        yield ", ".join([*rows, f"{rejected:,} rejected"])
