"""`scope`: shows or sets which data the lake should contain."""

from dataclasses import replace

import polars as pl

from basislake import PROGRAM
from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.tables import paragraph
from basislake.settings.named_lake import check_exists, lake_flag
from ingest.plan.scope import as_json as scope_as_json
from ingest.plan.scope import described, outside, scope_of, set_scope
from ingest.plan.selection import Selection
from lake import Lake
from lake.counted_words import counted
from lake.tables import INSTRUMENTS


def scope(lake: Lake, selection: Selection, *, as_json: bool) -> int:
    """See `basislake.cli.commands.scope`; return the exit code."""
    is_change = selection != Selection()
    if is_change:
        set_scope(lake, replace(selection, is_all=False), PROGRAM)
    else:
        check_exists(lake)
    now = scope_of(lake)
    known = lake.read(INSTRUMENTS)
    inside = known.filter(~pl.col("instrument").is_in(list(outside(known, now))))
    if as_json:
        print_json(
            {
                "scope": scope_as_json(now),
                "known": known.height,
                "in_scope": inside.height,
                "instruments": inside["instrument"].to_list(),
            }
        )
        return 0
    paragraph(f"Scope: {described(now)}.")
    if known.is_empty():
        paragraph(
            f"The lake has no list of instruments yet; `{called()} instruments{lake_flag(lake)}` "
            "fetches it."
        )
    else:
        paragraph(f"In scope: {inside.height:,} of {counted(known.height, 'known instrument')}.")
    if is_change:
        paragraph(
            f"Nothing was fetched or deleted. `{called()} plan{lake_flag(lake)}` shows what a "
            "backfill would fetch."
        )
    return 0
