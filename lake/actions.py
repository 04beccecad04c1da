"""What single commits of a table's log did, read from their files: the files that came and went."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import orjson
import pyarrow.fs as pafs

from lake import files

LOG = "_delta_log"
# The mark on a curated table from which version on its files are kept; see `lake.retention`.
KEPT_FROM = "basislake.kept_from"

_READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Actions:
    """One commit.

    Attributes:
        version: that it made.
        added: size in bytes of each file that came, by path.
        removed: paths of the files that went.
        kept_from: what it set `KEPT_FROM` to, 0 where it did not.
    """

    version: int
    added: Mapping[str, int]
    removed: frozenset[str]
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


def given_up(commits: list[Actions]) -> set[str]:
    """Return the files that went before the version from which on files are kept; pure.

    Args:
        commits: of one table.
    """
    kept_from = max((commit.kept_from for commit in commits), default=0)
    gone = {path for commit in commits if commit.version <= kept_from for path in commit.removed}
    # No file's name is used again by us; another program may have brought an old version back.
    return gone - {
        path for commit in commits if commit.version > kept_from for path in commit.added
    }


def _read(store: pafs.FileSystem, version: int, path: str) -> Actions:
    with store.open_input_stream(path) as stream:
        lines = [orjson.loads(line) for line in stream.read().splitlines()]
    adds = (line["add"] for line in lines if line.get("add"))
    removes = (line["remove"] for line in lines if line.get("remove"))
    marks = (line["txn"] for line in lines if line.get("txn"))
    return Actions(
        version,
        {unquote(add["path"]): int(add["size"]) for add in adds},
        frozenset(unquote(remove["path"]) for remove in removes),
        max((mark["version"] for mark in marks if mark["appId"] == KEPT_FROM), default=0),
    )
