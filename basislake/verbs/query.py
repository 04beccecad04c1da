"""`status` and `sql`: what the lake and the database hold."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from textwrap import indent
from typing import Any

import click
import polars as pl

from basislake.asof import opened
from basislake.columns import Column, Kind
from basislake.defaults import EMBEDDED
from basislake.examples import EXAMPLES, MARK, text_of
from basislake.export import export, objects, readable
from basislake.files import replacing
from basislake.formats import TABLE, format_of
from basislake.output import counted, percent, print_json, say
from basislake.overview import next_steps, show_coins, show_next, show_tables
from basislake.runs import show_runs
from basislake.settings import check_exists, lake_flag
from basislake.status import BEHIND, database_status, lake_status
from basislake.tables import heading, print_table
from basislake.target import Target
from lake import Lake
from lake.errors import LoadError, UsageError
from lake.tables import TABLES, Type
from load.address import DEFAULT_SCHEMA

_SHOWN_ROWS = 50


def status(where: Lake, target: Target, *, as_json: bool) -> int:
    """See `basislake.commands.status`; return the exit code."""
    check_exists(where)
    found = lake_status(where)
    found["database"], found["database_error"] = _database(where, target)
    now = datetime.now(UTC)
    steps = next_steps(found, now)
    if as_json:
        print_json(found | {"next": [{"verb": verb, "why": why} for verb, why in steps]})
    else:
        _show(found, now)
        click.echo()
        # Whether something is left to do is not known where the database cannot be asked.
        if steps or not found["database_error"]:
            show_next(steps, lake_flag(where), _flags(target))
    if found["database_error"]:
        say(f"Error: {found['database_error']}")
    differs = not all(row["equal"] for row in (found["database"] or {}).values())
    return 1 if found["unanswered"] or differs or found["database_error"] else 0


def sql(
    query: str | None,
    where: Lake,
    as_of: int | datetime | None,
    format_: str | None,
    output: Path | None,
    *,
    shows_examples: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.sql`; return the exit code."""
    if shows_examples:
        _show_examples(as_json=as_json)
        return 0
    if query is None:
        raise UsageError("Give a query, or @NAME of an example; `--examples` lists them.")
    text = text_of(query)
    format_, is_compressed = format_of("json" if as_json else format_, output)
    check_exists(where)
    with opened(where, as_of) as lake:
        rows = lake.sql(text)
    if output is None:
        _print(rows, format_)
    else:
        _save(rows, format_, output, is_compressed=is_compressed)
    return 0


def _show_examples(*, as_json: bool) -> None:
    if as_json:
        print_json([asdict(example) for example in EXAMPLES])
        return
    for example in EXAMPLES:
        heading(f"{MARK}{example.name}: {example.title}")
        click.echo(f"{example.expect}\n\n{indent(example.sql, '    ')}\n")


def _database(where: Lake, target: Target) -> tuple[dict[str, Any] | None, str | None]:
    """The rows of the database, None where the embedded one was never made; and why it cannot be
    asked, if so, which hides nothing of the lake.
    """
    try:
        with target.known(where) as uri:
            if uri is None:
                return None, None
            return database_status(where, uri, target.schema, target.lock_wait_s), None
    except LoadError as exc:
        return None, str(exc)


def _show_intervals(title: str, intervals: list[dict[str, Any]], note: str) -> None:
    if not intervals:
        return
    rows = [list(row.values()) for row in intervals[:_SHOWN_ROWS]]
    more = len(intervals) - len(rows)
    told = f"And {more:,} more; `--json` lists all. {note}" if more else note
    print_table(title, ["instrument", "start", "end", "minutes"], rows, note=told)


def _flags(target: Target) -> str:
    """What another command needs to be about the same database; never a password."""
    database = "" if target.postgres == EMBEDDED else " --postgres URI"
    is_usual = target.schema == DEFAULT_SCHEMA
    return database + ("" if is_usual else f" --schema {quote(target.schema)}")


def _show(found: dict[str, Any], now: datetime) -> None:
    show_tables(found, now)
    click.echo()
    show_coins(found["coins"], now)
    click.echo()
    total = sum(found["coverage"].values())
    shares = [[name, n, percent(n, total)] for name, n in found["coverage"].items()]
    share = Column("share", Kind.MEASURE)
    print_table("Coverage", ["status", "minutes", share], shares)
    click.echo()
    if found["newest_candle"]:
        click.echo(f"Newest candle: {found['newest_candle']:%Y-%m-%d %H:%M}Z")
    if found["behind"]:
        click.echo(BEHIND)
    if found["quarantined"]:
        print_table("Quarantine", ["rule", "rows"], list(found["quarantined"].items()))
    _show_intervals("Asked, not answered", found["unanswered"], "`basislake backfill` asks again.")
    _show_intervals(
        "Missing after the first candle",
        found["missing"],
        "Two answers or more lack them. The next backfill asks once more, then only --repair.",
    )
    show_runs(found["running"], found["runs"])
    click.echo()
    if found["database_error"]:
        click.echo("PostgreSQL: cannot be asked.")
        return
    if found["database"] is None:
        click.echo("PostgreSQL: nothing loaded yet; `basislake load` does it.")
        return
    rows = [
        [name, row["lake"], row["database"], row["behind"], row["equal"]]
        for name, row in found["database"].items()
    ]
    columns = ["table", "rows in lake", "rows in database", "partitions to load", "equal"]
    compares = "`basislake load --verify` compares every cell."
    sends = "`basislake load` sends what changed, `load --full` everything."
    note = sends if any(row["behind"] for row in found["database"].values()) else compares
    print_table("PostgreSQL", columns, rows, note=note)


def _print(frame: pl.DataFrame, format_: str) -> None:
    if format_ == TABLE:
        shown = readable(frame.head(_SHOWN_ROWS))
        more = frame.height - shown.height
        note = f"... and {counted(more, 'more row')}; --format csv prints all." if more else ""
        columns = [Column(name, _kind(name)) for name in frame.columns]
        print_table(counted(frame.height, "row"), columns, shown.rows(), note=note)
    elif format_ == "json":
        print_json(objects(readable(frame)))
    else:
        export(frame, format_, sys.stdout.buffer, is_compressed=False)


def _kind(name: str) -> Kind:
    """A column that is called as a time of the lake holds times, also where all are midnights."""
    return Kind.TIME if name in _times() else Kind.PLAIN


def _times() -> set[str]:
    columns = (column for table in TABLES.values() for column in table.columns)
    return {column.name for column in columns if column.type is Type.TIME}


def _save(frame: pl.DataFrame, format_: str, output: Path, *, is_compressed: bool) -> None:
    try:
        with replacing(output) as sink:
            export(frame, format_, sink, is_compressed=is_compressed)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}.") from exc
