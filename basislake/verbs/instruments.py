"""`instruments`: discovers, stores and lists instruments; or lists what is left out, and why."""

from dataclasses import asdict

import click
import polars as pl

from basislake import PROGRAM
from basislake.output.columns import Heading
from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_table
from basislake.pipeline.fetch import instrument_counts, log_discovery
from basislake.settings.exchange import ExchangeSettings
from basislake.settings.named_lake import check_exists
from ingest.discover import Discovery, discover
from ingest.plan.scope import as_json as scope_as_json
from ingest.plan.scope import outside, scope_of
from ingest.plan.selection import Selection, choose
from lake import Lake
from lake.tables import INSTRUMENTS

# The listed columns of a record.
_LISTED = {
    "instrument": Heading("instrument"),
    "term": Heading("term", rank=1),
    "listed_at": Heading("listed"),
    "expires_at": Heading("expires"),
    "tick_size": Heading("tick size", rank=2),
    "contract_size": Heading("contract size", rank=2),
    "active": Heading("active"),
}


def instruments(
    lake: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    left_out: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.instruments`; return the exit code."""
    if offline:
        check_exists(lake)
        found = Discovery(lake.read(INSTRUMENTS))
    else:
        with settings.open(lake) as exchange:
            found = discover(exchange, lake, PROGRAM)
        log_discovery(lake, found)
    # Perpetuals, which have no expiry, come first.
    chosen = _listed(found.known, selection).sort("expires_at", "instrument", nulls_last=False)
    scope = scope_of(lake)
    out_of_scope = outside(found.known, scope)
    if as_json:
        print_json(
            {
                **instrument_counts(found.known),
                "new": found.new,
                "left_out": found.left_out,
                "left_out_records": [
                    {"instrument": record.name, "reason": record.reason}
                    for record in found.left_out_records
                ],
                "scope": scope_as_json(scope),
                "out_of_scope": [
                    {"instrument": name, "reason": reason} for name, reason in out_of_scope.items()
                ],
                "refused": [asdict(refused) for refused in found.refused],
                "failed": found.failed,
                "instruments": chosen.to_dicts(),
            }
        )
    elif left_out:
        _show_left_out(found, out_of_scope, offline=offline)
    else:
        print_table(
            "Instruments, by expiry", list(_LISTED.values()), chosen.select(*_LISTED).rows()
        )
    return 0 if found.is_complete else 1


def _listed(known: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """The selected instruments that lived in the selected minutes."""
    if selection.currencies or selection.names:
        known = choose(known, selection).drop("is_companion")
    if selection.span is None:
        return known
    is_open = pl.col("expires_at").is_null() | (pl.col("expires_at") > selection.span.start)
    return known.filter(pl.col("listed_at") < selection.span.end, is_open)


def _show_left_out(found: Discovery, out_of_scope: dict[str, str], *, offline: bool) -> None:
    """Print which records of the exchange the lake leaves out, and which are not in its scope."""
    rows = sorted((record.reason, record.name) for record in found.left_out_records)
    if rows:
        print_table(
            "Left out of the exchange's lists", ["instrument", "why"], [(n, why) for why, n in rows]
        )
    elif offline:
        say(
            "The lake does not store the records that it leaves out. Run this without --offline to "
            "fetch the exchange's lists."
        )
    else:
        paragraph("Nothing on the exchange's lists is left out.")
    if out_of_scope:
        click.echo()
        print_table("Known, out of the lake's scope", ["instrument", "why"], out_of_scope.items())
