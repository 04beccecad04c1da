"""Prints what the explanations of basis and carry share: formula, call and build."""

import click

from basislake.explain.basis_formulas import Step, number
from basislake.explain.provenance import Fetched, Made
from basislake.output.columns import Heading
from basislake.output.tables import paragraph, print_table

_FORMULA = (
    "column", Heading("formula", rank=1), "with the numbers", "value", Heading("unit", rank=2),
)  # fmt: skip


def show_formula(steps: list[Step], agrees: bool | None, same: str, other: str) -> None:  # noqa: FBT001
    """Print a formula with its numbers, and a sentence on whether the stored values agree.

    Args:
        steps: of the formula; without steps no table is printed.
        agrees: whether they agree; None if there is nothing to compare with.
        same: the sentence if they agree.
        other: the sentence if they do not.
    """
    if steps:
        rows = [[s.column, s.formula, s.numbers, value_text(s.value), s.unit] for s in steps]
        print_table("Formula", _FORMULA, rows)
    if agrees is not None:
        paragraph(same if agrees else other)
        click.echo()


def fetch_line(fetched: Fetched) -> str:
    """Return how rows were fetched, in two lines."""
    run = f", run {fetched.run}" if fetched.run else ""
    return (
        f"committed {fetched.at:%Y-%m-%d %H:%M:%S}Z as batch {fetched.batch} by "
        f"{fetched.program}{run}\n  by the call {fetched.call}"
    )


def show_made(made: Made | None, as_of: int) -> None:
    """Print which build wrote the rows, and as of which batch they were read."""
    if made:
        paragraph(
            f"Built by build {made.build} from batches up to {made.batch}, committed "
            f"{made.at:%Y-%m-%d %H:%M:%S}Z by {made.program}."
        )
    paragraph(f"Read as of batch {as_of}.")


def value_text(value: object) -> object:
    """Return numbers with all their digits."""
    return number(value) if isinstance(value, float) else value
