"""Lakes in an object store, here a stand-in for S3, and for Google's: every verb, several writers,
and a store that is slow, loses replies or goes away.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import requests

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from ingest.follow_schedule import Schedule
from lake import Lake
from lake import open as open_lake
from lake.batches import commit_batch
from lake.errors import ConflictError, LakeError
from lake.files import parquet
from lake.location.lake_address import Address
from lake.maintenance.maintain import maintain
from lake.properties.origin import set_origin
from lake.table import BATCH
from lake.tables import BASIS, INSTRUMENTS, RAW_CANDLES
from lake.time.intervals import MINUTE
from tests.following import evening_market, follower
from tests.gates import Gate
from tests.lakes import LINEAGE, append_to, names, stored
from tests.market import Ran, basislake, command, fetch, rows, truths
from tests.object_store import SECRET, ObjectStore, Proxy
from tests.processes import ended, running, wait_until
from tests.strategies import T0, candles, instruments, written
from transforms.build_task import Source, Task
from transforms.staleness import Life

BEGUN = b"PUT /bucket/half HTTP/1.1\r\nHost: store\r\nContent-Length: 100\r\n\r\nhalf"


@pytest.fixture
def server(coin: Universe) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(coin) as serving:
        yield serving


class Verbs:
    """Runs verbs on a lake in a store, and keeps what they said."""

    def __init__(self, store: ObjectStore, machine: Path) -> None:
        self.uri = store.uri(f"verbs-{store.scheme}")
        self._env = store.environment(machine)
        self._said: list[Ran] = []

    def run(self, *arguments: object, to: SimulatedExchange | None = None, code: int = 0) -> Ran:
        done = basislake(to, *arguments, "--lake", self.uri, env=self._env)
        assert done.code == code, done.err
        self._said.append(done)
        return done

    def holds_what_is_on_disk(self, lake: Lake) -> None:
        """By its rows, read again, without having shown a secret."""
        here = basislake(None, "fingerprint", "--lake", lake.uri, "--json").json
        assert self.run("fingerprint", "--json").json == here
        assert self.run("fingerprint", "--verify", "--json").json == here
        assert not [each for each in self._said if SECRET in each.out + each.err]


@pytest.mark.slow
def test_every_verb_works_on_a_lake_in_a_store_and_holds_what_one_on_disk_holds(
    server: SimulatedExchange,
    coin_lake: Lake,
    object_store: ObjectStore,
    postgres: str,
    tmp_path: Path,
) -> None:
    verbs = Verbs(object_store, tmp_path)
    run = verbs.run
    text = run("status", code=1).err.partition(" ERROR ")[2]
    assert text.startswith(f"There is no lake at {verbs.uri}")
    known = run("instruments", "--json", to=server).json["known"]
    plan = run("plan", "--json", to=server).json
    fetched = run("backfill", "--json", to=server).json
    assert (fetched["calls"], fetched["complete"]) == (plan["calls"], known)
    built = run("build", "--json").json
    assert built["basis_rows"] > 0
    assert run("build", "--json").json["rebuilt"] == 0
    assert "Give --postgres URI" in run("load", code=2).err
    at = ("--postgres", postgres, "--schema", "verbs_in_a_store")
    assert run("load", *at, "--json").json["verified"]
    status = run("status", *at, "--json").json
    assert [each["state"] for each in status["runs"]] == ["done"]
    assert all(each["lake"] == each["database"] for each in status["database"].values())
    (counted,) = run("sql", "SELECT count(*) AS n FROM basis", "--format", "json").json
    assert counted["n"] == built["basis_rows"]
    (first,) = run("sql", "SELECT instrument, ts FROM basis LIMIT 1", "--format", "json").json
    assert run("explain", first["instrument"], first["ts"], "--json").json["agrees"]
    assert run("curve", "--at", first["ts"], "--json").json
    newest = run("build", "--json").json["raw_version"]
    assert run("diff", newest, newest, "--json").json["equal"]
    assert not run("diff", 1, newest, "--json").json["equal"]
    verbs.holds_what_is_on_disk(coin_lake)


@pytest.mark.slow
def test_a_lake_in_googles_store_holds_what_one_on_disk_holds(
    server: SimulatedExchange, coin_lake: Lake, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Where a lake is, is for the libraries; so one verb of each of them: Delta, Arrow, Polars and
    DuckDB.
    """
    verbs = Verbs(replace(object_store, scheme="gs"), tmp_path)
    assert " ERROR There is no lake at gs://" in verbs.run("status", code=1).err
    verbs.run("backfill", to=server)
    built = verbs.run("build", "--json").json
    assert verbs.run("build", "--json").json["rebuilt"] == 0
    count = "SELECT count(*) AS n FROM basis"
    assert verbs.run("sql", count, "--format", "json").json == [{"n": built["basis_rows"]}]
    verbs.holds_what_is_on_disk(coin_lake)


@pytest.mark.slow
def test_a_market_is_followed_into_a_store_through_a_kill_a_listing_and_an_expiry(
    remote: Lake, object_store: ObjectStore, tmp_path: Path
) -> None:
    market = evening_market(2, 9)
    clock, said = Clock(market.now_ms), list[str]()

    def build() -> None:
        build_in_engine(remote, threads=2)

    with SimulatedExchange(market, clock=clock) as server:
        line = command(server, "follow", "--lake", remote.uri)
        with running(line, object_store.environment(tmp_path)) as process:
            wait_until(process, lambda: remote.snapshot(RAW_CANDLES).rows > 0)
        clock.advance(5 * 3600)
        schedule = Schedule(90 * MINUTE, 90 * MINUTE, 180 * MINUTE, 360 * MINUTE)

        def keep() -> None:
            maintain(remote, PROGRAM)

        one = follower(server, remote, schedule, said, build=build, maintain=keep)
        # Until after the expiry, which is at eight.
        end_ms = clock() + 8 * 3_600_000
        while clock() < end_ms:
            clock.advance(one.round())
        one.round()
    assert not [line for line in said if "Waiting" in line or "Not " in line], said
    assert rows(remote, "raw_candles").equals(truths(market, clock())), said
    lives = {name: (c.listed_ms, c.expires_ms or 0) for name, c in market.contracts.items()}
    listed = {name for name, (start, _) in lives.items() if market.now_ms < start < clock()}
    assert listed
    assert listed <= set(names(remote))
    assert [name for name, (_, end) in lives.items() if market.now_ms < end < clock()]
    assert one.result.builds > 2
    assert one.result.maintenances > 1
    assert remote.snapshot(BASIS).rows > 0


def test_a_task_on_its_way_to_a_worker_shows_no_secret(remote: Lake) -> None:
    place, source = (
        Address(remote.uri, remote.options),
        Source(Life("perpetual", "BTC", T0, None), ()),
    )
    task = Task(place, place, 1, "perpetual", {"BTC-PERPETUAL": source}, (), {}, {}, (), {})
    assert SECRET in str(dict(task.lake.options))
    assert SECRET not in repr(task)


@pytest.mark.slow
def test_two_machines_that_backfill_one_lake_lose_nothing_and_store_nothing_twice(
    coin: Universe, object_store: ObjectStore, tmp_path: Path
) -> None:
    uri = object_store.uri("machines")
    with SimulatedExchange(coin) as server, Gate(server, 1) as gate:
        envs = [object_store.environment(tmp_path / name) for name in ("one", "two")]
        assert basislake(server, "instruments", "--lake", uri, env=envs[0]).code == 0
        line = command(server, "backfill", "--lake", uri, "--threads", "2", "--json")
        with running(line, envs[0]) as one, running(line, envs[1]) as two:
            seen = _seen(uri, envs, [one, two])
            gate.open()
            ends = [ended(process) for process in (one, two)]
    assert [end.code for end in ends] == [0, 0], ends
    text = [end.json for end in ends]
    assert len({each["run"] for each in text}) == 2
    # From either machine both backfills are seen while they go on.
    assert seen == {each["run"] for each in text}
    assert sum(each["candles_written"] for each in text) == truths(coin).height
    held = rows(open_lake(uri, object_store.options), "raw_candles")
    assert held.equals(truths(coin))


def _seen(uri: str, envs: list[dict[str, str]], processes: list[subprocess.Popen[str]]) -> set[str]:
    """The runs that either machine shows as running, until both were seen."""
    seen: set[str] = set()
    while len(seen) < 2 and all(process.poll() is None for process in processes):
        for env in envs:
            status = basislake(None, "status", "--lake", uri, "--json", env=env).json
            seen |= {record["run"] for record in status["running"]}
    return seen


@pytest.mark.slow
def test_a_commit_whose_reply_is_lost_is_stored_once_and_is_no_conflict(
    remote: Lake, near: Lake, proxy: Proxy
) -> None:
    append_to(near, "A", candles(1))
    proxy.set(lost_replies=1)
    assert append_to(near, "A", candles(2, start=1)) == 2
    # The reply to the creation of a table, too; that one may be repeated, which changes nothing.
    proxy.set(lost_replies=2)
    near.replace(near.snapshot(INSTRUMENTS), instruments("A"), LINEAGE)
    assert names(remote) == ["A"]
    assert proxy.losses == 3
    assert rows(remote, "raw_candles")["ts"].dt.minute().to_list() == [0, 1, 2]
    assert remote.read(RAW_CANDLES)[BATCH].to_list() == [1, 2, 2]
    # Another writer's commit in the way is still a conflict.
    old = near.snapshot(RAW_CANDLES)
    append_to(remote, "A", candles(1, start=9))
    with pytest.raises(ConflictError):
        commit_batch(near, old, [written(near, "A", candles(1, start=9))], LINEAGE)
    assert rows(remote, "raw_candles").height == 4


@pytest.mark.slow
def test_a_store_that_goes_away_in_mid_commit_leaves_the_version_before(
    remote: Lake, proxy: Proxy
) -> None:
    # By default it would be asked ten times more, for many seconds.
    near = open_lake(remote.uri, {**proxy.store.options, "max_retries": "2"})
    append_to(near, "A", candles(2))
    base, file = near.snapshot(RAW_CANDLES), written(near, "A", candles(1, start=2))

    proxy.set(lost_commits=1)
    with pytest.raises(LakeError, match="raw_candles") as caught:
        commit_batch(near, base, [file], LINEAGE)
    assert not isinstance(caught.value, ConflictError)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert rows(remote, "raw_candles").height == 2
    assert proxy.losses == 1
    proxy.set()
    assert commit_batch(near, base, [file], LINEAGE) == 2
    assert rows(remote, "raw_candles").height == 3


@pytest.mark.parametrize("sent", [b"", b"PUT /bucket/ha", BEGUN], ids=["none", "words", "body"])
def test_the_stand_in_neither_stores_nor_waits_for_what_a_killed_client_began(
    object_store: ObjectStore, proxy: Proxy, sent: bytes
) -> None:
    for store in (object_store, proxy.store):
        with socket.create_connection(("127.0.0.1", int(store.url.rpartition(":")[2]))) as killed:
            killed.sendall(sent)
            time.sleep(0.1)
            assert requests.get(f"{store.url}/bucket/half", timeout=30).status_code == 404
        time.sleep(0.1)
        assert requests.get(f"{store.url}/bucket/half", timeout=30).status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("remote", ["s3", "gs"], indirect=True)
def test_writers_at_once_that_start_over_on_conflict_lose_nothing(remote: Lake) -> None:
    def write(number: int) -> None:
        stored(partial(append_to, remote, "A", candles(1, start=number)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert rows(remote, "raw_candles")["ts"].dt.minute().to_list() == [0, 1, 2, 3]
    assert sorted(remote.read(RAW_CANDLES)[BATCH]) == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("remote", ["s3", "gs"], indirect=True)
def test_a_store_that_would_replace_commits_is_refused_before_the_first(
    remote: Lake, proxy: Proxy
) -> None:
    store = replace(proxy.store, scheme=remote.uri.partition(":")[0])
    near = open_lake(remote.uri, store.options)
    proxy.set(ignores_conditions=True, delay_s=0.02)
    file = written(near, "A", candles(1))
    with pytest.raises(LakeError, match="a second commit replaces the first"):
        near.commit(near.snapshot(RAW_CANDLES), [file], LINEAGE)
    with pytest.raises(LakeError, match="Nothing was written"):
        set_origin(near, "exchange", "test")
    assert remote.snapshot(RAW_CANDLES).version is None
    assert remote.snapshot(INSTRUMENTS).version is None
    proxy.set()
    assert append_to(near, "A", candles(1)) == 1
    found = parquet.below(parquet.filesystem(remote.uri, remote.options))
    assert all(info.path.startswith("raw_candles/") for info in found)


@pytest.mark.slow
def test_a_slow_store_costs_time_and_nothing_else(
    coin: Universe, remote: Lake, near: Lake, proxy: Proxy
) -> None:
    proxy.set(delay_s=0.01)
    with SimulatedExchange(coin) as server:
        result = fetch(server, near)
        assert result.complete == len(coin.contracts)
        assert server.counters.repeats == 0
        assert server.calls_of(CHART) == result.plan["calls"]
    assert rows(remote, "raw_candles").equals(truths(coin))


def test_a_prefix_without_any_table_is_no_lake(remote: Lake) -> None:
    for read in (lambda: remote.scan("basis"), lambda: remote.sql("FROM basis")):
        with pytest.raises(LakeError, match="There is no lake at s3://"):
            read()
    remote.replace(remote.snapshot(INSTRUMENTS), INSTRUMENTS.empty(), LINEAGE)
    assert remote.scan("basis").collect().is_empty()
