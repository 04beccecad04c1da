"""`build`: from the raw tables to the curated ones."""

from dataclasses import asdict

from basislake.curate import curate
from basislake.engines import Engine
from basislake.output import Progress, called, counted, duration, print_json, say
from basislake.settings import check_exists, lake_flag
from basislake.status import tables_behind
from basislake.tables import print_figures
from lake import Lake
from lake.tables import RAW_CANDLES
from transforms.build import BuildResult


def build(
    where: Lake,
    *,
    full: bool,
    raw_version: int | None,
    threads: int | None,
    engine: Engine,
    as_json: bool,
) -> int:
    """See `basislake.commands.build`; return the exit code."""
    check_exists(where)
    result = curate(
        where,
        full=full,
        raw_version=raw_version,
        threads=threads,
        engine=engine,
        report=Progress("instruments"),
    )
    if raw_version is not None and (behind := tables_behind(where)):
        newest = where.snapshot(RAW_CANDLES).version
        say(
            f"Note: {', '.join(behind)} are now those of version {raw_version} of raw_candles, of "
            f"which the newest is {newest}; `{called()} build{lake_flag(where)}` brings that back."
        )
    if as_json:
        print_json(result)
    else:
        print_figures("Build", asdict(result))
    return 0


def build_told(where: Lake) -> BuildResult:
    """Build as a part of something longer, with progress and totals on stderr."""
    result = curate(where, report=Progress("instruments"))
    say(
        f"Build: {counted(result.rebuilt, 'instrument')} made anew, {result.unchanged} unchanged; "
        f"{counted(result.candles, 'candle')}, {result.quarantined:,} quarantined, "
        f"{result.basis_rows:,} basis rows, {result.unmatched:,} unmatched "
        f"in {duration(result.seconds)}."
    )
    return result
