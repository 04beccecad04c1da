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

import lake
from basislake import PROGRAM
from basislake.explain.basis import explain
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from lake import Lake
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


def age(where: Lake) -> None:
    """Make all that is there as old as if it had been written long ago."""
    then = time.time() - LONG_AGO_S
    for path in Path(where.uri).rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def by_another_program(where: Lake) -> None:
    tables = [name for name, table in TABLES.items() if where.snapshot(table).version is not None]
    # What is in the log goes when a checkpoint after it is old as well.
    for _ in range(2):
        age(where)
        with running([sys.executable, "-c", FOREIGN, where.uri, *tables]) as process:
            done = ended(process)
        assert done.code == 0, done.err


def by_ours(where: Lake) -> None:
    for _ in range(2):
        age(where)
        maintain(where, PROGRAM, timedelta(0), unsafe=True)


MAINTAINERS: dict[str, Callable[[Lake], None]] = {
    "another program": by_another_program,
    "ours": by_ours,
}


@dataclass(frozen=True, slots=True)
class Before:
    """What is to stay."""

    fingerprint: Fingerprint
    explained: object
    logs: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A lake that was maintained, and what it was before."""

    where: Lake
    before: Before


def row_of(where: Lake) -> tuple[str, object]:
    return where.scan("basis").select("instrument", "ts").sort("ts").collect().row(0)


def logs(where: Lake) -> int:
    return len(list(Path(where.uri).glob("*/_delta_log/*.json")))


@pytest.fixture(scope="module", params=slow_but(["another program"], MAINTAINERS))
def kept(
    staged: Staged, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Kept:
    """A lake, maintained, to be read or copied only."""
    where = staged.copy(tmp_path_factory.mktemp("kept"))
    name, ts = row_of(where)
    explained = explain(State(where), name, ts)  # type: ignore[arg-type]
    before = Before(fingerprint(where, 2), explained, logs(where))
    built(where, full=True)
    MAINTAINERS[request.param](where)
    return Kept(where, before)


def test_files_and_logs_were_removed(staged: Staged, kept: Kept) -> None:
    """Else the tests below would show nothing."""
    assert logs(kept.where) < kept.before.logs
    assert len(files(kept.where, "raw_candles")) < len(files(staged.where, "raw_candles"))
    assert not files(kept.where, "candles") & files(staged.where, "candles")
    for table in (RAW_CANDLES, CANDLES):
        found = kept.where.snapshot(table)
        assert files(kept.where, table.name) == {file.path for file in found.files}


def test_the_newest_rows_and_their_fingerprint_are_the_same(staged: Staged, kept: Kept) -> None:
    assert is_same(content(kept.where), staged.last.content)
    assert fingerprint(kept.where, 2) == kept.before.fingerprint
    assert fingerprint(kept.where, 2, verify=True) == kept.before.fingerprint


def test_raw_rows_as_of_every_batch_are_the_same(staged: Staged, kept: Kept) -> None:
    assert newest_batch(kept.where) == staged.last.batch
    for batch in range(1, staged.last.batch + 1):
        then, now = past(staged.where, batch), past(kept.where, batch)
        for table in RAW:
            rows = now.read(table).sort(table.key)
            assert rows.equals(then.read(table).sort(table.key)), (batch, table.name)
        for name in ("instruments", "coverage"):
            assert now.scan(name).collect().equals(then.scan(name).collect()), (batch, name)


def test_curated_rows_as_of_an_earlier_batch_are_made_again_the_same(
    staged: Staged, kept: Kept, tmp_path: Path
) -> None:
    at, batch = ("--lake", kept.where.uri), staged.first.batch
    assert not past(kept.where, batch).is_built
    done = basislake(None, "fingerprint", *at, "--as-of", batch, "--json")
    assert done.code == 0, done.err
    then = fingerprint(past(staged.where, batch), 2)
    assert (done.json["lake"], done.json["tables"]) == (then.lake, dict(then.tables))
    where = copied(kept.where, tmp_path)
    built(where, as_of=batch)
    assert is_same(content(where), staged.first.content, CURATED_NAMES)
    built(where)
    assert is_same(content(where), staged.last.content)


def test_explain_tells_what_it_told(kept: Kept) -> None:
    name, ts = row_of(kept.where)
    found = explain(State(kept.where), name, ts)  # type: ignore[arg-type]
    before = kept.before.explained
    for part in ("basis", "reason", "formula", "agrees", "sides", "as_of"):
        assert getattr(found, part) == getattr(before, part), part
    assert found.sides[0].fetched is not None


def test_a_build_has_nothing_to_do(kept: Kept) -> None:
    before = {table.name: kept.where.snapshot(table).version for table in CURATED}
    result = built(kept.where)
    assert (result.rebuilt, result.periods) == (0, 0)
    assert {table.name: kept.where.snapshot(table).version for table in CURATED} == before


@pytest.mark.slow
@pytest.mark.parametrize("maintainer", MAINTAINERS)
def test_a_load_sends_nothing_and_the_next_batch_is_built_and_loaded_right(
    where: Lake, postgres: str, tmp_path: Path, maintainer: str
) -> None:
    target = fresh_target(postgres, where)
    assert target.load().rows_loaded > 0
    MAINTAINERS[maintainer](where)
    again = target.load()
    assert (again.partitions_loaded, again.rows_loaded) == (0, 0)
    assert again.partitions_unchanged > 0

    clock = Clock(UNIVERSE.now_ms)
    clock.advance(7_200)
    with SimulatedExchange(UNIVERSE, clock=clock) as server:
        assert fetch(server, where).candles_written > 0
    done = built(where)
    assert 0 < done.periods < len(where.read(PERIODS))
    elsewhere = copied(where, tmp_path / "elsewhere")
    built(elsewhere, full=True)
    assert is_same(content(where), content(elsewhere))
    assert fingerprint(where, 2, verify=True) == fingerprint(elsewhere, 2, verify=True)
    more = target.load()
    assert more.partitions_loaded > 0
    assert target.compare().equal
    MAINTAINERS[maintainer](where)
    assert target.load().rows_loaded == 0
    assert Target(target.uri, target.schema, elsewhere).load().rows_loaded == 0
    target.execute(f"DROP SCHEMA {target.schema} CASCADE")


@pytest.mark.slow
def test_files_younger_than_a_day_are_kept_unless_it_is_said_that_nobody_needs_them(
    staged: Staged, where: Lake
) -> None:
    built(where, full=True)
    before = files(where, "candles")
    with pytest.raises(UsageError, match="may belong to a writer that has not committed"):
        maintain(where, PROGRAM, timedelta(hours=23))
    maintain(where, PROGRAM)
    assert files(where, "candles") == before
    assert is_same(content(past(where, staged.first.batch)), staged.first.content)
    planned = maintain(where, PROGRAM, timedelta(0), unsafe=True, dry=True)
    assert files(where, "candles") == before
    done = maintain(where, PROGRAM, timedelta(0), unsafe=True)
    assert done.removed == planned.removed
    assert done.removed["candles"] == len(before) - len(where.snapshot(CANDLES).files)
    assert is_same(content(where), staged.last.content)


def test_what_killed_writers_began_is_removed_when_it_is_old(where: Lake) -> None:
    folder = Path(where.uri) / "raw_candles" / "instrument=BTC-PERPETUAL"
    begun = [folder / f"{'0' * 64}-12345678.parquet{end}" for end in ("", "#1")]
    for path in begun:
        path.write_bytes(b"half")
    maintain(where, PROGRAM)
    assert all(path.exists() for path in begun)
    then = time.time() - LONG_AGO_S
    for path in begun:
        os.utime(path, (then, then))
    maintain(where, PROGRAM)
    assert not any(path.exists() for path in begun)


@pytest.mark.slow
def test_a_maintenance_that_is_killed_at_any_moment_loses_nothing(
    staged: Staged, where: Lake
) -> None:
    built(where, full=True)
    age(where)
    count = len(files(where, "raw_candles"))
    signs: list[Callable[[], bool]] = [
        lambda: len(files(where, "raw_candles")) > count,
        lambda: len(where.snapshot(RAW_CANDLES).files) < count,
        lambda: any(Path(where.uri).glob("raw_candles/_delta_log/_last_checkpoint")),
    ]
    line = command(None, "maintain", "--lake", where.uri, "--older-than", "0", "--unsafe")
    for sign in signs:
        with running(line) as process:
            wait_until(None, lambda sign=sign: process.poll() is not None or sign())  # type: ignore[misc]
        assert is_same(content(where), staged.last.content)
        assert past(where, staged.first.batch).read(RAW_CANDLES).height == (
            staged.first.content["raw_candles"].height
        )
        assert built(where).rebuilt == 0
    assert basislake(None, *line[3:]).code == 0
    assert is_same(content(where), staged.last.content)


@pytest.mark.slow
def test_logs_and_files_of_a_lake_that_goes_on_stay_bounded(where: Lake) -> None:
    """Six batches, builds and maintenances take as much as three."""
    clock, counts = Clock(UNIVERSE.now_ms), list[tuple[int, int]]()
    with SimulatedExchange(UNIVERSE, clock=clock) as server:
        for _ in range(6):
            clock.advance(1_800)
            fetch(server, where)
            built(where)
            by_ours(where)
            every = sum(len(files(where, name)) for name in TABLES)
            counts.append((logs(where), every))
    assert max(logs for logs, _ in counts[3:]) <= max(logs for logs, _ in counts[:3]) + len(TABLES)
    assert counts[-1][1] <= counts[2][1] + 2 * len(TABLES)
    assert lake.open(where.uri, as_of=1).snapshot(RAW_CANDLES).version is not None
