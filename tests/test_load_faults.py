"""Loads that cannot be: servers that die or refuse, locks, full disks; then the one that finishes.

Each load is the command in a process of its own. The servers are embedded ones, started here.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from itertools import product
from pathlib import Path

import pytest

from lake import Lake
from lake.errors import LoadError
from lake.files.slices import by_month
from lake.tables import CANDLES
from load.embedded.server import embedded, psql_command
from load.postgres import Database
from tests.hosts import Hosts
from tests.loading import (
    FUTURE,
    OTHER,
    PERPETUAL,
    Target,
    candles,
    fresh_target,
    partition,
    put,
    small_lake,
)
from tests.market import Ran, basislake, command
from tests.processes import ended, running, small_disk, wait_until
from tests.servers import pid_of

ROWS = 100_000
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
SECRET = "s3cr3t-Passw0rd"  # noqa: S105


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that takes a few seconds to load."""
    lake = small_lake(tmp_path_factory.mktemp("large") / "lake")
    for name in (FUTURE, OTHER, PERPETUAL):
        put(lake, CANDLES, name, candles(ROWS))
    return lake


def loading(target: Target) -> AbstractContextManager[subprocess.Popen[str]]:
    return running(command(None, "load", *target.options))


def _one_that_copies(target: Target, process: subprocess.Popen[str]) -> int:
    """Wait for one of the server's processes to take in rows, stop it in the middle, and return its
    number; SIGCONT makes it go on.
    """
    sql = "SELECT pid FROM pg_stat_progress_copy WHERE tuples_processed > 0"
    found: list[int] = []
    with Database(target.uri) as watching:

        def copying() -> list[int]:
            pids = [pid for (pid,) in watching.query(sql)]
            # A transaction sees what it saw first.
            watching.rollback()
            return pids

        def is_found() -> bool:
            for pid in copying():
                os.kill(pid, signal.SIGSTOP)
                # It may have come to the end before the signal.
                if pid in copying():
                    found.append(pid)
                    return True
                os.kill(pid, signal.SIGCONT)
            return False

        # Without a pause: on a fast machine a COPY takes a few hundredths of a second.
        while not is_found():
            assert process.poll() is None, process.communicate()
    return found[0]


def refused(done: Ran) -> str:
    """What a load said that failed as it should."""
    assert done.code == 1, done
    assert "Traceback" not in done.err
    assert SECRET not in done.err + done.out
    return done.err


def partitions(target: Target) -> dict[tuple[str, str], int]:
    """Rows of each partition that a reader sees."""
    found: dict[tuple[str, str], int] = {}
    for table in target.tables() & {"futures_ohlcv", "perpetuals_ohlcv"}:
        month = "to_char(timestamp AT TIME ZONE 'UTC', '/YYYY-MM')"
        rows = target.query(f"SELECT instrument || {month}, count(*) FROM {table} GROUP BY 1")
        found |= {(table, name): count for name, count in rows}
    return found


def is_whole(target: Target) -> bool:
    """Whether every partition that is there is there with all its rows, and in the ledger."""
    found = partitions(target)
    entries = (
        target.query('SELECT "table", partition, rows FROM lake_loads')
        if "lake_loads" in target.tables()
        else []
    )
    ledger = {(t, p): n for t, p, n in entries if t in {"futures_ohlcv", "perpetuals_ohlcv"}}
    whole = {8, *(month.height for _, month in by_month(candles(ROWS)))}
    return found == ledger and set(found.values()) <= whole


VICTIMS = ("postmaster", "backend", "connection", "loader")
LOADS = ("first load", "later load")


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "which"), [*product(VICTIMS, LOADS)])
def test_a_kill_in_the_middle_leaves_whole_partitions_and_a_rerun_finishes(
    large: Lake, pg: Path, tmp_path: Path, victim: str, which: str
) -> None:
    with embedded(pg) as uri:
        target = fresh_target(uri, large)
        if which == "later load":
            Target(uri, target.schema, small_lake(tmp_path / "small")).load()
            put(large, CANDLES, FUTURE, candles(ROWS, shift=1.0))
        with loading(target) as process:
            backend = _one_that_copies(target, process)
            if victim == "loader":
                process.kill()
            elif victim == "postmaster":
                os.kill(pid_of(pg), signal.SIGKILL)
            elif victim == "backend":
                os.kill(backend, signal.SIGKILL)
            else:
                target.query("SELECT pg_terminate_backend($1::int)", backend)
            with suppress(ProcessLookupError):
                os.kill(backend, signal.SIGCONT)
            done = ended(process)
        if victim != "loader":
            text = refused(done)
            assert "was not loaded into" in text or "cannot be reached" in text, text
            assert "Load again to continue." in text or "run the command again" in text
    with embedded(pg) as uri:
        target = Target(f"{uri}&options=-csearch_path%3D{target.schema}", target.schema, large)
        wait_until(None, lambda: _answers(target))
        assert is_whole(target)
        done = basislake(None, "load", *target.options)
        assert done.code == 0, done.err
        assert target.compare().equal


def _answers(target: Target) -> bool:
    with suppress(LoadError):
        return bool(target.query("SELECT 1"))
    return False


@pytest.mark.slow
def test_a_lock_of_another_session_is_waited_for_and_then_told(target: Target) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(5))
    with Database(target.uri) as other:
        other.execute("LOCK TABLE futures_ohlcv IN SHARE ROW EXCLUSIVE MODE")
        started_s = time.monotonic()
        text = refused(basislake(None, "load", *target.options, "--lock-wait", "1.5"))
        assert time.monotonic() - started_s > 1.5
        assert f"The partition {partition(FUTURE)} of futures_ohlcv was not loaded" in text
        assert "Another session held the lock for more than 1.5 s" in text
        assert len(target.rows("futures_ohlcv")) == 16
        with loading(target) as process:
            wait_until(process, lambda: target.query(WAITING) == [(1,)])
            other.rollback()
            assert ended(process).code == 0
    assert target.compare().equal


@pytest.mark.slow
def test_of_two_loads_at_once_one_stops_and_the_other_is_not_disturbed(target: Target) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(20))
    with Database(target.uri) as other:
        other.execute("LOCK TABLE futures_ohlcv IN SHARE ROW EXCLUSIVE MODE")
        with loading(target) as one:
            wait_until(one, lambda: target.query(WAITING) == [(1,)])
            text = refused(basislake(None, "load", *target.options))
            assert "Another load is writing to the schema" in text
            assert "Wait until it ends, then load again" in text
            other.rollback()
            assert ended(one).code == 0
    assert target.compare().equal


@pytest.mark.slow
def test_a_full_disk_of_the_server_loses_nothing_and_a_rerun_finishes(
    large: Lake, pg: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "40m") as grow, embedded(pg) as uri:
        space = disk / "space"
        space.mkdir()
        if os.geteuid() == 0:
            os.chown(space, pg.stat().st_uid, -1)
        for sql in (
            f"CREATE TABLESPACE small LOCATION '{space}'",  # not in a transaction
            "ALTER ROLE postgres SET default_tablespace = 'small'",
        ):
            subprocess.run([*shlex.split(psql_command(uri)), "-qc", sql], check=True)
        target = fresh_target(uri, large)
        Target(uri, target.schema, small_lake(tmp_path / "small")).load()
        text = refused(basislake(None, "load", *target.options))
        assert "No space left on device" in text
        assert is_whole(target)
        grow("600m")
        done = basislake(None, "load", *target.options)
        assert done.code == 0, done.err
        assert target.compare().equal


@pytest.mark.slow
def test_a_role_without_rights_is_told_what_it_lacks_and_changes_nothing(target: Target) -> None:
    role = f"r{target.schema}"
    target.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    try:
        uri = target.uri.replace("postgres@", f"{role}:{SECRET}@")
        own = ("--lake", target.lake.uri, "--postgres", uri, "--schema", target.schema)
        text = refused(basislake(None, "load", *own))
        assert "permission denied for database" in text
        assert "Nothing was changed" in text
        assert "Check the rights of the user" in text
        target.execute(
            f"CREATE SCHEMA {target.schema}", f"GRANT USAGE ON SCHEMA {target.schema} TO {role}"
        )
        denied = f"permission denied for schema {target.schema}"
        assert denied in refused(basislake(None, "load", *own))
        target.load()
        assert "permission denied for table lake_loads" in refused(basislake(None, "load", *own))
        names = ", ".join(target.tables())
        target.execute(f"GRANT SELECT ON {names} TO {role}")
        assert basislake(None, "load", *own).code == 0  # there is nothing to do
        assert basislake(None, "load", "--verify", *own).code == 0
        put(target.lake, CANDLES, FUTURE, candles(5))
        assert "permission denied for table futures_ohlcv" in refused(basislake(None, "load", *own))
        assert len(target.rows("futures_ohlcv")) == 16
    finally:
        target.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_read_only_server_is_told_and_can_be_compared_with(target: Target) -> None:
    uri = f"{target.uri}%20-cdefault_transaction_read_only%3Don"
    options = ("--lake", target.lake.uri, "--postgres", uri, "--schema", target.schema)
    text = refused(basislake(None, "load", *options))
    assert "cannot execute CREATE SCHEMA in a read-only transaction" in text
    assert target.tables() == set()
    target.load()
    assert basislake(None, "load", *options).code == 0
    assert basislake(None, "load", "--verify", *options).code == 0
    put(target.lake, CANDLES, FUTURE, candles(5))
    assert basislake(None, "load", "--dry-run", *options).code == 0
    text = refused(basislake(None, "load", *options))
    assert "in a read-only transaction" in text
    assert len(target.rows("futures_ohlcv")) == 16


@pytest.mark.slow
def test_limits_that_a_server_sets_for_all_sessions_do_not_end_a_load(target: Target) -> None:
    limits = "%20-cstatement_timeout%3D250%20-cidle_in_transaction_session_timeout%3D250"
    for name in (FUTURE, OTHER):
        put(target.lake, CANDLES, name, candles(200_000))
    limited = Target(f"{target.uri}{limits}", target.schema, target.lake)
    limited.load()
    assert limited.compare().equal


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "Connection refused"),
        ("nowhere.invalid", "could not translate host name"),
    ],
)
def test_a_host_that_cannot_be_reached_is_told_by_name(
    target: Target, address: str, why: str
) -> None:
    uri = f"postgresql://bob:{SECRET}@{address}/market"
    for verb in (["load"], ["load", "--dry-run"], ["load", "--verify"], ["status"]):
        text = refused(basislake(None, *verb, "--lake", target.lake.uri, "--postgres", uri))
        assert f"{address}/market cannot be reached" in text
        assert why in text
        assert "Nothing was changed" in text


@pytest.mark.slow
def test_a_host_that_never_answers_is_given_up(target: Target, host: Hosts) -> None:
    uri = f"postgresql://bob:{SECRET}@127.0.0.1:{host().port}/market?connect_timeout=2"
    text = refused(basislake(None, "load", "--lake", target.lake.uri, "--postgres", uri))
    assert "timeout expired" in text


def test_a_wrong_password_is_told_and_shown_nowhere(small: Target, tmp_path: Path) -> None:
    uri = small.uri.replace("postgres@", f"locked:{SECRET}@")
    text = refused(basislake(None, "load", "--lake", small.lake.uri, "--postgres", uri))
    assert "password authentication failed" in text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.fixture
def small(pg: Path, tmp_path: Path) -> Iterator[Target]:
    """A server of its own, where the role `locked` needs a password."""
    lake = small_lake(tmp_path / "lake")
    with embedded(pg) as uri:
        with Database(uri) as database:
            database.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
            database.commit()
            hba = pg / "pg_hba.conf"
            hba.write_text(f"local all locked scram-sha-256\n{hba.read_text()}")
            database.query("SELECT pg_reload_conf()")
            database.commit()
        yield fresh_target(uri, lake)
