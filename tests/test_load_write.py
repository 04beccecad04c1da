"""Partitions that something ends halfway: what was not committed is undone, whatever it was.

The failures are raised in the thread that loads, at a moment that a trigger in the database holds
it at: between the deletion of the old rows and the commit.
"""

import ctypes
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from threading import Event, get_ident

import pytest

from lake.errors import LoadError
from lake.tables import CANDLES
from load.ledger import Entry
from load.plan import Job
from load.postgres import Database
from load.results import Progress
from load.run import CONNECTIONS, load, over_connections
from load.source import partitions
from load.write import Sent, Writer
from tests.loading import FUTURE, OTHER, Target, candles, put
from tests.processes import PATIENCE_S, wait_until
from tests.tiers import slow_but

Row = tuple[object, ...]


class Pause:
    """Holds every transaction that deletes from `futures_ohlcv`, or adds to it, until `go_on`."""

    def __init__(self, target: Target, event: str) -> None:
        self._key = random.getrandbits(31)
        self._holder = Database(target.uri)
        self._holder.query("SELECT pg_advisory_lock($1)", (self._key,))
        self._holder.commit()
        target.execute(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS "
            f"'BEGIN PERFORM pg_advisory_xact_lock_shared({self._key}); RETURN NULL; END'",
            f"CREATE TRIGGER pause AFTER {event} ON futures_ohlcv EXECUTE FUNCTION pause()",
        )

    def is_reached(self) -> bool:
        """Whether a transaction is held."""
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
    pool: ThreadPoolExecutor, pause: Pause, send: Callable[[], Sent], raised: type[BaseException]
) -> Future[Sent]:
    """Send a partition, and raise something in its thread where it is held."""
    thread = pool.submit(get_ident).result()
    future = pool.submit(send)
    wait_until(None, pause.is_reached)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(raised))
    pause.go_on()
    return future


def job_of(target: Target, name: str) -> Job:
    """The job to send the candles of a future."""
    (partition,) = (p for p in partitions(target.lake) if p.key == ("futures_ohlcv", name))
    (held,) = target.query(
        "SELECT digest, rows FROM lake_loads WHERE \"table\" = 'futures_ohlcv' AND partition = $1",
        name,
    )
    return Job(partition, partition.digest(), Entry(*held))


def state(target: Target, name: str) -> tuple[list[Row], list[Row]]:
    """The rows of a future, and its entry in the ledger."""
    return (
        target.query("SELECT * FROM futures_ohlcv WHERE instrument = $1 ORDER BY timestamp", name),
        target.query("SELECT * FROM lake_loads WHERE partition = $1 ORDER BY 1", name),
    )


# What holds it, and what was put into the lake.
MOMENTS = {
    "after the deletion": ("DELETE", candles(12, shift=1.0)),
    "after the rows": ("INSERT", candles(12, shift=1.0)),
    "after an append": ("INSERT", candles(12)),
}
RAISED = (MemoryError, KeyboardInterrupt)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "raised"),
    slow_but([*zip(MOMENTS, RAISED, strict=False)], product(MOMENTS, RAISED)),
)
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
        assert f"The partition {FUTURE} of futures_ohlcv was not loaded into" in str(failure)
        assert "not enough memory" in str(failure)
        assert "What the database held of it is unchanged" in str(failure)
        assert isinstance(failure.__cause__, MemoryError)
    else:
        assert isinstance(failure, raised)
    assert target.load().partitions_loaded == 1
    assert target.compare().equal


def test_a_connection_whose_work_failed_is_not_lent_again(target: Target) -> None:
    target.load()
    commits = 10 * CONNECTIONS
    done: list[str] = []
    begun, deleted, finished = Event(), Event(), Event()

    def work(database: Database, piece: str) -> None:
        if piece == "delete":
            begun.wait(PATIENCE_S)
            database.execute("DELETE FROM futures_ohlcv")
            deleted.set()
            raise MemoryError
        if piece == "commit":
            deleted.wait(PATIENCE_S)
            database.query("SELECT 1")
            database.commit()
            done.append(piece)
            if len(done) == commits:
                finished.set()

    working = over_connections(target.uri, 30.0, work, ["first", "delete", *["commit"] * commits])
    assert next(working)[0] == "first"
    begun.set()
    assert finished.wait(PATIENCE_S)
    with pytest.raises(MemoryError):
        list(working)
    assert len(target.rows("futures_ohlcv")) == 16


def test_a_first_load_that_something_unforeseen_ends_leaves_no_part_of_its_table(
    target: Target,
) -> None:
    def out_of_memory(progress: Progress) -> None:
        if progress.partition == FUTURE and progress.table == "futures_ohlcv":
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
    pause = Pause(target, "DELETE")

    with Database(target.uri) as database:
        writer = Writer(database, target.schema)

        def remove() -> Sent:
            writer.remove(("futures_ohlcv", FUTURE))
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
    dies(target, f"AFTER DELETE ON futures_ohlcv FOR EACH ROW WHEN (OLD.instrument = '{FUTURE}')")
    with pytest.raises(LoadError) as caught:
        target.load()
    assert f"The partition {FUTURE} of futures_ohlcv was not loaded into" in str(caught.value)
    assert "terminating connection" in str(caught.value)
    assert state(target, FUTURE) == before
    target.execute("DROP TRIGGER dies ON futures_ohlcv")
    target.load()
    assert target.compare().equal


def test_a_server_that_goes_away_in_a_commit_leaves_it_open_and_the_next_load_knows(
    target: Target,
) -> None:
    target.load()
    before = state(target, FUTURE)
    put(target.lake, CANDLES, FUTURE, candles(12))
    dies(target, "AFTER UPDATE ON lake_loads DEFERRABLE INITIALLY DEFERRED FOR EACH ROW")
    with pytest.raises(LoadError) as caught:
        target.load()
    told = str(caught.value)
    assert f"The partition {FUTURE} of futures_ohlcv may have been loaded into" in told
    assert "all of it, with the entry in lake_loads, or nothing of it" in told
    assert "unchanged" not in told
    assert state(target, FUTURE) == before  # as it happens
    target.execute("DROP TRIGGER dies ON lake_loads")
    assert target.load().partitions_loaded == 1
    assert target.compare().equal


def dies(target: Target, when: str) -> None:
    """Have the server end the session that does something."""
    target.execute(
        "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
        f"CREATE {'CONSTRAINT ' if 'DEFERRABLE' in when else ''}TRIGGER dies {when} "
        "EXECUTE FUNCTION dies()",
    )
