"""Whether a lake is fresh and nothing failed, for a program that watches it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from basislake.output import duration
from ingest.runs import runs
from lake import Lake
from lake.tables import BASIS, COVERAGE, INSTRUMENTS, RAW_CANDLES, Table

# How the last backfill may have ended that somebody should look at; an interruption was wanted.
_FAILED_STATES = ("failed", "killed", "refused")


@dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    Attributes:
        problems: one sentence each, with what to do; none where all is well.
        newest: by table, then by coin, the newest minute of an instrument that is still traded.
    """

    problems: list[str]
    newest: dict[str, dict[str, datetime]]


def health(where: Lake, now: datetime, max_age: timedelta) -> Health:
    """Look whether the newest minutes are young enough and whether something failed.

    Reads logs, `instruments` and `coverage`, no candle.

    Args:
        where: the lake.
        now: UTC.
        max_age: of the newest minute of a coin, in `raw_candles` and in `basis`.

    Raises:
        LakeError: the lake cannot be read.
    """
    active = dict(
        where.read(INSTRUMENTS).filter(pl.col("active")).select("instrument", "base").iter_rows()
    )
    newest = {table.name: _newest(where, table, active) for table in (RAW_CANDLES, BASIS)}
    problems = [*_old(newest, now, max_age), *_unanswered(where), *_failed(where, now)]
    return Health(problems, newest)


def _newest(where: Lake, table: Table, active: dict[str, str]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for file in where.snapshot(table).files:
        base = active.get(file.partition or "")
        if base and file.last:
            found[base] = max(file.last, found.get(base, file.last))
    return dict(sorted(found.items()))


def _old(
    newest: dict[str, dict[str, datetime]], now: datetime, max_age: timedelta
) -> Iterator[str]:
    for table, verb in ((RAW_CANDLES, "backfill"), (BASIS, "build")):
        if not newest[table.name]:
            yield f"{table.name} holds no minute of a traded instrument; see `basislake {verb}`."
        for base, last in newest[table.name].items():
            if now - last > max_age:
                yield (
                    f"The newest minute of {base} in {table.name} is {last:%Y-%m-%d %H:%M}Z, "
                    f"{duration((now - last).total_seconds())} ago; see `basislake {verb}`."
                )


def _unanswered(where: Lake) -> Iterator[str]:
    failed = where.read(COVERAGE).filter(status="failed")
    if failed.height:
        names = failed["instrument"].unique().sort()
        more = ", ..." if names.len() > 1 else ""
        yield (
            f"{failed['minutes'].sum():,} minutes of {names.len()} instruments ({names[0]}{more}) "
            "have no answer; `basislake backfill` asks again."
        )


def _failed(where: Lake, now: datetime) -> Iterator[str]:
    ended = (record for record in runs(where, 10, now) if record["state"] != "running")
    last = next(ended, None)
    if last and last["state"] in _FAILED_STATES:
        told = f"The last backfill, {last['run']}, ended as {last['state']}"
        yield f"{told}; `basislake backfill` resumes."
