"""`maintain`: keeps the lake's files and logs in shape; no row changes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import click

from basislake import PROGRAM
from basislake.options import MOST_HOURS, F, Number, Whole, json_option, lake_option
from basislake.output import Progress, print_json, print_table, size
from basislake.settings import check_exists
from lake import Lake
from lake.compaction import Compacted, compact, planned
from lake.retention import GivenUp, give_up
from lake.tables import RAW_CANDLES
from lake.upkeep import checkpoint, outdated, upgrade
from lake.vacuum import DEFAULT_AGE, Vacuumed, vacuum

_HOUR = timedelta(hours=1)


def keep_replaced_option(default: int) -> Callable[[F], F]:
    """Add --keep-replaced; the command gets `keep_replaced`, None where all is kept."""
    return click.option(
        "--keep-replaced",
        type=Whole(0, MOST_HOURS),
        default=default,
        metavar="HOURS",
        callback=lambda _context, _option, hours: hours * _HOUR if hours else None,
        help="Give up what newer versions replaced longer ago than this, 0 for never",
    )


@click.command(short_help="Compact, checkpoint and tidy the lake")
@lake_option
@click.option(
    "--older-than",
    "hours",
    type=Number(min=0, max=MOST_HOURS),
    default=DEFAULT_AGE / _HOUR,
    metavar="HOURS",
    help="Remove files that no version needs where they are so old",
)
@keep_replaced_option(default=0)
@click.option("--unsafe", is_flag=True, help="Allow less than 24 hours: no other command may run")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what there is to do, change nothing")
@json_option
def maintain(
    where: Lake,
    hours: float,
    keep_replaced: timedelta | None,
    *,
    unsafe: bool,
    is_dry: bool,
    as_json: bool,
) -> int:
    """Keep the lake in shape: put the small files of raw_candles together, write checkpoints of
    long logs, remove what killed writers left, and bring tables of an older basislake up to date.

    No row changes, and files that any version needs stay. Safe beside a running backfill, build or
    reader, and to kill.

    With --keep-replaced, what newer versions replaced so many hours ago is given up: curated
    tables, which `build --raw-version` makes again; coverage of versions that no build was made
    from; and small files of raw candles that were put together, whose versions are read from the
    larger file then, so that none of them loses a row.

    \b
    Example:
        basislake maintain
        basislake maintain --dry-run
        basislake maintain --keep-replaced 24
    """
    check_exists(where)
    done = _maintain(where, hours * _HOUR, keep_replaced, unsafe=unsafe, is_dry=is_dry)
    if as_json:
        print_json(done)
    else:
        _show(done, is_dry=is_dry)
    return 0


@dataclass(slots=True)
class Maintained:
    """What was done, or is to be done.

    Attributes:
        upgraded: tables that an older basislake had made.
        compacted: files of `raw_candles` put together.
        checkpoints: tables whose log got one.
        given_up: of old versions.
        vacuumed: files that no version needs.
        seconds: it took.
    """

    upgraded: list[str]
    compacted: Compacted
    checkpoints: list[str]
    given_up: GivenUp
    vacuumed: Vacuumed
    seconds: float


def _maintain(
    where: Lake, age: timedelta, keep: timedelta | None, *, unsafe: bool, is_dry: bool
) -> Maintained:
    started_s = time.monotonic()
    # Refuses an unsafe age before anything is changed.
    vacuumed = vacuum(where, age, unsafe=unsafe, dry=True)
    if is_dry:
        compacted = planned(where.snapshot(RAW_CANDLES))
        seconds = time.monotonic() - started_s
        return Maintained(outdated(where), compacted, [], GivenUp(), vacuumed, seconds)
    upgraded = upgrade(where, PROGRAM)
    compacted = compact(where, RAW_CANDLES, PROGRAM, Progress("groups of files"))
    checkpoints = checkpoint(where)
    given_up = GivenUp() if keep is None else give_up(where, keep, PROGRAM)
    vacuumed = vacuum(where, age, unsafe=unsafe)
    seconds = time.monotonic() - started_s
    return Maintained(upgraded, compacted, checkpoints, given_up, vacuumed, seconds)


def _show(done: Maintained, *, is_dry: bool) -> None:
    rows: list[list[object]] = [
        ["tables of an older basislake", len(done.upgraded)],
        ["small files of raw_candles", done.compacted.files_before],
        ["put together into", done.compacted.files_after],
        ["rows in them", done.compacted.rows],
        ["checkpoints written", None if is_dry else len(done.checkpoints)],
        ["versions of other tables given up", None if is_dry else done.given_up.versions],
        ["files given up, removed", None if is_dry else done.given_up.files],
        ["bytes in them", None if is_dry else size(done.given_up.bytes)],
        ["files that no version needs, removed", done.vacuumed.files],
        ["bytes in them", size(done.vacuumed.bytes)],
        ["such files that are too young", done.vacuumed.young],
    ]
    print_table("To be done" if is_dry else "Done", ["what", "count"], rows)
