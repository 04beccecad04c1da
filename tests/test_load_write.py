"""Partitions that something ends halfway: what was not committed is undone, whatever it was.

The failures are raised in the thread that loads, at a moment that a trigger in the database holds
it at: between the deletion of the old rows and the commit.
"""

import ctypes
import gc
import random
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from threading import Event, get_ident

import polars as pl
import pytest

from lake.errors import LoadError
from lake.tables import CANDLES
from load.connections import Connections
from load.ledger import Entry
from load.loader import load
from load.plan import PartitionJob
from load.postgres import Database
from load.results import LoadProgress
from load.source import partitions
from load.write import Sent, Writer
from tests.loading import (
    FUTURE,
    MONTH,
    OTHER,
    PERPETUAL,
    Target,
    candles,
    partition,
    put,
    small_lake,
)
from tests.processes import PATIENCE_S, wait_until

Row = tuple[object, ...]
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class Pause:
    """Holds every transaction at an event of a table, such as AFTER INSERT, until `go_on`."""

    def __init__(self, target: Target, event: str, table: str = "futures_ohlcv") -> None:
        self._key = random.getrandbits(31)
        self._holder = Database(target.uri)
        self._holder.query("SELECT pg_advisory_lock($1)", (self._key,))
        self._holder.commit()
        target.execute(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS "
            f"'BEGIN PERFORM pg_advisory_xact_lock_shared({self._key}); RETURN NULL; END'",
            f"CREATE TRIGGER pause {event} ON {table} EXECUTE FUNCTION pause()",
        )

    def is_reached(self) -> bool:
        """Whether a transaction is blocked."""
        sql = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE objid = $1::int8::oid AND NOT granted)"
        found = self._holder.query(sql, (self._key,))[0][0]
        self._holder.commit()
        return bool(found)

    def go_on(self) -> None:
        """Hold nothing any more."""
        self._holder.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def sent_and_stopped(
    pool: ThreadPoolExecutor, pause: Pause, send: Callable[[], object], raised: type[BaseException]
) -> Future[object]:
    """Send a partition, and raise an exception in its thread where it is blocked."""
    thread = pool.submit(get_ident).result()
    future = pool.submit(send)
    wait_until(None, pause.is_reached)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(raised))
    pause.go_on()
    return future


def job_of(target: Target, name: str) -> PartitionJob:
    """The job to send the candles of a future."""
    key = ("futures_ohlcv", partition(name))
    (own,) = (p for p in partitions(target.lake) if p.key == key)
    (held,) = target.query(
        "SELECT digest, rows FROM lake_loads WHERE \"table\" = 'futures_ohlcv' AND partition = $1",
        partition(name),
    )
    return PartitionJob(own, Entry(*held))


def state(target: Target, name: str) -> tuple[list[Row], list[Row]]:
    """The rows of a future, and its entry in the ledger."""
    return (
        target.query("SELECT * FROM futures_ohlcv WHERE instrument = $1 ORDER BY timestamp", name),
        target.query("SELECT * FROM lake_loads WHERE partition = $1 ORDER BY 1", partition(name)),
    )


# What holds it, and what was put into the lake.
MOMENTS = {
    "after the deletion": ("AFTER DELETE", candles(13, shift=1.0)[1:]),
    "after the rows": ("AFTER INSERT", candles(12, shift=1.0)),
    "after an append": ("AFTER INSERT", candles(12)),
}
RAISED = (MemoryError, KeyboardInterrupt)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "raised"), [*product(MOMENTS, RAISED)])
def test_whatever_ends_a_partition_halfway_is_undone_before_the_connection_goes_on(
    target: Target,
    pool: ThreadPoolExecutor,
    moment: str,
    raised: type[BaseException],
) -> None:
    event, now = MOMENTS[moment]
    target.load()
    before = state(target, FUTURE)
    for name in (FUTURE, OTHER):
        put(target.lake, CANDLES, name, now)
    pause = Pause(target, event)
    with Database(target.uri) as database:
        writer = Writer(database, target.schema)
        one, other = (job_of(target, name) for name in (FUTURE, OTHER))
        failure = sent_and_stopped(pool, pause, lambda: writer.send(one), raised).exception()
        writer.send(other)
    assert state(target, FUTURE) == before
    assert len(state(target, OTHER)[0]) == 12
    if raised is MemoryError:
        assert isinstance(failure, LoadError)
        assert f"The partition {FUTURE}/{MONTH} of futures_ohlcv was not loaded" in str(failure)
        assert "not enough memory" in str(failure)
        assert "Its rows in the database are unchanged" in str(failure)
        assert isinstance(failure.__cause__, MemoryError)
    else:
        assert isinstance(failure, raised)
    assert target.load().partitions_loaded == 1
    assert target.compare().equal


def test_what_a_failed_piece_of_work_left_open_does_not_count(target: Target) -> None:
    target.load()
    done: list[str] = []
    joined, deleted = Event(), Event()

    def work(database: Database, piece: str) -> None:
        if piece == "delete":
            joined.wait(PATIENCE_S)
            database.execute("DELETE FROM futures_ohlcv")
            deleted.set()
            raise MemoryError
        joined.set()
        deleted.wait(PATIENCE_S)
        database.query("SELECT 1")
        database.commit()
        done.append(piece)

    connections = Connections(target.uri, 30.0)
    with pytest.raises(MemoryError):
        list(connections.each(connections.open(), work, ["delete", "commit"]))
    connections.close()
    assert done == ["commit"]
    assert len(target.rows("futures_ohlcv")) == 16


def test_a_first_load_that_something_unforeseen_ends_leaves_no_part_of_its_table(
    target: Target,
) -> None:
    def out_of_memory(progress: LoadProgress) -> None:
        if progress.partition == partition(FUTURE) and progress.table == "futures_ohlcv":
            raise MemoryError

    with pytest.raises(LoadError, match="The table futures_ohlcv was not loaded") as caught:
        load(target.lake, target.uri, schema=target.schema, report=out_of_memory)
    assert "not enough memory" in str(caught.value)
    assert "futures_ohlcv" not in target.tables()
    target.load()
    assert target.compare().equal


def test_a_withdrawn_partition_that_something_unforeseen_keeps_is_still_there(
    target: Target, pool: ThreadPoolExecutor
) -> None:
    target.load()
    before = state(target, FUTURE)
    pause = Pause(target, "AFTER DELETE")

    with Database(target.uri) as database:
        writer = Writer(database, target.schema)

        def remove() -> Sent:
            writer.remove(("futures_ohlcv", partition(FUTURE)))
            return Sent(0)

        failure = sent_and_stopped(pool, pause, remove, MemoryError).exception()
        database.commit()
    assert isinstance(failure, LoadError)
    assert "was not removed from" in str(failure)
    assert state(target, FUTURE) == before


def test_a_server_that_goes_away_cannot_be_asked_to_undo_and_does_so_by_itself(
    target: Target,
) -> None:
    target.load()
    before = state(target, FUTURE)
    for name in (FUTURE, OTHER):
        put(target.lake, CANDLES, name, candles(12, shift=1.0))
    dies(target, f"AFTER UPDATE ON futures_ohlcv FOR EACH ROW WHEN (OLD.instrument = '{FUTURE}')")
    with pytest.raises(LoadError) as caught:
        target.load()
    assert f"The partition {FUTURE}/{MONTH} of futures_ohlcv was not loaded" in str(caught.value)
    assert "terminating connection" in str(caught.value)
    assert state(target, FUTURE) == before
    target.execute("DROP TRIGGER dies ON futures_ohlcv")
    target.load()
    assert target.compare().equal


class Listener:
    """Hears of a load's progress, and ends the session that fills `futures_ohlcv` halfway."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def hear(self, progress: LoadProgress) -> None:
        if progress.table == "futures_ohlcv":
            self._target.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN "
                "(SELECT pid FROM pg_stat_progress_copy) AND query LIKE '%futures_ohlcv%'"
            )


@pytest.mark.slow
def test_a_first_load_that_the_server_ended_keeps_nothing_alive(target: Target) -> None:
    """What is kept until the process ends makes libraries complain then, after our message."""
    listener = Listener(target)
    kept = weakref.ref(listener)
    for name in (FUTURE, OTHER):
        put(target.lake, CANDLES, name, candles(100_000))
    with pytest.raises(LoadError) as caught:
        load(target.lake, target.uri, schema=target.schema, report=listener.hear)
    assert "The table futures_ohlcv was not loaded into" in str(caught.value)
    del listener, caught
    gc.collect()
    assert kept() is None


def test_entries_become_visible_in_the_order_of_their_times(
    target: Target, pool: ThreadPoolExecutor
) -> None:
    """A consumer asks for what is newer than the newest entry that it has seen."""
    target.load()
    ((seen,),) = target.query("SELECT max(loaded_at) FROM lake_loads")
    for name in (FUTURE, PERPETUAL):
        put(target.lake, CANDLES, name, candles(12))
    pause = Pause(target, "AFTER UPDATE", "lake_loads")
    future = pool.submit(target.load)
    wait_until(None, pause.is_reached)
    # The first has read the clock and not committed; the other waits before it reads it.
    wait_until(None, lambda: target.query(WAITING) == [(2,)])
    newer = "SELECT partition FROM lake_loads WHERE loaded_at > $1 ORDER BY loaded_at"
    assert target.query(newer, seen) == []
    ((before_commit,),) = target.query("SELECT clock_timestamp()")
    pause.go_on()
    assert future.result().partitions_loaded == 2
    assert sorted(target.query(newer, seen)) == [(partition(FUTURE),), (partition(PERPETUAL),)]
    assert len(target.query(newer, before_commit)) == 1


def test_a_session_waits_for_the_lake_in_a_transaction_with_our_settings(target: Target) -> None:
    """A server may end sessions that are idle, in a transaction or not."""
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(12))
    job = job_of(target, FUTURE)
    states: list[Row] = []
    with Database(target.uri) as database:
        pids = database.query("SELECT pg_backend_pid()")
        database.commit()

        def frame(rows: pl.DataFrame, expiry: date | None) -> pl.DataFrame:
            asked = "SELECT state FROM pg_stat_activity WHERE pid = $1"
            states.extend(target.query(asked, *pids[0]))
            return job.partition.feed.frame(rows, expiry)

        slow = replace(job.partition, feed=replace(job.partition.feed, frame=frame))
        Writer(database, target.schema).send(job._replace(partition=slow))
    assert states == [("idle in transaction",)]


def test_loads_that_meet_in_one_partition_take_turns(
    target: Target, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    """Two loads meet after somebody ended the session with the lock of the first."""
    target.load()
    other = Target(target.uri, target.schema, small_lake(tmp_path / "other"))
    put(target.lake, CANDLES, FUTURE, candles(12))
    put(other.lake, CANDLES, FUTURE, candles(8, shift=1.0))
    pause = Pause(target, "AFTER UPDATE", "lake_loads")
    first = pool.submit(target.load)
    wait_until(None, pause.is_reached)
    target.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' AND pid <> pg_backend_pid()"
    )
    with ThreadPoolExecutor(1) as another:
        second = another.submit(other.load, lock_wait_s=PATIENCE_S)
        wait_until(None, lambda: target.query(WAITING) == [(2,)])
        pause.go_on()
        assert first.result().partitions_appended == 1
        assert second.result().partitions_loaded == 1
    assert other.compare().equal


def test_nobody_can_refer_to_a_row_between_the_check_and_its_deletion(
    target: Target, pool: ThreadPoolExecutor
) -> None:
    target.load()
    target.execute(
        "CREATE TABLE trades (instrument text, timestamp timestamptz, FOREIGN KEY "
        "(instrument, timestamp) REFERENCES futures_ohlcv ON DELETE CASCADE)"
    )
    put(target.lake, CANDLES, FUTURE, candles(7))
    pause = Pause(target, "BEFORE DELETE")
    future = pool.submit(target.load)
    wait_until(None, pause.is_reached)
    late = f"INSERT INTO trades VALUES ('{FUTURE}', '2019-05-01 00:07Z')"
    with Database(target.uri, 0.1) as other, pytest.raises(LoadError, match="held the lock"):
        other.execute(late)
    pause.go_on()
    assert future.result().partitions_loaded == 1
    with pytest.raises(LoadError, match="violates foreign key constraint"):
        target.execute(late)


def dies(target: Target, when: str) -> None:
    """Have the server end the session that does something."""
    target.execute(
        "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
        f"CREATE TRIGGER dies {when} EXECUTE FUNCTION dies()",
    )
