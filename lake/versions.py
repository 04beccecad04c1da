"""The lake as it was: which version of each table belongs to a version of the lake.

A version of the lake is a version of `raw_candles`, for all else follows from it. What each table
was then is read off the lineage in the logs, never off times of day: clocks of machines differ.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake import log
from lake.errors import UsageError
from lake.log import Commit
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import CURATED, INSTRUMENTS, RAW_CANDLES, TABLES, Table

_FEW_COMMITS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table stood at a version of the lake.

    Attributes:
        version: of the table, None where it had none yet.
        raw_version: of the `raw_candles` that it was made from, None where that is not recorded.
    """

    version: int | None
    raw_version: int | None


class PinnedLake(Lake):
    """A lake each of whose tables stands at one version, for reading.

    Attributes:
        version: of `raw_candles`, None where there are none yet.
        versions: of every table, by name; None where the table does not exist yet.
    """

    def __init__(self, present: Lake, versions: Mapping[str, int | None]) -> None:
        """Hold on to versions; nothing is read.

        Args:
            present: the lake.
            versions: of every table, by name.
        """
        super().__init__(present.uri, present.options)
        self.versions = dict(versions)
        self.version = self.versions[RAW_CANDLES.name]

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        """Return a table as it is pinned, or at a version of its own; see `Lake.snapshot`."""
        if version is None:
            version = self.versions[table.name]
        if version is None:
            return Snapshot(table, self._table_uri(table), self.options, None, ())
        return super().snapshot(table, version)

    def history(self, table: Table, limit: int | None = None, *, since: int = -1) -> list[Commit]:
        """Return the commits of a table up to the one it is pinned at, newest first; see
        `Lake.history`.
        """
        newest = self.versions[table.name]
        if newest is None:
            return []
        return [c for c in super().history(table, since=since) if c.version <= newest][:limit]


class PastLake(PinnedLake):
    """A lake as it was at one version; it can be read, not written.

    Attributes:
        version: of `raw_candles`.
        places: where every table stood, by name.
    """

    version: int

    def __init__(self, present: Lake, version: int) -> None:
        """Find where every table stood.

        Args:
            present: the lake.
            version: of `raw_candles`.

        Raises:
            UsageError: `raw_candles` has no such version.
            LakeError: the lake cannot be read.
        """
        self.places = places(present, version)
        super().__init__(present, {name: place.version for name, place in self.places.items()})

    def older(self) -> dict[str, int | None]:
        """Return the curated tables that no build made from this version of `raw_candles`, and the
        version they were made from instead; None where there was no build before.
        """
        made = {table.name: self.places[table.name].raw_version for table in CURATED}
        oldest = log.same_rows(super().history(RAW_CANDLES), self.version)
        return {name: raw for name, raw in made.items() if raw is None or raw < oldest}


def pinned(present: Lake) -> PinnedLake:
    """Return the lake with every table held at the version that it has now: several questions to it
    are answered alike, whatever is committed meanwhile.

    Raises:
        LakeError: the lake cannot be read.
    """
    # What a table is made from is looked at after it, so that it is there.
    found = {name: present.snapshot(table).version for name, table in reversed(TABLES.items())}
    return PinnedLake(present, {name: found[name] for name in TABLES})


def places(lake: Lake, version: int) -> dict[str, Place]:
    """Return where every table stood when `raw_candles` had a version.

    `instruments` is what that commit of `raw_candles` was made from. Every other table is at the
    commit made from this version of `raw_candles`, or else from the newest one before it; of
    several such commits at the last one. So a curated table that was never built from this version
    is as the last build before left it. Versions between which only upkeep came count as one.

    Raises:
        UsageError: `raw_candles` has no such version.
    """
    commits = lake.history(RAW_CANDLES)
    if version not in {commit.version for commit in commits}:
        raise UsageError(f"raw_candles has no version {version}; {_known(commits)}.")
    limit = log.upkept(commits, version)
    found = {
        name: place(lake.history(table), limit)
        for name, table in TABLES.items()
        if table not in (RAW_CANDLES, INSTRUMENTS)
    }
    past = [commit for commit in commits if commit.version <= version]
    found[INSTRUMENTS.name] = Place(_instruments(lake, past), None)
    found[RAW_CANDLES.name] = Place(version, version)
    return found


def newest_made(lake: Lake, table: Table) -> Commit | None:
    """Return the newest commit of a table that says what it was made from, None where none does.

    Of a long log the last few commits are read first, which mostly will do: only upkeep says
    nothing.
    """
    newest = lake.history(table, _FEW_COMMITS)
    found = _newest_made(newest)
    if found is None and len(newest) == _FEW_COMMITS:
        return _newest_made(lake.history(table))
    return found


def made_from(commit: Commit, table: Table) -> int | None:
    """Return the version of a table that a commit was made from, None where it does not say."""
    named = commit.lineage.get("made_from")
    version = named.get(table.name) if isinstance(named, dict) else None
    return version if isinstance(version, int) else None


def place(commits: Iterable[Commit], version: int) -> Place:
    """Return where a table stood at a version of `raw_candles`; pure.

    Args:
        commits: of the table.
        version: of `raw_candles`, the newest that holds the same rows.
    """
    made = [(made_from(commit, RAW_CANDLES), commit.version) for commit in commits]
    # A build of an older version commits later, so the order of commits alone does not tell.
    fitting = [(raw, own) for raw, own in made if raw is not None and raw <= version]
    raw, own = max(fitting, default=(None, None))
    return Place(own, raw)


def _newest_made(commits: Iterable[Commit]) -> Commit | None:
    return next((commit for commit in commits if "made_from" in commit.lineage), None)


def _instruments(lake: Lake, commits: Iterable[Commit]) -> int | None:
    """The version named last; the newest one where no commit names one, for no row would have a
    record otherwise.
    """
    named = (made_from(commit, INSTRUMENTS) for commit in commits)
    found = next((version for version in named if version is not None), None)
    return lake.snapshot(INSTRUMENTS).version if found is None else found


def _known(commits: list[Commit]) -> str:
    if not commits:
        return "nothing was fetched yet"
    return f"there are {commits[-1].version} to {commits[0].version}"
