"""Lakes in folders and prefixes of difficult names: every reader sees exactly the lake's own files,
and takes none of the folders above it for a column.
"""

import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

import lake
from basislake import PROGRAM
from basislake.simulator.server import SimulatedExchange
from ingest.plan.selection import Selection
from lake import Lake
from lake.backup.copy import copy
from lake.errors import UsageError
from lake.files.sorted_rows import read_rows
from lake.history.fingerprint import fingerprint
from lake.query import duck
from lake.tables import BASIS, CANDLES, CONTENT, RAW_CANDLES, TABLES
from tests.loading import fresh_target
from tests.market import NOW, basislake, fetch, small_market
from tests.object_store import ObjectStore
from tests.staged import Content, built, content
from tests.tiers import slow_but

# Folders that the libraries below take for columns, for patterns, for addresses or for a home.
NAMES = (
    "close=7/L*/a b",
    "CLOSE=7/env=prod",
    "instrument=ETH-PERPETUAL/[12]/'q'\"q\"",
    "L[12]/=b/c=/d=e=f",
    "a=1/a=2/{L1,L2}/trailing...",
    "~/$HOME/filename=3/é=ü/😀/a+b&c;d,e@f^g|h<i>`j`!",
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A small lake in a folder with a simple name."""
    at = lake.open(str(tmp_path_factory.mktemp("plain") / "lake"))
    with SimulatedExchange(small_market(1)) as server:
        fetch(server, at, Selection(names=("BTC-5APR24",), since=NOW - timedelta(hours=5)))
    built(at)
    return at


def by_duckdb(at: Lake) -> Content:
    with at.duckdb() as connection:
        return {t.name: duck.rows(connection, f"FROM {t.name}") for t in CONTENT}


def by_partition(at: Lake) -> Content:
    found = {}
    for table in (RAW_CANDLES, CANDLES, BASIS):
        snapshot = at.snapshot(table)
        frames = [
            read_rows(table, snapshot.uri, files, at.options, table.names)
            for files in snapshot.by_partition().values()
        ]
        found[table.name] = pl.concat(frames)
    return found


def check_readers(at: Lake, plain: Lake) -> None:
    expected = content(plain)
    for read in (content, by_duckdb, by_partition):
        for name, rows in read(at).items():
            found = TABLES[name].cast(rows).sort(TABLES[name].key)
            assert found.equals(expected[name]), (name, read)


@pytest.mark.parametrize("name", slow_but(NAMES[:1], [*NAMES, "x:y/s3:/L*"]))
def test_a_lake_in_any_folder_is_read_built_and_copied_as_it_is(
    name: str, plain: Lake, tmp_path: Path
) -> None:
    at = placed(plain, tmp_path, name)
    check_readers(at, plain)
    expected = fingerprint(plain, 1, verify=True)
    assert fingerprint(at, 1, verify=True) == expected
    assert built(at, full=True).basis_rows == plain.snapshot(BASIS).rows > 0
    assert fingerprint(at, 1, verify=True) == expected
    assert copy(at, lake.open(str(tmp_path / "copies" / name)), PROGRAM, 1).is_equal
    check_readers(lake.open(str(tmp_path / "copies" / name)), plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["close=7", "L*"])
def test_a_lake_in_any_folder_is_queried_and_loaded_as_it_is(
    name: str, plain: Lake, postgres: str, tmp_path: Path
) -> None:
    at = placed(plain, tmp_path, name)
    query = "SELECT count(*), min(close), max(close) FROM candles WHERE instrument = 'BTC-5APR24'"
    (expected,) = plain.sql(query).rows()
    done = basislake(None, "sql", query, "--format", "json", "--lake", at.uri)
    assert list(done.json[0].values()) == list(expected)
    target = fresh_target(postgres, at)
    target.load()
    assert target.compare().equal
    assert target.query("SELECT count(*), min(close), max(close) FROM futures_ohlcv") == [expected]
    target.execute(f"DROP SCHEMA {target.schema} CASCADE")


def placed(plain: Lake, folder: Path, name: str) -> Lake:
    """A copy of a lake in a folder with this name, next to one that a pattern would match."""
    found = name.replace("L*", "L1").replace("[12]", "1").replace("{L1,L2}", "L1")
    for other in {name, found}:
        shutil.copytree(plain.uri, folder / other / "lake")
    return lake.open(str(folder / name / "lake"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [NAMES[0], NAMES[-1]])
def test_a_lake_at_any_prefix_of_a_store_is_read_as_it_is(
    name: str, plain: Lake, object_store: ObjectStore
) -> None:
    at = lake.open(object_store.uri(f"places/{name}"), object_store.options)
    assert copy(plain, at, PROGRAM, 1).is_equal
    check_readers(at, plain)


@pytest.mark.parametrize("name", ["L?", "a%20b", "c#", "d\\", "e\nf"])
def test_where_a_library_would_read_elsewhere_nothing_is_done_and_the_characters_are_named(
    name: str, tmp_path: Path
) -> None:
    done = basislake(None, "build", "--lake", tmp_path / name)
    assert done.code == 2
    assert "choose a path without % ? # \\, line breaks" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["%20", "#1", "\\b", "\n", "x:y", "../a", "a/./c", "a//c"])
def test_a_prefix_that_a_store_and_a_library_read_differently_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="choose a prefix without"):
        lake.open(f"s3://bucket/{name}")


@pytest.mark.slow
def test_a_path_leads_where_the_system_goes(
    plain: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back from a link is the folder above the one that it is to."""
    (tmp_path / "elsewhere" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "folder")
    shutil.copytree(plain.uri, tmp_path / "elsewhere" / "lake")
    monkeypatch.chdir(tmp_path)
    for text in ("link/../lake", "./elsewhere/lake", "elsewhere/folder/../lake"):
        at = lake.open(text)
        assert at.uri == str(tmp_path / "elsewhere" / "lake")
        check_readers(at, plain)
    (tmp_path / "current").symlink_to(tmp_path / "elsewhere" / "lake")
    check_readers(lake.open("current"), plain)
