"""What single commits of a table's log did, read from their files: the files that came and went."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
import pyarrow.fs as pafs

from lake import files
from lake.pieces import LISTED

LOG = "_delta_log"
# The mark on a table from which version on its files are kept; see `lake.past`.
KEPT_FROM = "basislake.kept_from"
# What the commit of a mark says of `coverage`, in the lineage: paths of the files that go, and the
# versions of `raw_candles` that builds were made from meanwhile, whose coverage stays.
GIVEN_UP = "given_up"
BUILDS = "builds"

# Of the lineage; all commits of a log may be in memory at once.
_KEPT = (LISTED, GIVEN_UP)

_READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Actions:
    """One commit.

    Attributes:
        version: that it made.
        added: size in bytes of each file that came, by path.
        removed: paths of the files that went.
        lineage: what the program said of files that it put together or gave up.
        kept_from: what it set `KEPT_FROM` to, 0 where it did not.
    """

    version: int
    added: Mapping[str, int]
    removed: frozenset[str]
    lineage: Mapping[str, Any]
    kept_from: int


def commit_files(store: pafs.FileSystem) -> dict[int, str]:
    """Return the path of each commit of a table's log, by version.

    Args:
        store: of the table's folder.
    """
    stems = {path: path.rpartition("/")[2].partition(".") for path in files.listed(store, LOG)}
    return {
        int(stem): path
        for path, (stem, _, suffix) in stems.items()
        if suffix == "json" and stem.isdecimal()
    }


def commit_file(version: int) -> str:
    """Return the path of a commit of a table's log."""
    return f"{LOG}/{version:020}.json"


def read_actions(store: pafs.FileSystem, commits: Mapping[int, str]) -> Iterator[Actions]:
    """Read some commits, several at once.

    Args:
        store: of the table's folder.
        commits: path by version.
    """
    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        yield from pool.map(lambda commit: _read(store, *commit), commits.items())


def _read(store: pafs.FileSystem, version: int, path: str) -> Actions:
    with store.open_input_stream(path) as stream:
        lines = [orjson.loads(line) for line in stream.read().splitlines()]
    adds = (line["add"] for line in lines if line.get("add"))
    removes = (line["remove"] for line in lines if line.get("remove"))
    marks = (line["txn"] for line in lines if line.get("txn"))
    infos = (line["commitInfo"] for line in lines if line.get("commitInfo"))
    lineage = {name: info[name] for info in infos for name in _KEPT if name in info}
    return Actions(
        version,
        {unquote(add["path"]): int(add["size"]) for add in adds},
        frozenset(unquote(remove["path"]) for remove in removes),
        lineage,
        max((mark["version"] for mark in marks if mark["appId"] == KEPT_FROM), default=0),
    )
