"""`build`: computes the curated tables from the raw ones."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime

from basislake.curate import curate
from basislake.engines import Engine
from basislake.output import Progress, called, duration, print_json, say
from basislake.settings import check_exists, lake_flag
from basislake.status import is_behind
from basislake.tables import print_figures
from lake import Lake
from lake.batches import newest_batch
from lake.carry_tables import REJECTED
from lake.counts import counted
from lake.past import past
from transforms.build import BuildResult


def build(
    where: Lake,
    *,
    full: bool,
    as_of: int | datetime | None,
    threads: int | None,
    engine: Engine,
    as_json: bool,
) -> int:
    """See `basislake.commands.build`; return the exit code."""
    check_exists(where)
    result = curate(
        where if as_of is None else past(where, as_of),
        full=full,
        threads=threads,
        engine=engine,
        report=Progress("instruments"),
    )
    if as_of is not None and is_behind(where):
        say(
            f"Note: the curated tables are now built as of batch {result.raw_version}; the newest "
            f"is {newest_batch(where)}. `{called()} build{lake_flag(where)}` builds from the "
            "newest."
        )
    if as_json:
        print_json(result)
    else:
        figures = asdict(result)
        rows = {f"{name} rows": count for name, count in figures.pop("carry").items()}
        print_figures("Build", {**figures, **rows})
    return 0


def build_logged(where: Lake, totals: Callable[[str], None] = say) -> BuildResult:
    """Build as a step of a pipeline, with progress on stderr; `totals` gets the summary line."""
    result = curate(where, report=Progress("instruments"))
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
