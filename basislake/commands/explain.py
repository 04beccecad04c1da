"""The command `explain`."""

from typing import Any

import click

from basislake.completing import instruments
from basislake.options import as_of_option, json_option, lake_option, wide_option
from basislake.parameter_types import Time


@click.command
@click.argument("instrument", shell_complete=instruments)
@click.argument("time", type=Time())
@click.option(
    "--of",
    "of",
    type=click.Choice(("basis", "carry", "realised", "index", "premium", "funding")),
    default="basis",
    show_default=True,
    help="Which number to explain",
)
@lake_option
@as_of_option
@wide_option
@json_option
def explain(of: str, **given: Any) -> int:
    """Show how the basis of INSTRUMENT in the minute that holds TIME (UTC) came about.

    Shows the formula with the numbers in it, the candles of both sides as received and as
    validated, the rules they passed, the coverage around the minute, the call and the batch that
    brought each candle, and the build. Where there is no basis it says why:
    outside the life, never asked, no answer, a gap, quarantined by which rules, no candle of the
    perpetual, or not built yet. Of a perpetual it explains the candle.

    With --of it explains a number of carry in the same way, from all rows behind it: the row of
    `carry_at` in that minute, of `realised_carry` for the entry at 08:00 of that day, of
    `index_basis` or, for a perpetual, `perpetual_premium` at the end of that hour, or of
    `funding_daily` for the 24 hours from 08:00 of that day on. What is missing is named.

    \b
    Example:
        basislake explain BTC-29MAR24 2024-03-28T17:31Z
        basislake explain BTC-PERPETUAL 2024-03-28T17:31Z --json
        basislake explain BTC-29MAR24 2024-03-28 --of realised
    """
    if of != "basis":
        from basislake.verbs.explain_carry import explain as explain_carry

        return explain_carry(of, **given)
    from basislake.verbs.explain import explain as body

    return body(**given)
