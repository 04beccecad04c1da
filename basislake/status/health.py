"""Health of a lake: whether it is fresh and nothing failed, for a program that monitors it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from basislake.output.pasting import called
from basislake.output.units import duration
from basislake.pipeline.retry_commands import retry_commands
from basislake.settings.named_lake import lake_flag
from ingest.backfill.run_records import RUNNING, STUCK, exchange_ahead, runs
from ingest.datasets import chosen
from ingest.datasets.candles import CANDLES
from ingest.plan.scope import described, outside, scope_of
from ingest.plan.selection import Selection
from lake import Lake
from lake.counted_words import counted
from lake.coverage import Subject
from lake.table import Table
from lake.tables import BASIS, COVERAGE, INSTRUMENTS, RAW_CANDLES
from lake.time.intervals import Span

# Ends of a backfill that need attention; an interruption was intended.
_FAILED_STATES = ("failed", "killed", "refused")


@dataclass(frozen=True, slots=True)
class Health:
    """Result of the check.

    Attributes:
        problems: one or two sentences each, with what to do; empty for a healthy lake.
        newest: by table, then by coin, the newest minute of an instrument that is still traded.
        scope: the lake's scope in words; nothing else is checked.
    """

    problems: list[str]
    newest: dict[str, dict[str, datetime]]
    scope: str


def health(lake: Lake, now: datetime, max_age: timedelta) -> Health:
    """Check whether the newest minutes are recent enough and whether something failed.

    Reads logs, `instruments`, `coverage` and the records of runs, but no candles. Checks only
    instruments in the lake's scope that their record calls active. Measures age by the exchange's
    clock that the last run saw, so that a simulated or an ended market does not count as late.

    Args:
        lake: to read.
        now: this machine's clock, UTC.
        max_age: of the newest minute of a coin, in `raw_candles` and in `basis`.

    Raises:
        LakeError: the lake cannot be read.
    """
    lake = lake.state()
    at = now + exchange_ahead(lake)
    scope = scope_of(lake)
    known = lake.read(INSTRUMENTS)
    selected = known.filter(~pl.col("instrument").is_in(list(outside(known, scope))))
    is_open = pl.col("expires_at").is_null() | (pl.col("expires_at") > at)
    is_over = scope.until is not None and scope.until <= at
    active = selected.filter(pl.col("active") & is_open & (not is_over))
    has_candles = CANDLES in chosen(scope.data)
    futures = _bases(active.filter(kind="future"))
    newest = {table.name: _newest(lake, table, _bases(active)) for table in (RAW_CANDLES, BASIS)}
    problems = [
        *_unknown(lake, known),
        *_old(lake, newest[RAW_CANDLES.name], at, max_age, _bases(active) if has_candles else {}),
        *_behind(lake, newest[BASIS.name], _newest(lake, RAW_CANDLES, futures), at, max_age),
        *_unanswered(lake, selected, scope),
        *_failed(lake, now),
    ]
    return Health(problems, newest, described(scope))


def _unknown(lake: Lake, known: pl.DataFrame) -> Iterator[str]:
    if known.is_empty():
        yield f"The lake has no list of instruments; {_command(lake, 'instruments')} fetches it."


def _command(lake: Lake, verb: str) -> str:
    """A command on this lake, for pasting."""
    return f"`{called()} {verb}{lake_flag(lake)}`"


def _bases(chosen: pl.DataFrame) -> dict[str, str]:
    """The coin of each instrument."""
    return dict(chosen.select("instrument", "base").iter_rows())


def _newest(lake: Lake, table: Table, bases: Mapping[str, str]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for file in lake.snapshot(table).files:
        base = bases.get(file.partition or "")
        if base and file.last:
            found[base] = max(file.last, found.get(base, file.last))
    return dict(sorted(found.items()))


def _old(
    lake: Lake,
    newest: Mapping[str, datetime],
    at: datetime,
    max_age: timedelta,
    open_now: Mapping[str, str],
) -> Iterator[str]:
    for base in sorted(set(open_now.values()) - newest.keys()):
        yield (
            f"raw_candles has no minute of an open instrument of {base}; "
            f"{_command(lake, 'backfill')} fetches the minutes, or {_command(lake, 'scope')} "
            "leaves the coin out."
        )
    for base, last in newest.items():
        if at - last > max_age:
            yield (
                f"The newest minute of {base} in raw_candles is {_when(last, at)}; "
                f"{_command(lake, 'run')} fetches newer ones."
            )


def _behind(
    lake: Lake,
    newest: Mapping[str, datetime],
    raw: Mapping[str, datetime],
    at: datetime,
    max_age: timedelta,
) -> Iterator[str]:
    """Coins that a build would update: those whose raw candles are newer than their basis."""
    for base, fetched in raw.items():
        last = newest.get(base)
        if last is None:
            yield f"basis has no minute of {base}; {_command(lake, 'build')} computes it."
        elif last < fetched and at - last > max_age:
            yield (
                f"The newest minute of {base} in basis is {_when(last, at)}, but newer candles are "
                f"stored; {_command(lake, 'build')} brings it up to date."
            )


def _when(last: datetime, at: datetime) -> str:
    return f"{last:%Y-%m-%d %H:%M}Z, {duration((at - last).total_seconds())} ago"


def _unanswered(lake: Lake, selected: pl.DataFrame, scope: Selection) -> Iterator[str]:
    """Steps of each dataset in scope that the exchange gave no answer for."""
    names = [*selected["instrument"], *selected["price_index"]]
    failed = lake.read(COVERAGE).filter(pl.col("instrument").is_in(names), status="failed")
    if scope.span is not None:
        failed = failed.filter(pl.col("start") < scope.span.end, pl.col("end") > scope.span.start)
    for dataset in chosen(scope.data):
        own = failed.filter(dataset=dataset.name)
        if own.is_empty():
            continue
        found = own["instrument"].unique().sort().to_list()
        steps = dataset.steps.count(Span(*each) for each in own.select("start", "end").iter_rows())
        what = "" if dataset is CANDLES else f" of {dataset.words}"
        of = ("index", "indices") if dataset.subject == "index_name" else ("instrument",)
        more = ", ..." if len(found) > 1 else ""
        (again,) = retry_commands(
            lake, [Subject(dataset.name, name) for name in found], scope=scope
        )
        yield (
            f"{counted(steps, dataset.noun)}{what} of {counted(len(found), *of)} "
            f"({found[0]}{more}) {'has' if steps == 1 else 'have'} no answer; `{again}` asks again."
        )


def _failed(lake: Lake, now: datetime) -> Iterator[str]:
    known = runs(lake, 10, now)
    for record in known:
        if record["state"] == STUCK:
            since = duration(record["quiet_seconds"])
            yield (
                f"The backfill {record['run']}, process {record['pid']} on {record['host']}, has "
                f"made no progress for {since}; {_command(lake, 'status')} shows details."
            )
    # A running run, such as a follow, resumes what others left.
    is_resumed = any(record["state"] == RUNNING for record in known)
    last = next(iter(known), None)
    if last and not is_resumed and last["state"] in _FAILED_STATES:
        ended = f"The last backfill, {last['run']}, ended as {last['state']}"
        yield f"{ended}; {_command(lake, 'backfill')} resumes it."
