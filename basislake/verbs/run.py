"""`run`: the whole pipeline, from the exchange to the report."""

import click

from basislake.output.columns import Heading
from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_commands, print_table
from basislake.pipeline.run import run_all
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from basislake.settings.named_lake import lake_flag
from ingest.plan.selection import Selection
from lake import Lake
from lake.query.views.fronts import FRONT_QUARTERLY_ROLL_DAYS

# The basis now: each coin's front quarterly, as the view `front_quarterly` chooses it.
FRONTS_SQL = f"""
    SELECT coin, instrument, ts, days_to_expiry, future_close, basis_pct, annualised_pct
    FROM term_structure_latest
    WHERE term = 'quarterly' AND days_to_expiry > {FRONT_QUARTERLY_ROLL_DAYS}
    QUALIFY row_number() OVER (PARTITION BY coin ORDER BY expires_at, instrument) = 1
    ORDER BY coin
"""
_COLUMNS = (
    "coin",
    "future",
    "minute",
    Heading("days left", decimals=1),
    "price",
    Heading("basis %", decimals=3),
    Heading("% a year", decimals=2),
)


def run(
    lake: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    target: Target,
    *,
    no_load: bool,
    no_doctor: bool,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.run`; return the exit code."""
    totals = say if as_json else paragraph
    summary, code = run_all(
        lake,
        settings,
        selection,
        None if no_load else target,
        totals=totals,
        is_checked=not no_doctor,
    )
    found = lake.sql(FRONTS_SQL).to_dicts()
    if as_json:
        print_json({**summary, "basis": found})
    elif found:
        click.echo()
        print_table(
            "Basis of the front quarterlies", _COLUMNS, [list(row.values()) for row in found]
        )
    elif lake.sql("FROM basis LIMIT 1").height:
        click.echo()
        why = f"No quarterly has over {FRONT_QUARTERLY_ROLL_DAYS} days left in the newest minute"
        recent = f"{called()} sql @recent-basis{lake_flag(lake)}"
        print_commands(f"{why}. Try", [(recent, "shows the basis of the last 30 days")])
    return code
