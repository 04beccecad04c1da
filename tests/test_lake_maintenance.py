"""Maintenance by Delta's own means, of another program and of ours: rows, builds, loads and what is
known of every batch stay what they were.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from basislake import PROGRAM
from basislake.explain.basis import explain
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.errors import UsageError
from lake.history.as_of import past
from lake.history.fingerprint import Fingerprint, fingerprint
from lake.maintenance.maintain import maintain
from lake.state import State
from lake.tables import CANDLES, CURATED, PERIODS, RAW, RAW_CANDLES, TABLES
from tests.lakes import copied
from tests.loading import Target, fresh_target
from tests.market import basislake, command, fetch
from tests.processes import ended, running, wait_until
from tests.staged import CURATED_NAMES, UNIVERSE, Staged, built, content, files, is_same
from tests.tiers import slow_but

# Another program that knows nothing of us.
FOREIGN = """
import sys
from deltalake import DeltaTable

for name in sys.argv[2:]:
    table = DeltaTable(f"{sys.argv[1]}/{name}")
    table.optimize.compact()
    table.vacuum(full=True, dry_run=False)
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    table.create_checkpoint()
    table.cleanup_metadata()
"""
LONG_AGO_S = 90 * 86_400


def age(lake: Lake) -> None:
    """Make all that is there as old as if it had been written long ago."""
    then = time.time() - LONG_AGO_S
    for path in Path(lake.uri).rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def by_another_program(lake: Lake) -> None:
    tables = [name for name, table in TABLES.items() if lake.snapshot(table).version is not None]
    # What is in the log goes when a checkpoint after it is old as well.
    for _ in range(2):
        age(lake)
        with running([sys.executable, "-c", FOREIGN, lake.uri, *tables]) as process:
            done = ended(process)
        assert done.code == 0, done.err


def by_ours(lake: Lake) -> None:
    for _ in range(2):
        age(lake)
        maintain(lake, PROGRAM, timedelta(0), unsafe=True)


MAINTAINERS: dict[str, Callable[[Lake], None]] = {
    "another program": by_another_program,
    "ours": by_ours,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A lake that was maintained, and what it was before."""

    lake: Lake
    fingerprint: Fingerprint
    explained: object
    logs: int


def row_of(lake: Lake) -> tuple[str, object]:
    return lake.scan("basis").select("instrument", "ts").sort("ts").collect().row(0)


def logs(lake: Lake) -> int:
    return len(list(Path(lake.uri).glob("*/_delta_log/*.json")))


@pytest.fixture(scope="module", params=slow_but(["another program"], MAINTAINERS))
def kept(
    staged: Staged, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Kept:
    """A lake, maintained, to be read or copied only."""
    lake = staged.copy(tmp_path_factory.mktemp("kept"))
    name, ts = row_of(lake)
    explained = explain(State(lake), name, ts)  # type: ignore[arg-type]
    kept = Kept(lake, fingerprint(lake, 2), explained, logs(lake))
    built(lake, full=True)
    MAINTAINERS[request.param](lake)
    return kept


def test_files_and_logs_were_removed(staged: Staged, kept: Kept) -> None:
    """Else the tests below would show nothing."""
    assert logs(kept.lake) < kept.logs
    assert len(files(kept.lake, "raw_candles")) < len(files(staged.lake, "raw_candles"))
    assert not files(kept.lake, "candles") & files(staged.lake, "candles")
    for table in (RAW_CANDLES, CANDLES):
        found = kept.lake.snapshot(table)
        assert files(kept.lake, table.name) == {file.path for file in found.files}


def test_the_newest_rows_and_their_fingerprint_are_the_same(staged: Staged, kept: Kept) -> None:
    assert is_same(content(kept.lake), staged.last.content)
    assert fingerprint(kept.lake, 2) == kept.fingerprint
    assert fingerprint(kept.lake, 2, verify=True) == kept.fingerprint


def test_raw_rows_as_of_every_batch_are_the_same(staged: Staged, kept: Kept) -> None:
    assert newest_batch(kept.lake) == staged.last.batch
    for batch in range(1, staged.last.batch + 1):
        then, now = past(staged.lake, batch), past(kept.lake, batch)
        for table in RAW:
            rows = now.read(table).sort(table.key)
            assert rows.equals(then.read(table).sort(table.key)), (batch, table.name)
        for name in ("instruments", "coverage"):
            assert now.scan(name).collect().equals(then.scan(name).collect()), (batch, name)


def test_curated_rows_as_of_an_earlier_batch_are_made_again_the_same(
    staged: Staged, kept: Kept, tmp_path: Path
) -> None:
    at, batch = ("--lake", kept.lake.uri), staged.first.batch
    assert not past(kept.lake, batch).is_built
    done = basislake(None, "fingerprint", *at, "--as-of", batch, "--json")
    assert done.code == 0, done.err
    then = fingerprint(past(staged.lake, batch), 2)
    assert (done.json["lake"], done.json["tables"]) == (then.lake, dict(then.tables))
    lake = copied(kept.lake, tmp_path)
    built(lake, as_of=batch)
    assert is_same(content(lake), staged.first.content, CURATED_NAMES)
    built(lake)
    assert is_same(content(lake), staged.last.content)


def test_explain_tells_what_it_told(kept: Kept) -> None:
    name, ts = row_of(kept.lake)
    found = explain(State(kept.lake), name, ts)  # type: ignore[arg-type]
    for part in ("basis", "reason", "formula", "agrees", "sides", "as_of"):
        assert getattr(found, part) == getattr(kept.explained, part), part
    assert found.sides[0].fetched is not None


def test_a_build_has_nothing_to_do(kept: Kept) -> None:
    before = {table.name: kept.lake.snapshot(table).version for table in CURATED}
    result = built(kept.lake)
    assert (result.rebuilt, result.periods) == (0, 0)
    assert {table.name: kept.lake.snapshot(table).version for table in CURATED} == before


@pytest.mark.slow
@pytest.mark.parametrize("maintainer", MAINTAINERS)
def test_a_load_sends_nothing_and_the_next_batch_is_built_and_loaded_right(
    lake: Lake, postgres: str, tmp_path: Path, maintainer: str
) -> None:
    target = fresh_target(postgres, lake)
    assert target.load().rows_loaded > 0
    MAINTAINERS[maintainer](lake)
    again = target.load()
    assert (again.partitions_loaded, again.rows_loaded) == (0, 0)
    assert again.partitions_unchanged > 0

    clock = Clock(UNIVERSE.now_ms)
    clock.advance(7_200)
    with SimulatedExchange(UNIVERSE, clock=clock) as server:
        assert fetch(server, lake).candles_written > 0
    done = built(lake)
    assert 0 < done.periods < len(lake.read(PERIODS))
    elsewhere = copied(lake, tmp_path / "elsewhere")
    built(elsewhere, full=True)
    assert is_same(content(lake), content(elsewhere))
    assert fingerprint(lake, 2, verify=True) == fingerprint(elsewhere, 2, verify=True)
    more = target.load()
    assert more.partitions_loaded > 0
    assert target.compare().equal
    MAINTAINERS[maintainer](lake)
    assert target.load().rows_loaded == 0
    assert Target(target.uri, target.schema, elsewhere).load().rows_loaded == 0
    target.execute(f"DROP SCHEMA {target.schema} CASCADE")


@pytest.mark.slow
def test_files_younger_than_a_day_are_kept_unless_it_is_said_that_nobody_needs_them(
    staged: Staged, lake: Lake
) -> None:
    built(lake, full=True)
    before = files(lake, "candles")
    with pytest.raises(UsageError, match="may belong to a writer that has not committed"):
        maintain(lake, PROGRAM, timedelta(hours=23))
    maintain(lake, PROGRAM)
    assert files(lake, "candles") == before
    assert is_same(content(past(lake, staged.first.batch)), staged.first.content)
    planned = maintain(lake, PROGRAM, timedelta(0), unsafe=True, dry=True)
    assert files(lake, "candles") == before
    done = maintain(lake, PROGRAM, timedelta(0), unsafe=True)
    assert done.removed == planned.removed
    assert done.removed["candles"] == len(before) - len(lake.snapshot(CANDLES).files)
    assert is_same(content(lake), staged.last.content)


def test_what_killed_writers_began_is_removed_when_it_is_old(lake: Lake) -> None:
    folder = Path(lake.uri) / "raw_candles" / "instrument=BTC-PERPETUAL"
    begun = [folder / f"{'0' * 64}-12345678.parquet{end}" for end in ("", "#1")]
    for path in begun:
        path.write_bytes(b"half")
    maintain(lake, PROGRAM)
    assert all(path.exists() for path in begun)
    then = time.time() - LONG_AGO_S
    for path in begun:
        os.utime(path, (then, then))
    maintain(lake, PROGRAM)
    assert not any(path.exists() for path in begun)


@pytest.mark.slow
def test_a_maintenance_that_is_killed_at_any_moment_loses_nothing(
    staged: Staged, lake: Lake
) -> None:
    built(lake, full=True)
    age(lake)
    count = len(files(lake, "raw_candles"))
    signs: list[Callable[[], bool]] = [
        lambda: len(files(lake, "raw_candles")) > count,
        lambda: len(lake.snapshot(RAW_CANDLES).files) < count,
        lambda: any(Path(lake.uri).glob("raw_candles/_delta_log/_last_checkpoint")),
    ]
    line = command(None, "maintain", "--lake", lake.uri, "--older-than", "0", "--unsafe")
    for sign in signs:
        with running(line) as process:
            wait_until(None, lambda sign=sign: process.poll() is not None or sign())  # type: ignore[misc]
        assert is_same(content(lake), staged.last.content)
        assert past(lake, staged.first.batch).read(RAW_CANDLES).height == (
            staged.first.content["raw_candles"].height
        )
        assert built(lake).rebuilt == 0
    assert basislake(None, *line[3:]).code == 0
    assert is_same(content(lake), staged.last.content)


@pytest.mark.slow
def test_logs_and_files_of_a_lake_that_goes_on_stay_bounded(lake: Lake) -> None:
    """Six batches, builds and maintenances take as much as three."""
    clock, counts = Clock(UNIVERSE.now_ms), list[tuple[int, int]]()
    with SimulatedExchange(UNIVERSE, clock=clock) as server:
        for _ in range(6):
            clock.advance(1_800)
            fetch(server, lake)
            built(lake)
            by_ours(lake)
            every = sum(len(files(lake, name)) for name in TABLES)
            counts.append((logs(lake), every))
    assert max(logs for logs, _ in counts[3:]) <= max(logs for logs, _ in counts[:3]) + len(TABLES)
    assert counts[-1][1] <= counts[2][1] + 2 * len(TABLES)
    # Files are merged by twos, so six commits leave two, be they of batches or of builds.
    whole = [lake.snapshot(table) for table in TABLES.values() if table.partition is None]
    assert max(len(snapshot.files) for snapshot in whole) <= 3
    assert open_lake(lake.uri, as_of=1).snapshot(RAW_CANDLES).version is not None
