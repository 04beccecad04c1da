"""A file that is damaged or absent, and a store that goes away while it is read: an error of ours
that names the table and the file, never a traceback; and what puts it right.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from ingest.follow_schedule import Schedule
from lake import Lake
from lake import open as open_lake
from lake.backup.copy import copy
from lake.errors import DamagedError, GoneError, LakeError, UsageError
from lake.files import parquet
from lake.files.sorted_rows import read_rows
from lake.query import duck
from lake.snapshot import Snapshot
from lake.state import State
from lake.table import Table
from lake.tables import ASKS, CANDLES, COVERAGE, CURATED, INSTRUMENTS, QUALITY, RAW_CANDLES
from lake.time.intervals import MINUTE
from tests.damage import DAMAGES, file_of, truncated
from tests.following import evening_market, follower
from tests.lakes import fill
from tests.market import basislake, fetch, small_market
from tests.object_store import SECRET, ObjectStore, Proxy
from tests.staged import Staged, built, content, is_same

PERPETUAL = "BTC-PERPETUAL"


def _rows(snapshot: Snapshot) -> pl.DataFrame:
    names = snapshot.table.stored.names
    return read_rows(snapshot.table, snapshot.uri, snapshot.files, snapshot.options, names)


READS: dict[str, Callable[[Snapshot], pl.DataFrame]] = {
    "read": lambda snapshot: snapshot.read(),
    "rows_of": lambda snapshot: snapshot.rows_of(snapshot.files, pl.col("close") > 0),
    "read_rows": _rows,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_read_names_the_table_and_the_file_that_is_damaged(
    lake: Lake, damage: Callable[[Path], None], read: Callable[[Snapshot], pl.DataFrame]
) -> None:
    path = file_of(lake, RAW_CANDLES, PERPETUAL)
    damage(path)
    with pytest.raises(DamagedError) as caught:
        read(lake.snapshot(RAW_CANDLES))
    text = str(caught.value)
    assert text.startswith(f"raw_candles cannot be read at {lake.uri}/raw_candles")
    assert f"instrument={PERPETUAL}/{path.name} is damaged or missing" in text
    assert "`basislake restore`" in text
    assert "\n" not in text


VERBS: dict[str, tuple[Table, list[str]]] = {
    "build": (ASKS, ["build"]),
    "a task of a build": (RAW_CANDLES, ["build", "--full"]),
    "explain": (RAW_CANDLES, ["explain", PERPETUAL, "{minute:%Y-%m-%dT%H:%M}"]),
    "status": (COVERAGE, ["status"]),
    "plan": (COVERAGE, ["plan"]),
    "sql": (CANDLES, ["sql", "SELECT sum(close) FROM candles"]),
}


@pytest.mark.parametrize(("table", "arguments"), VERBS.values(), ids=VERBS)
def test_a_verb_ends_in_a_sentence_that_names_the_damaged_file(
    lake: Lake, server: SimulatedExchange, table: Table, arguments: list[str]
) -> None:
    partition = PERPETUAL if table.partition else None
    path = file_of(lake, table, partition)
    truncated(path)
    minute = lake.snapshot(RAW_CANDLES).of(PERPETUAL)[-1].last
    to = server if arguments == ["plan"] else None
    done = basislake(to, *(each.format(minute=minute) for each in arguments), "--lake", lake.uri)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert path.name in done.err
    assert table.name in done.err


def test_a_full_build_builds_damaged_curated_tables_again(staged: Staged, lake: Lake) -> None:
    for table in CURATED:
        for file in lake.snapshot(table).files:
            truncated(Path(lake.uri) / table.name / file.path)
    with pytest.raises(DamagedError, match="`basislake build --full` builds it again"):
        lake.read(QUALITY)
    assert basislake(None, "build", "--full", "--lake", lake.uri).code == 0
    assert is_same(content(lake), staged.last.content)


@pytest.mark.slow
def test_a_backfill_that_cannot_save_says_so_and_the_next_one_finishes(tmp_path: Path) -> None:
    with SimulatedExchange(small_market(weeks=1)) as server:
        lake = open_lake(str(tmp_path / "lake"))
        fetch(server, lake)
        before = lake.read(RAW_CANDLES)
        path = file_of(lake, RAW_CANDLES, PERPETUAL)
        sound = path.read_bytes()
        # All is asked again, and what comes is compared with what is stored.
        for table in (ASKS, COVERAGE):
            shutil.rmtree(Path(lake.uri) / table.name)
        truncated(path)
        done = basislake(server, "backfill", "--lake", lake.uri)
        assert done.code == 1, done.err
        assert "Traceback" not in done.err
        assert path.name in done.err
        assert "that came are saved" not in done.err
        assert "more windows may not be" in done.err
        path.write_bytes(sound)
        assert basislake(server, "backfill", "--lake", lake.uri).code == 0
        assert lake.read(RAW_CANDLES).equals(before)


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[tuple[Lake, SimulatedExchange, Clock]]:
    market = evening_market(2, 9)
    clock = Clock(market.now_ms)
    with SimulatedExchange(market, clock=clock) as server:
        yield open_lake(str(tmp_path / "followed")), server, clock


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "text"), [(RAW_CANDLES, "Build or load failed: raw_candles"), (COVERAGE, "Waiting:")]
)
def test_a_follower_waits_for_a_lake_with_a_damaged_file(
    followed: tuple[Lake, SimulatedExchange, Clock], table: Table, text: str
) -> None:
    lake, server, clock = followed
    said: list[str] = []
    schedule = Schedule(MINUTE, timedelta(hours=1), MINUTE, None)

    def build() -> None:
        build_in_engine(lake, threads=2)

    one = follower(server, lake, schedule, said, build=build)
    clock.advance(one.round())
    path = file_of(lake, table, PERPETUAL if table.partition else None)
    sound = path.read_bytes()
    truncated(path)
    clock.advance(60)
    clock.advance(one.round())
    assert [line for line in said if text in line and path.name in line], said
    path.write_bytes(sound)
    builds = one.result.builds
    for _ in range(3):
        clock.advance(60 + one.round())
    assert one.result.builds > builds
    assert lake.snapshot(CANDLES).rows


@pytest.mark.slow
@pytest.mark.parametrize("read", [READS["read"], READS["read_rows"]], ids=["read", "read_rows"])
def test_a_store_that_goes_away_while_it_is_read_damages_nothing(
    staged: Staged,
    object_store: ObjectStore,
    proxy: Proxy,
    read: Callable[[Snapshot], pl.DataFrame],
) -> None:
    at = open_lake(object_store.uri("going-away"), object_store.options)
    if at.snapshot(RAW_CANDLES).version is None:
        fill(at, RAW_CANDLES, staged.lake.read(RAW_CANDLES).filter(instrument=PERPETUAL))
    snapshot = open_lake(at.uri, proxy.store.options).snapshot(RAW_CANDLES)
    proxy.set(is_away=True)
    with pytest.raises(LakeError, match="raw_candles cannot be read at s3://") as caught:
        read(snapshot)
    assert not isinstance(caught.value, DamagedError)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    proxy.set()
    assert read(snapshot).height == snapshot.rows


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_query_over_a_damaged_file_is_no_wrong_query(
    lake: Lake, damage: Callable[[Path], None]
) -> None:
    damage(file_of(lake, CANDLES, PERPETUAL))
    with pytest.raises(LakeError, match=r"The lake is unchanged\..*fingerprint --verify") as caught:
        lake.sql("SELECT sum(COLUMNS(* EXCLUDE (instrument, ts))) FROM candles")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "SELECT nothing FROM candles",
        "FROM nowhere",
        "SELECT 'a'::INT",
        "SELECT 9223372036854775807 + 1",
        "SELECT regexp_matches(instrument, '(') FROM candles",
        "SELECT error('candles.parquet')",
        "PRAGMA nothing",
        "COMMIT",
    ],
)
def test_a_wrong_query_is_still_one(lake: Lake, query: str) -> None:
    with pytest.raises(UsageError, match="DuckDB refuses the query"):
        lake.sql(query)


def test_a_query_that_memory_does_not_suffice_for_is_no_wrong_query(lake: Lake) -> None:
    with lake.duckdb() as connection:
        connection.execute("SET memory_limit = '20MB'; SET max_temp_directory_size = '0MB'")
        with pytest.raises(LakeError, match=r"memory.*The lake is unchanged\.$"):
            duck.rows(connection, "SELECT * FROM range(100_000_000) ORDER BY random()")


@pytest.mark.slow
def test_a_query_over_a_store_that_goes_away_is_no_wrong_query(
    staged: Staged, object_store: ObjectStore, proxy: Proxy
) -> None:
    at = open_lake(object_store.uri("queried"), proxy.store.options)
    at.replace(at.snapshot(COVERAGE), staged.lake.read(COVERAGE), {})
    with at.duckdb() as connection:
        proxy.set(is_away=True)
        with pytest.raises(LakeError, match=r"^coverage cannot be read at s3://") as caught:
            duck.rows(connection, "SELECT count(*), max(minutes) FROM coverage")
    assert not isinstance(caught.value, DamagedError)
    assert not re.search(rf"{SECRET}|Traceback|\n", str(caught.value))


@pytest.mark.slow
def test_a_query_over_a_store_names_the_file_that_is_not_there(
    staged: Staged, object_store: ObjectStore
) -> None:
    at = open_lake(object_store.uri("lacking"), object_store.options)
    copy(staged.lake, at, PROGRAM, 2)
    path = at.snapshot(CANDLES).of(PERPETUAL)[-1].path
    parquet.filesystem(f"{at.uri}/candles", at.options).delete_file(path)
    with pytest.raises(DamagedError, match=f"{path} is damaged or missing") as caught:
        at.sql("SELECT sum(close) FROM candles")
    assert not re.search(rf"{SECRET}|Traceback|\n", str(caught.value))


class Leaving(State):
    """A lake in a store that is away whenever it is asked for what was asked."""

    def __init__(self, uri: str, proxy: Proxy) -> None:
        super().__init__(Lake(uri, proxy.store.options))
        self.proxy = proxy

    def _open(self, table: Table) -> Snapshot:
        self.proxy.set(is_away=table is ASKS)
        try:
            return super()._open(table)
        finally:
            self.proxy.set()


@pytest.mark.slow
def test_a_store_that_is_away_when_a_build_reads_its_sources_changes_nothing(
    staged: Staged, object_store: ObjectStore, proxy: Proxy
) -> None:
    at = open_lake(object_store.uri("looking-back"), object_store.options)
    copy(staged.lake, at, PROGRAM, 2)
    before = at.snapshot(CANDLES).version
    with pytest.raises(LakeError, match="cannot be read"):
        built(Leaving(at.uri, proxy))
    assert at.snapshot(CANDLES).version == before


@pytest.mark.slow
def test_a_version_that_is_not_there_is_told_from_a_store_that_is_away(
    lake: Lake, object_store: ObjectStore, proxy: Proxy
) -> None:
    near = open_lake(object_store.uri("no-version"), proxy.store.options)
    near.replace(near.snapshot(INSTRUMENTS), lake.read(INSTRUMENTS), {})
    for at in (lake, near):
        with pytest.raises(
            GoneError, match=r"instruments .* has no version 99: this version was deleted"
        ):
            at.snapshot(INSTRUMENTS, 99)
    with pytest.raises(
        GoneError, match=r"raw_candles .* has no version 3: this version was deleted"
    ):
        near.snapshot(RAW_CANDLES, 3)
    proxy.set(is_away=True)
    with pytest.raises(LakeError) as caught:
        near.snapshot(INSTRUMENTS, 99)
    assert not isinstance(caught.value, GoneError)
