"""What a build reads of the lake: its sources, what the curated tables were made from before, and
how much of the log of raw candles tells what came since.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lake import Lake
from lake.errors import DamagedError, GoneError
from lake.log import Commit
from lake.pieces import Pieces, expand
from lake.snapshot import Snapshot
from lake.tables import COVERAGE, CURATED, INSTRUMENTS, RAW_CANDLES, Table
from lake.versions import newest_made
from transforms.inputs import Inputs, inputs_of

_SOURCES = (RAW_CANDLES, INSTRUMENTS, COVERAGE)


def read_inputs(lake: Lake, versions: Mapping[str, int | None] | None = None) -> Inputs:
    """Read the sources of a build; compacted files are what they are, see `expanded`.

    Args:
        lake: that holds them.
        versions: of `raw_candles`, `instruments` and `coverage`; the newest by default.

    Raises:
        LakeError: they cannot be read, or an instrument has raw candles and no record.
    """
    raw, instruments, coverage = (
        lake.snapshot(table, versions[table.name] if versions else None) for table in _SOURCES
    )
    found = {snapshot.table.name: snapshot.version for snapshot in (raw, instruments, coverage)}
    return inputs_of(raw, instruments.read(), coverage.read(), found)


def located(inputs: Inputs, raw: Snapshot) -> Inputs:
    """Return the same with the place where each raw file's rows are now.

    Args:
        inputs: of a build.
        raw: `raw_candles` at the version that they are of.

    Raises:
        LakeError: the table cannot be read.
    """
    sources = {
        name: replace(source, files=raw.located(source.files))
        for name, source in inputs.sources.items()
    }
    return replace(inputs, sources=sources)


def inputs_before(lake: Lake, alike: Mapping[str, Any]) -> dict[str, Inputs | None]:
    """Return what each curated table was made from, by name; None where that was given up, or is
    gone or damaged, or where it was made otherwise, so that it is made anew.

    Args:
        lake: that holds them.
        alike: what the lineage has to say besides, e.g. the hash of the rules.

    Raises:
        LakeError: the lake cannot be read now, which is no reason to make everything anew.
    """
    states: dict[str, Inputs | None] = {}
    for table in CURATED:
        versions = _versions(lake, table, alike)
        # Mostly all tables were made from the same.
        same = (state for state in states.values() if state and state.versions == versions)
        states[table.name] = next(same, None) or _inputs(lake, versions)
    return states


def known_since(states: Iterable[Inputs | None]) -> int:
    """Return the oldest version of `raw_candles` among some states; -1, which is before all, where
    one is not known. Pure.

    The commits since then tell all states apart.
    """
    return min(map(_raw_version, states))


def expanded(inputs: Inputs, pieces: Pieces) -> Inputs:
    """Return the sources as they were appended, whatever was compacted since; pure.

    Args:
        inputs: as they were read.
        pieces: what compacted files of `raw_candles` stand for, see `lake.pieces`.
    """
    sources = {
        name: replace(source, came=expand(source.files, pieces))
        for name, source in inputs.sources.items()
    }
    return replace(inputs, sources=sources)


def duplicates(
    commits: Iterable[Commit], before: Inputs | None, known: Mapping[str, int], now: Inputs
) -> Counter[str]:
    """Return how many repeats the replies held, by instrument; pure.

    Args:
        commits: of `raw_candles`, at least all since the older of the two states.
        before: what `quality` was made from, None where that is not known.
        known: what it counts, nothing where `before` is not known.
        now: the state to count for, which may be the older one.
    """
    counts = Counter(known)
    counts.update(_repeats(commits, _raw_version(now)))
    counts.subtract(_repeats(commits, _raw_version(before)))
    return counts


def _versions(lake: Lake, table: Table, alike: Mapping[str, Any]) -> dict[str, int] | None:
    commit = newest_made(lake, table)
    if commit is None or any(commit.lineage.get(key) != value for key, value in alike.items()):
        return None
    versions: dict[str, int] = commit.lineage["made_from"]
    return None if None in versions.values() else versions


def _inputs(lake: Lake, versions: Mapping[str, int] | None) -> Inputs | None:
    try:
        return read_inputs(lake, versions) if versions else None
    except (GoneError, DamagedError):
        return None


def _raw_version(state: Inputs | None) -> int:
    """The version of `raw_candles` of a state, -1 where there is none, or it is not known."""
    version = state.versions[RAW_CANDLES.name] if state else None
    return -1 if version is None else version


def _repeats(commits: Iterable[Commit], until: int) -> Counter[str]:
    """Repeats that commits tell of, up to a version.

    Version 0 made the table, without rows, and says the same as the commit that it was made for.
    """
    counts: Counter[str] = Counter()
    for commit in commits:
        if 0 < commit.version <= until:
            counts.update(commit.lineage.get("duplicates", {}))
    return counts
