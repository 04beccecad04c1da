"""`maintain`: keeps the lake's files and logs in shape; no row changes."""

import time
from dataclasses import dataclass
from datetime import timedelta

from basislake import PROGRAM
from basislake.output import Progress, print_json, size
from basislake.settings import check_exists
from basislake.tables import print_table
from lake import Lake
from lake.compaction import Compacted, compact, planned
from lake.retention import GivenUp, give_up
from lake.tables import RAW_CANDLES
from lake.upkeep import checkpoint, outdated, upgrade
from lake.vacuum import Vacuumed, vacuum

_HOUR = timedelta(hours=1)


def maintain(
    where: Lake,
    hours: float,
    keep_replaced: timedelta | None,
    *,
    unsafe: bool,
    is_dry: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.maintain`; return the exit code."""
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
