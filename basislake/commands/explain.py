"""The command `explain`."""

from typing import Any

import click

from basislake.completing import instruments
from basislake.options import Time, as_of_option, json_option, lake_option, wide_option


@click.command
@click.argument("instrument", shell_complete=instruments)
@click.argument("time", type=Time())
@click.option(
    "--of",
    "of",
    type=click.Choice(
        ("basis", "carry", "realised", "index", "premium", "funding", "spread", "maturity")
    ),
    default="basis",
    show_default=True,
    help="Which number to explain",
)
@click.option(
    "--days",
    type=click.Choice(("7", "30", "60", "90", "120", "180")),
    default="90",
    show_default=True,
    help="Of maturity: distance to expiry",
)
@click.option(
    "--method",
    type=click.Choice(("forward", "linear", "nearest")),
    default="forward",
    show_default=True,
    help="Of maturity: between two expiries",
)
@click.option(
    "--reference",
    type=click.Choice(("perpetual", "index")),
    default="perpetual",
    show_default=True,
    help="Of maturity: what the basis is against",
)
@lake_option
@as_of_option
@wide_option
@json_option
def explain(of: str, days: str, method: str, reference: str, **given: Any) -> int:
    """Show how the basis of INSTRUMENT in the minute that holds TIME (UTC) came about.

    Shows the formula with the numbers in it, the candles of both sides as received and as
    validated, the rules they passed, the coverage around the minute, the call and the batch that
    brought each candle, and the build. Where there is no basis it says why:
    outside the life, never asked, no answer, a gap, quarantined by which rules, no candle of the
    perpetual, or not built yet. Of a perpetual it explains the candle.

    With --of it explains a number of carry in the same way, from all rows behind it: the row of
    `carry_at` in that minute, of `realised_carry` for the entry at 08:00 of that day, of
    `index_basis` or, for a perpetual, `perpetual_premium` at the end of that hour, or of
    `funding_daily` for the 24 hours from 08:00 of that day on. `spread` is the row of
    `calendar_spreads` whose front is INSTRUMENT. `maturity` is a row of `constant_maturity_by`:
    INSTRUMENT is then the coin, and --days, --method and --reference say which. What is missing is
    named.

    \b
    Example:
        basislake explain BTC-29MAR24 2024-03-28T17:31Z
        basislake explain BTC-PERPETUAL 2024-03-28T17:31Z --json
        basislake explain BTC-29MAR24 2024-03-28 --of realised
        basislake explain BTC 2024-03-28T17:31Z --of maturity --days 30 --method linear
    """
    if of != "basis":
        from basislake.verbs.explain_carry import explain as explain_carry

        return explain_carry(of, maturity=(int(days), method, reference), **given)
    from basislake.verbs.explain import explain as body

    return body(**given)
