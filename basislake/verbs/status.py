"""`status`: the content of lake and database, what is left to fetch, what runs, what failed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import Any

import click

from basislake.cli.defaults import EMBEDDED
from basislake.output.json_output import print_json
from basislake.output.pasting import called, pasted
from basislake.output.screen import say
from basislake.output.tables import line_length, paragraph, print_table
from basislake.settings.database_target import Target
from basislake.settings.named_lake import check_exists, lake_flag
from basislake.status.database_compared import database_status, show_database
from basislake.status.next_steps import next_steps, retry_of, show_next
from basislake.status.overview import show_coins, show_datasets, show_summary, show_tables
from basislake.status.runs_shown import show_ended, show_running
from basislake.status.status import lake_status
from ingest.datasets.candles import CANDLES
from lake import Lake
from lake.counted_words import counted
from lake.coverage import Subject
from lake.errors import LoadError
from load.database_address import DEFAULT_SCHEMA

_SHOWN_INTERVALS = 10


def status(lake: Lake, target: Target, *, exact: bool, as_json: bool) -> int:
    """See `basislake.cli.commands.status`; return the exit code."""
    check_exists(lake)
    now = datetime.now(UTC)
    found = lake_status(lake, now)
    found["database"], found["database_error"] = _database(lake, target, exact=exact)
    found["retry"] = None
    if found["failed"]:
        again = retry_of(found, CANDLES.name, found["failed"])
        found["retry"] = f"{called()} {again}{lake_flag(lake)}"
    steps = next_steps(found)
    if as_json:
        print_json(found | {"next": [{"verb": verb, "why": why} for verb, why in steps]})
    else:
        _show(found, now)
        # If the database cannot be queried, nobody knows whether something is left to do.
        if steps or not found["database_error"]:
            show_next(steps, lake_flag(lake), _flags(target))
    if found["database_error"]:
        say(f"Error: {found['database_error']}")
    differs = not all(row["equal"] for row in (found["database"] or {}).values())
    is_failed = found["failed"] or any(of["failed"] for of in found["datasets"].values())
    is_wrong = is_failed or found["scope_problem"] or found["database_error"]
    return 1 if is_wrong or differs else 0


def _database(
    lake: Lake, target: Target, *, exact: bool
) -> tuple[dict[str, Any] | None, str | None]:
    """The rows of the database, None if the embedded one was never created; and why the database
    cannot be queried. Such a failure hides nothing about the lake.
    """
    try:
        with target.known(lake) as uri:
            if uri is None:
                return None, None
            known = database_status(lake, uri, target.schema, target.lock_wait_s, exact=exact)
            return known, None
    except LoadError as exc:
        return None, str(exc)


def _flags(target: Target) -> str:
    """Flags that make another command use the same database; never a password."""
    database = "" if target.postgres == EMBEDDED else " --postgres URI"
    is_usual = target.schema == DEFAULT_SCHEMA
    return database + ("" if is_usual else f" --schema {quote(target.schema)}")


def _show(found: dict[str, Any], now: datetime) -> None:
    show_summary(found)
    click.echo()
    show_coins(found["coins"])
    show_datasets(found)
    show_running(found["running"])
    _show_failed(found)
    _show_intervals(
        "Missing after the first row",
        found["missing"],
        "The exchange left these out at least twice. `backfill --repair` asks for them again.",
    )
    if found["quarantined"]:
        print_table("Quarantine", ["rule", "rows"], list(found["quarantined"].items()))
    show_ended(found["runs"])
    _show_database(found)
    click.echo()
    show_tables(found, now)
    click.echo()


def _show_failed(found: Mapping[str, Any]) -> None:
    """Intervals without an answer, and the command that asks for those in scope again."""
    phrase, command = "", ""
    if found["retry"]:
        count = counted(len(found["failed"]), "instrument")
        phrase = f"To ask for just these again ({count}):"
        command = pasted(found["retry"], line_length())
    _show_intervals("Asked, not answered", found["unanswered"], phrase, command)


def _show_intervals(
    title: str, intervals: Sequence[Mapping[str, Any]], note: str, command: str = ""
) -> None:
    if not intervals:
        return
    rows = [
        [Subject(row["dataset"], row["instrument"]), row["start"], row["end"], row["minutes"]]
        for row in intervals[:_SHOWN_INTERVALS]
    ]
    more = len(intervals) - len(rows)
    print_table(title, ["instrument", "start", "end", "minutes"], rows)
    if more:
        paragraph(f"And {counted(more, 'interval')} more; `--json` lists all.")
    if note:
        paragraph(note)
    if command:
        click.echo(command)
    click.echo()


def _show_database(found: Mapping[str, Any]) -> None:
    if found["database_error"]:
        paragraph("PostgreSQL: cannot be queried.")
        return
    if found["database"] is None:
        paragraph("PostgreSQL: nothing is loaded yet; `basislake load` loads the tables.")
        return
    show_database(found["database"])
