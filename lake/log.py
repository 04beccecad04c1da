"""A table's log: its commits, what each was made from, and which of them changed no row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable

# A commit that changed no row says here what it did instead; see `is_upkeep`.
UPKEEP = "upkeep"
# Names a commit, so that its writer knows it again where the store's reply was lost.
IDENTITY = "commit"

_LOG_KEYS = {
    "timestamp", "operation", "operationParameters", "engineInfo", "clientVersion", "version",
    "readVersion", "isolationLevel", "isBlindAppend", "operationMetrics", IDENTITY,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of a table, as its log tells it.

    Attributes:
        version: counted from 0.
        at: when it was committed.
        lineage: what the program said of it, e.g. `made_from` (table to version) and `program`.
    """

    version: int
    at: datetime
    lineage: dict[str, Any]

    @property
    def is_upkeep(self) -> bool:
        """Whether it changed no row: files were compacted, or the table was marked."""
        return UPKEEP in self.lineage


def commits_of(delta: DeltaTable, limit: int | None = None, since: int = -1) -> list[Commit]:
    """Return the commits of a table, newest first; read again where one came meanwhile.

    The library numbers the entries down from the version it has loaded, so a newer entry would get
    the number of the one before it.

    Args:
        delta: the table.
        limit: how many of the newest, all by default.
        since: only those after this version. No others are read.
    """
    while True:
        loaded = delta.version()
        newer = max(loaded - since, 0)
        entries = delta.history(newer if limit is None else min(limit, newer))
        delta.update_incremental()
        if delta.version() == loaded:
            return [_commit(entry) for entry in entries]


def is_named(delta: DeltaTable, identity: str, since: int) -> bool:
    """Whether a commit of this name is in the log after a version (-1 for the whole log)."""
    newer = delta.version() - since
    return newer > 0 and any(entry.get(IDENTITY) == identity for entry in delta.history(newer))


def same_rows(commits: Sequence[Commit], version: int) -> int:
    """Return the oldest version that holds the same rows as a version, because only upkeep came
    between.

    Args:
        commits: of the table, in any order.
        version: of the table.
    """
    upkeep = {commit.version for commit in commits if commit.is_upkeep}
    while version in upkeep and version:
        version -= 1
    return version


def upkept(commits: Sequence[Commit], version: int) -> int:
    """Return the newest version that holds the same rows as a version, because only upkeep came
    between.

    Args:
        commits: of the table, in any order.
        version: of the table.
    """
    upkeep = {commit.version for commit in commits if commit.is_upkeep}
    while version + 1 in upkeep:
        version += 1
    return version


def _commit(entry: dict[str, Any]) -> Commit:
    at = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
    lineage = {key: value for key, value in entry.items() if key not in _LOG_KEYS}
    return Commit(entry["version"], at, lineage)
