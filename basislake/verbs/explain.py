"""`explain`: shows how one number of the basis was computed."""

from datetime import datetime

import click

from basislake.explain.basis import Explanation
from basislake.explain.basis import explain as explanation_of
from basislake.explain.basis_formulas import number
from basislake.explain.legs import Row, Side
from basislake.explain.shown import fetch_line, show_formula, show_made
from basislake.output.columns import Heading, Kind
from basislake.output.json_output import print_json
from basislake.output.tables import paragraph, print_table
from basislake.pipeline.build_as_of import opened
from basislake.settings.named_lake import check_exists
from lake import Lake
from lake.tables import CANDLES

# Columns of a candle that a narrow terminal hides first.
_RANKS = {"cost": 1, "volume": 2}


def explain(
    instrument: str, time: datetime, lake: Lake, as_of: int | datetime | None, *, as_json: bool
) -> int:
    """See `basislake.cli.commands.explain`; return the exit code."""
    check_exists(lake)
    with opened(lake, as_of) as still:
        found = explanation_of(still, instrument.strip().upper(), time)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return 0


def _show(found: Explanation) -> None:
    paragraph(_headline(found))
    click.echo()
    show_formula(
        found.formula,
        found.agrees,
        "The lake has exactly these values.",
        "The lake has OTHER values; `basislake build --full` computes them again.",
    )
    _show_candles(found.sides)
    click.echo()
    _show_checks(found.sides)
    columns = ["instrument", "start", "end", "minutes", "status"]
    rows = [[interval[n] for n in columns] for side in found.sides for interval in side.coverage]
    print_table("Coverage around the minute", columns, rows)
    click.echo()
    _show_fetches(found.sides)
    show_made(found.made, found.as_of)


def _headline(found: Explanation) -> str:
    what = f"{found.instrument}, {found.kind}, minute {found.ts:%Y-%m-%d %H:%M}Z"
    if found.basis:
        row = found.basis
        mark = ", suspect" if row["suspect"] else ""
        return f"{what}: basis {number(row['basis'])}, {row['market_structure']}{mark}."
    if found.reason is None:
        return f"{what}: its candle passed validation; a perpetual has no basis."
    no = "no basis" if found.kind == "future" else "no candle"
    return f"{what}: {no}, because of {found.reason.instrument}. {found.reason.text}"


def _show_candles(sides: list[Side]) -> None:
    declared = CANDLES.columns[2:]
    columns = [column.name for column in declared]
    rows: list[list[object]] = []
    for side in sides:
        for table, row in (("raw_candles", side.raw), ("candles", side.candle)):
            rows.append([side.instrument, table, *_cells(row, columns)])
    numbers = [
        Heading(
            f"{column.name} ({column.unit})" if column.unit else column.name,
            Kind.EXACT,
            rank=_RANKS.get(column.name, 0),
        )
        for column in declared
    ]
    print_table("Candles of the minute", ["instrument", "table", *numbers], rows)


def _cells(row: Row | None, columns: list[str]) -> list[object]:
    if row is None:
        return ["none", *([""] * (len(columns) - 1))]
    return [row.get(name, "") for name in columns]


def _show_checks(sides: list[Side]) -> None:
    checked = [side for side in sides if side.checks]
    rows = [
        [each[0].rule, *("passed" if check.passed else "BROKEN" for check in each), each[0].meaning]
        for each in zip(*(side.checks for side in checked), strict=True)
    ]
    if rows:
        names = [side.instrument for side in checked]
        print_table("Rules", ["rule", *names, "what it finds"], rows)
        click.echo()
    for side in sides:
        if side.warnings:
            paragraph(f"Warnings: {side.instrument}: {', '.join(side.warnings)}.")


def _show_fetches(sides: list[Side]) -> None:
    for side in sides:
        if side.fetched:
            paragraph(f"Fetched: {side.instrument}: {fetch_line(side.fetched)}")
