"""`build`: computes the curated tables from the raw ones."""

from dataclasses import asdict
from datetime import datetime

from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.tables import print_figures
from basislake.pipeline.build import build_in_engine
from basislake.pipeline.engines import Engine
from basislake.settings.named_lake import check_exists, lake_flag
from basislake.status.status import is_behind
from lake import Lake
from lake.batches import newest_batch
from lake.history.as_of import past


def build(
    lake: Lake,
    *,
    full: bool,
    as_of: int | datetime | None,
    threads: int | None,
    engine: Engine,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.build`; return the exit code."""
    check_exists(lake)
    result = build_in_engine(
        lake if as_of is None else past(lake, as_of),
        full=full,
        threads=threads,
        engine=engine,
        report=Progress("instruments"),
    )
    if as_of is not None and is_behind(lake):
        say(
            f"Note: the curated tables are now built as of batch {result.raw_version}; the newest "
            f"is {newest_batch(lake)}. `{called()} build{lake_flag(lake)}` builds from the "
            "newest."
        )
    if as_json:
        print_json(result)
    else:
        figures = asdict(result)
        rows = {f"{name} rows": count for name, count in figures.pop("carry").items()}
        print_figures("Build", {**figures, **rows})
    return 0
