"""Commands that are killed at random moments, repeatedly, in one lake.

After each kill readers see true and complete data; in the end the lake is as without kills.
BASISLAKE_TEST_KILLS sets the number of kills.
"""

import logging
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from basislake import PROGRAM
from basislake.cli.main import main
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from lake import Lake
from lake import open as open_lake
from lake.backup.copy import copy
from lake.batches import newest_batch
from lake.errors import GoneError
from lake.history.as_of import past
from lake.tables import BASIS, CANDLES, QUARANTINE, RAW_CANDLES
from tests.loading import Target, fresh_target
from tests.market import arguments, basislake, rows, truths
from tests.processes import PATIENCE_S
from tests.staged import GROWING, built, content, is_same

_log = logging.getLogger(__name__)
KILLS = int(os.environ.get("BASISLAKE_TEST_KILLS", "48"))
# What the commands import when they are called; a fork of a process that has it starts at once.
IMPORTED = [
    "tests.test_kills",
    *(f"basislake.verbs.{name}" for name in ("backfill", "build", "maintain", "load", "backup")),
]


class Victims:
    """Runs commands in processes, and kills most of them at any moment of their time."""

    def __init__(self, output: Path) -> None:
        """Run nothing yet; what commands say goes into a file."""
        self._output = output
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(IMPORTED)
        self._draw = random.Random()  # noqa: S311  (moments, not secrets)
        # How long each took at most that was not killed.
        self._longest_s: dict[str, float] = {}

    def choice(self, options: Sequence[Any]) -> Any:  # noqa: ANN401  (one of them)
        return self._draw.choice(options)

    def is_killed(self, line: list[str]) -> bool:
        """Run a command, and kill it at some moment of the longest time it took so far."""
        verb = line[0]
        process = self._context.Process(target=_run, args=(line, self._output))
        begun_s = time.monotonic()
        process.start()
        process.join(self._draw.uniform(0, self._longest_s.get(verb, PATIENCE_S)))
        process.kill()
        process.join()
        if process.exitcode == 0:
            took_s = time.monotonic() - begun_s
            self._longest_s[verb] = max(took_s, self._longest_s.get(verb, 0.0))
        elif process.exitcode != -9:
            # What a killed build had begun to replace was tidied away since.
            assert "`basislake build` builds the newest" in self._output.read_text(), line
        return process.exitcode == -9


def _run(line: list[str], output: Path) -> None:
    with output.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        main(line)


@pytest.mark.slow
def test_commands_that_are_killed_at_any_moment_leave_what_is_true_and_whole(
    postgres: str, tmp_path: Path
) -> None:
    lake, other = (open_lake(str(tmp_path / name)) for name in ("lake", "copy"))
    target = fresh_target(postgres, lake)
    clock, victims = Clock(GROWING.now_ms - 4 * 86_400_000), Victims(tmp_path / "output")
    kills = Counter[str]()
    held: dict[int, int] = {}
    with SimulatedExchange(GROWING, clock=clock) as server:
        lines = {
            "instruments": arguments(server, "instruments", "--lake", lake.uri),
            "backfill": arguments(server, "backfill", "--lake", lake.uri),
            "build": arguments(None, "build", "--lake", lake.uri),
            "maintain": arguments(
                None, "maintain", "--lake", lake.uri, "--older-than", "0", "--unsafe"
            ),
            "load": arguments(None, "load", *target.options),
            "backup": arguments(None, "backup", other.uri, "--lake", lake.uri),
        }
        for line in lines.values():
            assert (done := basislake(None, *line)).code == 0, done.err
        while kills.total() < KILLS:
            clock.advance(victims.choice([60, 300, 3600]))
            verb = victims.choice([*lines])
            kills[verb] += victims.is_killed(lines[verb])
            if verb in {"backfill", "maintain"}:
                is_true(lake, clock())
                if newest := newest_batch(lake):
                    held[newest] = past(lake, newest).read(RAW_CANDLES).height
            if verb in {"build", "maintain"}:
                is_whole(lake)
            if verb == "load":
                is_loaded_whole(target)
        for line in lines.values():
            assert (done := basislake(None, *line)).code == 0, done.err
        assert rows(lake, "raw_candles").equals(truths(GROWING, clock()))
    for batch in [*held][:: max(1, len(held) // 20)]:
        assert past(lake, batch).read(RAW_CANDLES).height == held[batch]
    assert built(lake).rebuilt == 0
    assert target.compare().equal
    assert copy(lake, other, PROGRAM, 2).is_equal
    found = content(lake)
    _log.info("killed: %s", dict(kills))
    built(lake, full=True)
    assert is_same(found, content(lake))


def is_true(lake: Lake, now_ms: int) -> None:
    """No raw candle twice, none that the exchange does not have."""
    stored = rows(lake, "raw_candles")
    assert stored.select("instrument", "ts").is_unique().all()
    assert stored.join(truths(GROWING, now_ms), on=stored.columns, how="anti").is_empty()


def is_whole(lake: Lake) -> None:
    """Each raw candle that a build saw has become one of `candles` or of `quarantine`."""
    # What a killed build began to replace may be tidied away: then reading raises GoneError.
    with suppress(GoneError):
        still = lake.state()
        judged = sum(still.read(table).height for table in (CANDLES, QUARANTINE))
        batch = still.built_as_of()
        assert judged == (past(lake, batch).read(RAW_CANDLES).height if batch else 0)
        candles = still.scan(CANDLES.name).select("instrument", "ts").collect()
        matched = still.scan(BASIS.name).select("instrument", "ts").collect()
        assert matched.join(candles, on=["instrument", "ts"], how="anti").is_empty()


def is_loaded_whole(target: Target) -> None:
    """Every partition that the ledger names is there with all its rows, and no other."""
    if "lake_loads" not in target.tables():
        return
    ledger = target.query('SELECT "table", partition, rows FROM lake_loads')
    for table in ("futures_ohlcv", "perpetuals_ohlcv", "futures_basis_spread"):
        if table not in target.tables():
            continue
        month = "to_char(timestamp AT TIME ZONE 'UTC', '/YYYY-MM')"
        counted = target.query(f"SELECT instrument || {month}, count(*) FROM {table} GROUP BY 1")
        assert dict(counted) == {name: rows for of, name, rows in ledger if of == table and rows}
