"""Next steps in `status`: which commands to run next, and why."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basislake.output.pasting import called
from basislake.output.tables import console, print_commands
from basislake.pipeline.retry_commands import retry_arguments
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.plan.completeness import Completeness
from ingest.plan.selection import Selection
from lake.counted_words import counted
from lake.coverage import Subject

# Verbs that write to the database.
_LOADING = ("load", "load --verify", "run")
# A user who fetched only this many futures may want no others.
_FEW = 6

Next = tuple[str, str]


def next_steps(found: Mapping[str, Any]) -> list[Next]:
    """Return what to run next, most urgent first, as (arguments of `basislake`, why); pure.

    Args:
        found: what `status --json` prints.
    """
    steps: list[Next] = []
    if found["scope_problem"]:
        steps.append(("scope --all", "sets the scope to everything, because it cannot be used"))
    elif not found["instruments"]["known"]:
        steps.append(("instruments", "fetches the list of instruments, in four calls"))
    elif not found["running"]:
        # A stuck run still holds its locks.
        steps += _fetching_steps(found)
    if found["behind"]:
        steps.append(("build", "brings the curated tables up to date"))
    is_loadable = found["behind"] or found["tables"]["builds"]["rows"]
    if not found["database_error"] and (found["database"] or is_loadable):
        steps += _database_steps(found["database"])
    return steps


def retry_of(found: Mapping[str, Any], dataset: str, failed: Sequence[str]) -> str:
    """Return the arguments of `basislake` that ask again for what failed of a dataset; pure.

    Args:
        found: as for `next_steps`.
        dataset: its name.
        failed: its instruments or indices that failed, at least one.
    """
    scope = Selection(names=tuple(found["scope"].get("instruments", ())))
    return retry_arguments([Subject(dataset, name) for name in failed], scope=scope)[0]


def _fetching_steps(found: Mapping[str, Any]) -> Iterator[Next]:
    failed, plan = found["failed"], found["to_fetch"]
    if failed:
        count = found["minutes"]["failed"]
        why = f"asks again for {counted(count, 'minute')} without an answer"
        yield retry_of(found, CANDLES.name, failed), why
    for name, of in found["datasets"].items():
        if of["failed"]:
            steps = f"{counted(of['steps'].failed, of['noun'])} of {DATASETS[name].words}"
            yield retry_of(found, name, of["failed"]), f"asks again for {steps}"
    rest = [
        row for row in found["standings"] if _is_lacking(row) and row["instrument"] not in failed
    ]
    lacking = [
        DATASETS[name].words
        for name, of in found["datasets"].items()
        if of[Completeness.BEGUN.value] + of[Completeness.NOT_BEGUN.value] > len(of["failed"])
    ]
    others = plan["all_calls"] - plan["calls"]
    if not rest:
        if lacking:
            yield "backfill", f"fetches {', '.join(lacking)} in {counted(others, 'call')}"
        return
    is_old = all(row["is_open"] and row["state"] == Completeness.BEGUN.value for row in rest)
    verb = "run" if is_old and found["tables"]["builds"]["rows"] else "backfill"
    also = f", carry data in {others:,}" if lacking else ""
    calls = counted(plan["calls"], "call")
    yield verb, f"fetches at most {counted(plan['candles'], 'candle')} in {calls}{also}"
    begun = [row["instrument"] for row in found["standings"] if _is_begun_future(row)]
    is_unset = found["scope"]["is_everything"] and found["instruments"]["not_begun"]
    if is_unset and 0 < len(begun) <= _FEW:
        names = ",".join(begun)
        yield f"scope --instruments {names}", "limits the lake's scope to these instruments"


def _is_lacking(row: Mapping[str, Any]) -> bool:
    return row["state"] in (Completeness.BEGUN.value, Completeness.NOT_BEGUN.value)


def _is_begun_future(row: Mapping[str, Any]) -> bool:
    return bool(row["kind"] == "future" and row["state"] != Completeness.NOT_BEGUN.value)


def _database_steps(database: Mapping[str, Any] | None) -> list[Next]:
    if database is None:
        return [("load", "loads the tables into PostgreSQL for the first time")]
    if any(row["behind"] for row in database.values()):
        return [("load", "sends what changed to PostgreSQL; with --full everything")]
    if not all(row["equal"] for row in database.values()):
        return [("load --verify", "names the rows that differ, and how to correct them")]
    return []


def show_next(steps: Sequence[Next], lake_flags: str, database_flags: str) -> None:
    """Print the commands to run next, each on a separate line for pasting.

    Args:
        steps: of `next_steps`.
        lake_flags: further flags of all commands, e.g. ` --lake ./demo-lake`, or empty.
        database_flags: further flags of commands that write to the database, or empty.
    """
    if not steps:
        console(sys.stdout).print("Nothing is left to do.", style="green")
        return
    commands = []
    for arguments, why in steps:
        flags = lake_flags + (database_flags if arguments in _LOADING else "")
        commands.append((f"{called()} {arguments}{flags}", why))
    print_commands("Next", commands)
