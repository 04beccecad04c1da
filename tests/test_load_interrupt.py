"""Ctrl-C and a polite end while the server keeps a command waiting: it ends, and nothing is left.

Each command is a process of its own. It is never the time that ends the wait: locks are waited for
an hour.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from lake.tables import CANDLES
from load.embedded.server import embedded
from load.postgres import Database
from load.preview import preview
from tests.loading import (
    FUTURE,
    Target,
    candles,
    disconnect,
    fresh_target,
    partition,
    put,
    small_lake,
)
from tests.market import Ran, basislake, command
from tests.processes import ended, running, wait_until
from tests.servers import Data
from tests.tiers import slow_but

WAITS_SQL = """
    SELECT count(*) > 0 FROM pg_stat_activity
    WHERE application_name = 'basislake' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


def interrupted(target: Target, *verb: str, by: signal.Signals = signal.SIGINT) -> Ran:
    """Run a command, signal it as soon as it waits for a lock of another session, and see it end
    while that session still holds the lock; nothing of it goes on in the server.
    """
    arguments = command(None, *verb, *target.options, "--lock-wait", "3600")
    with running(arguments) as process:
        wait_until(process, lambda: target.query(WAITS_SQL) == [(True,)])
        process.send_signal(by)
        done = ended(process)
    assert target.query(WAITS_SQL) == [(False,)]
    return done


@contextmanager
def holding(target: Target, sql: str, *parameters: object) -> Iterator[None]:
    """Another session holds what a statement takes."""
    with Database(target.uri) as other:
        other.execute(sql, parameters)
        yield
        other.rollback()


ENDS = (signal.SIGINT, signal.SIGTERM)
MOMENTS = ("to make a table", "to enter what was loaded")


@pytest.mark.parametrize(
    ("moment", "by"), slow_but([*zip(MOMENTS, ENDS, strict=True)], product(MOMENTS, ENDS))
)
def test_a_first_load_that_waits_is_ended(target: Target, moment: str, by: signal.Signals) -> None:
    ddl = preview(target.lake, target.uri, schema=target.schema).ddl
    target.execute(*(sql for sql in ddl if "SCHEMA" in sql or "lake_loads" in sql))
    entry = "INSERT INTO lake_loads VALUES ('futures_ohlcv', $1, '', 0, 0, now())"
    held = (
        ("CREATE TABLE futures_ohlcv ()",)
        if moment == "to make a table"
        else (entry, partition(FUTURE))
    )
    with holding(target, *held):
        done = interrupted(target, "load", by=by)
        assert done.code != 0
        assert "Interrupted. What was committed is safe" in done.err
        assert "Traceback" not in done.err
        assert "futures_ohlcv" not in target.tables()
    target.load()
    assert target.compare().equal


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["load --verify", "load --dry-run", "status"])
def test_a_command_that_only_reads_is_ended_as_well(target: Target, verb: str) -> None:
    target.load()
    with holding(target, "LOCK TABLE futures_ohlcv IN ACCESS EXCLUSIVE MODE"):
        assert "Interrupted" in interrupted(target, *verb.split()).err


@pytest.mark.parametrize("verb", ["load --verify", "load --dry-run", "status", "report"])
def test_a_command_that_only_reads_waits_for_a_lock_as_long_as_it_is_allowed_to(
    target: Target, verb: str
) -> None:
    target.load()
    with holding(target, "LOCK TABLE futures_ohlcv IN ACCESS EXCLUSIVE MODE"):
        done = basislake(None, *verb.split(), *target.options, "--lock-wait", "0.2")
    assert done.code == 1
    assert "Another session held the lock for more than 0.2 s" in done.err


WITHOUT_ITS_STANDBY = """
wal_level = replica
max_wal_senders = 1
synchronous_standby_names = 'nobody'
synchronous_commit = local
"""


@pytest.fixture
def without_its_standby(server_data: Data, tmp_path: Path) -> Iterator[Target]:
    """A loaded lake on a server of its own that waits in a commit for a standby which is not there,
    where a session wants it to.
    """
    server_data(tmp_path / "pg")
    with (tmp_path / "pg" / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(WITHOUT_ITS_STANDBY)
    with embedded(tmp_path / "pg") as uri:
        target = fresh_target(uri, small_lake(tmp_path / "lake"))
        target.load()
        yield target
        disconnect()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["Ctrl-C", "the server"])
def test_a_commit_that_waits_for_a_missing_standby_is_ended_and_said_to_be_in_doubt(
    without_its_standby: Target, end: str
) -> None:
    target = without_its_standby
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    put(target.lake, CANDLES, FUTURE, candles(12))
    uri = f"{target.uri}%20-csynchronous_commit%3Don"
    options = ("--lake", target.lake.uri, "--postgres", uri, "--schema", target.schema)
    with running(command(None, "load", *options)) as process:
        wait_until(process, lambda: len(target.query(waits)) == 1)
        if end == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        else:
            target.query("SELECT pg_terminate_backend($1::int)", target.query(waits)[0][0])
        text = ended(process).err
    assert ("it stored all of that commit or nothing" in text) == (end == "Ctrl-C"), text
    assert ("may have been loaded into" in text) == (end == "the server"), text
    assert target.load().partitions_loaded == 0  # it was committed, as it happens
    assert target.compare().equal
