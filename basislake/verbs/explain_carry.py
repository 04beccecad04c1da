"""`explain --of`: shows how one number of carry was computed."""

import math
from collections.abc import Iterable
from datetime import datetime

import click

from basislake.explain.basis_formulas import number
from basislake.explain.carry import CarryExplanation, explain_carry
from basislake.explain.curves import Maturity, explain_maturity, explain_spread
from basislake.explain.inputs import Input
from basislake.explain.legs import Side
from basislake.explain.shown import fetch_line, show_formula, show_made, value_text
from basislake.output.columns import Heading, Kind
from basislake.output.json_output import print_json
from basislake.output.tables import paragraph, print_table
from basislake.pipeline.build_as_of import opened
from basislake.settings.named_lake import check_exists
from lake import Lake
from lake.counted_words import counted
from lake.table import Column, Type
from lake.tables import TABLES

# Of many rows, only this many first and last ones are shown; `--json` has all.
_SHOWN = 3


def explain(
    of: str,
    instrument: str,
    time: datetime,
    lake: Lake,
    as_of: int | datetime | None,
    *,
    maturity: tuple[int, str, str],
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.explain`; return the exit code."""
    check_exists(lake)
    name = instrument.strip().upper()
    with opened(lake, as_of) as still:
        if of == "spread":
            found = explain_spread(still, name, time)
        elif of == "maturity":
            found = explain_maturity(still, name, time, Maturity(*maturity))
        else:
            found = explain_carry(still, of, name, time)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return 0


def _show(found: CarryExplanation) -> None:
    paragraph(_headline(found))
    paragraph(f"The row: {found.query}")
    click.echo()
    show_formula(
        found.formula,
        found.agrees,
        "The view has the same values, except for rounding in the last digits.",
        "The view has OTHER values: please report this.",
    )
    if found.sides:
        _show_closes(found.sides)
        click.echo()
    for given in found.inputs:
        _show_input(given)
    _show_calls(found)
    show_made(found.made, found.as_of)


def _headline(found: CarryExplanation) -> str:
    what = f"{found.instrument}, {found.of} of {found.at:%Y-%m-%d %H:%M}Z"
    if found.reason is None:
        return f"{what}: every input is stored."
    return f"{what}: {'something is missing' if found.row else 'no row'}: {found.reason}"


def _show_closes(sides: Iterable[Side]) -> None:
    rows = [
        [
            side.instrument,
            f"{side.ts:%Y-%m-%d %H:%M}Z",
            side.candle["close"] if side.candle else None,
            side.candle["traded"] if side.candle else None,
            side.status,
            side.reason.text if side.reason else "",
        ]
        for side in sides
    ]
    close = Heading("close (quote per base)", Kind.EXACT)
    columns: list[str | Heading] = ["instrument", "minute", close, "traded", "coverage", "reason"]
    print_table("Closes", columns, rows)


def _show_input(given: Input) -> None:
    span = f"after {given.start:%Y-%m-%d %H:%M}Z, to {given.end:%Y-%m-%d %H:%M}Z"
    count = f"{len(given.rows):,} of {counted(given.expected, 'row')}"
    title = f"{given.name}: {count} of `{given.table}`, {given.subject}, {span}"
    if given.rows:
        _show_rows(given, title)
    else:
        paragraph(title)
    for line in given.missing:
        paragraph(f"Missing: {line}.")
    for row in given.rejected:
        paragraph(f"Rejected: {row['ts']:%Y-%m-%d %H:%M}Z, which broke {', '.join(row['rules'])}.")
    click.echo()


def _show_rows(given: Input, title: str) -> None:
    """Print the first and the last rows, with units, and how to see the others."""
    known = {column.name: column for column in TABLES[given.table].columns}
    names = [name for name in given.rows[0] if name not in ("instrument", "index_name")]
    columns = [_titled(known[name]) for name in names]
    rows = [[value_text(row[name]) for name in names] for row in given.rows]
    left_out = len(rows) - 2 * _SHOWN
    notes = []
    if left_out > 0:
        rows = [*rows[:_SHOWN], *rows[-_SHOWN:]]
        between = f"{counted(left_out, 'row')} between these {2 * _SHOWN} not shown"
        notes.append(f"{between}; --json lists all {len(given.rows):,}.")
    if given.table == "funding" and len(given.rows) > 1:
        total = math.fsum(row["interest_1h"] for row in given.rows)
        notes.append(f"interest_1h adds up to {number(total)}.")
    print_table(title, columns, rows, note=" ".join(notes))


def _titled(column: Column) -> Heading:
    """A column of a table with its unit in the heading."""
    title = f"{column.name} ({column.unit})" if column.unit else column.name
    kinds = {Type.FLOAT: Kind.MEASURE, Type.TIME: Kind.TIME}
    return Heading(title, kinds.get(column.type, Kind.PLAIN))


def _show_calls(found: CarryExplanation) -> None:
    for side in found.sides:
        if side.fetched:
            paragraph(f"Fetched: {side.instrument}: {fetch_line(side.fetched)}")
    lines = (
        f"Fetched: {given.table} of {given.subject}: {fetch_line(fetched)}"
        for given in found.inputs
        for fetched in given.fetched
    )
    for line in dict.fromkeys(lines):
        paragraph(line)
