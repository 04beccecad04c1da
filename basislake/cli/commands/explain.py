"""The command `explain`."""

from typing import Any

import click
from click.core import ParameterSource

from basislake.cli.completion import instruments
from basislake.cli.options import as_of_option, json_option, lake_option, wide_option
from basislake.cli.parameter_types import Time
from lake.errors import UsageError


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
    help="Which number to explain",
)
@click.option(
    "--days",
    type=click.Choice(("7", "30", "60", "90", "120", "180")),
    default="90",
    help="For maturity: distance to expiry",
)
@click.option(
    "--method",
    type=click.Choice(("forward", "linear", "nearest")),
    default="forward",
    help="For maturity: how to interpolate between two expiries",
)
@click.option(
    "--reference",
    type=click.Choice(("perpetual", "index")),
    default="perpetual",
    help="For maturity: price that the basis refers to",
)
@lake_option
@as_of_option
@wide_option
@json_option
def explain(of: str, days: str, method: str, reference: str, **given: Any) -> int:
    """Show how the basis of INSTRUMENT was computed in the minute that contains TIME (UTC).

    Shows the formula with its numbers; the candles of the future and of the perpetual, as received
    and as validated; the rules that they passed; the coverage around the minute; the call and the
    batch that delivered each candle; and the build. If there is no basis, it names the reason:
    outside the instrument's life, never asked, no answer, a gap, quarantined (with the rules), no
    candle of the perpetual, or not built yet. For a perpetual it explains the candle.

    --of explains a row of a carry view, and names whatever is missing:

    \b
        carry     carry_at, that minute
        realised  realised_carry, entry at 08:00 that day
        index     index_basis, the hour that contains TIME or ends at it, labelled by its end
        premium   perpetual_premium, the same hour
        funding   funding_daily, 24 hours from 08:00 that day
        spread    calendar_spreads, that minute; INSTRUMENT is the near leg
        maturity  constant_maturity_by; INSTRUMENT is the coin

    \b
    Example:
        basislake explain BTC-29MAR24 2024-03-28T17:31Z
        basislake explain BTC-PERPETUAL 2024-03-28T17:31Z --json
        basislake explain BTC-29MAR24 2024-03-28 --of realised
        basislake explain BTC 2024-03-28T17:31Z --of maturity --days 30 --method linear
    """
    _check_maturity(of)
    if of != "basis":
        from basislake.verbs.explain_carry import explain as explain_carry

        return explain_carry(of, maturity=(int(days), method, reference), **given)
    from basislake.verbs.explain import explain as body

    return body(**given)


def _check_maturity(of: str) -> None:
    """Refuse options of a maturity for another number: they would have no effect."""
    context = click.get_current_context()
    for name in ("days", "method", "reference"):
        is_given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if of != "maturity" and is_given:
            raise UsageError(
                f"--{name} goes with `--of maturity` only. Nothing was read. Leave it out, or add "
                "`--of maturity`."
            )
