"""What a build reads of the log, and that no sequence of commits makes that too little."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake.status import tables_behind
from lake import Lake
from lake.compaction import compact
from lake.errors import LakeError
from lake.files import DataFile
from lake.log import UPKEEP, Commit
from lake.pieces import LISTED, expand, listed, pieces_of
from lake.snapshot import Snapshot
from lake.spans import MINUTE
from lake.tables import QUALITY, RAW_CANDLES
from lake.upkeep import checkpoint
from tests.arriving import PROGRAM, append, contents, new_lake
from tests.profiles import examples
from tests.spiked import EXPIRIES, NEXT, PERPETUAL, QUARTERLY, simulated
from transforms.before import duplicates, known_since
from transforms.build import build
from transforms.inputs import Inputs

T0 = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = tuple(EXPIRIES)
RAW = {name: simulated(1, name, 200) for name in NAMES}


def state(raw_version: int | None) -> Inputs:
    """Inputs of which nothing but the version matters."""
    return Inputs({RAW_CANDLES.name: raw_version}, {})


def quality_of(where: Lake) -> dict[str, int]:
    return dict(where.read(QUALITY).select("instrument", "duplicates").iter_rows())


@pytest.mark.parametrize(
    ("states", "since"),
    [
        ([state(5)], 5),
        ([state(7), state(5), state(7)], 5),
        ([state(7), None], -1),
        ([state(None), state(7)], -1),
    ],
)
def test_the_log_is_read_from_the_oldest_state_on(states: list[Inputs | None], since: int) -> None:
    assert known_since(states) == since


Counts = Mapping[str, int]
told = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3))


@given(log=st.lists(told, min_size=1), data=st.data())
def test_repeats_since_a_state_and_those_it_knew_of_come_to_those_of_the_whole_log(
    log: list[Counts], data: st.DataObject
) -> None:
    commits = [Commit(v, T0, {"duplicates": counts}) for v, counts in enumerate(log, 1)]
    versions = st.none() | st.integers(0, len(log))
    before, now = state(data.draw(versions)), state(data.draw(versions))
    known = duplicates(commits, None, {}, before)
    since = known_since([before, now])
    newer = [commit for commit in commits if commit.version > since]
    whole = duplicates(commits, None, {}, now)
    assert {**duplicates(newer, before, known, now)} == {n: whole[n] for n in {*known, *whole}}
    assert +whole == sum_of(log[: now.versions[RAW_CANDLES.name] or 0])


def sum_of(log: Iterable[Counts]) -> Counts:
    totals: dict[str, int] = {}
    for counts in log:
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    return totals


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Commit], list[frozenset[DataFile]]]:
    """A log in which files of one partition come and are compacted, and the files after each."""
    commits: list[Commit] = []
    versions: list[frozenset[DataFile]] = []
    files: frozenset[DataFile] = frozenset()
    for version in range(draw(st.integers(1, 12))):
        lineage: dict[str, Any] = {}
        if len(files) > 1 and draw(st.booleans()):
            some = st.lists(st.sampled_from(sorted(files, key=str)), min_size=2, unique=True)
            group = tuple(draw(some))
            merged = file(f"compacted {version}", T0, T0 + version * MINUTE)
            files = files - set(group) | {merged}
            lineage = {UPKEEP: "compaction", LISTED: listed([(group, merged)])}
        else:
            first = T0 + version * MINUTE
            files |= {file(f"appended {version}", first, first)}
        commits.append(Commit(version, T0, lineage))
        versions.append(files)
    return commits, versions


def file(path: str, first: datetime, last: datetime) -> DataFile:
    return DataFile(path, "A", 1, 1, first, last)


@given(history=histories(), data=st.data())
def test_the_commits_since_a_version_tell_later_ones_apart_as_the_whole_log_does(
    history: tuple[list[Commit], list[frozenset[DataFile]]], data: st.DataObject
) -> None:
    commits, versions = history
    places = st.integers(0, len(commits) - 1)
    since, *later = sorted(data.draw(st.tuples(places, places, places)))
    whole = pieces_of(commits)
    recent = pieces_of(commit for commit in commits if commit.version > since)
    one, other = (versions[version] for version in later)
    assert set(expand(one, recent)) ^ set(expand(other, recent)) == set(expand(one, whole)) ^ set(
        expand(other, whole)
    )


@pytest.mark.slow
def test_a_build_reads_no_commit_that_its_tables_are_made_from_already() -> None:
    with new_lake(RAW) as where, ThreadPoolExecutor(1) as executor:
        for start in range(0, 120, 10):
            append(where, part(NAMES, start), {PERPETUAL: 1})
        compact(where, RAW_CANDLES, PROGRAM)
        assert checkpoint(where) == [RAW_CANDLES.name]
        build(where, executor, PROGRAM)
        append(where, part([PERPETUAL], 120), {PERPETUAL: 1})
        compact(where, RAW_CANDLES, PROGRAM)
        log = Path(where.uri) / RAW_CANDLES.name / "_delta_log"
        kept = {path: path.read_bytes() for path in sorted(log.glob("*.json"))[:12]}
        for path in kept:
            path.write_text("damaged")
        with pytest.raises(LakeError, match="the log of raw_candles cannot be read"):
            where.history(RAW_CANDLES)
        assert build(where, executor, PROGRAM).rebuilt == len(NAMES)
        assert build(where, executor, PROGRAM).rebuilt == 0
        assert tables_behind(where) == []
        assert quality_of(where) == {name: 13 * (name == PERPETUAL) for name in NAMES}
        with pytest.raises(LakeError, match="the log of raw_candles cannot be read"):
            build(where, executor, PROGRAM, full=True)
        found = contents(where)
        for path, text in kept.items():
            path.write_bytes(text)
        build(where, executor, PROGRAM, full=True)
        assert contents(where) == found


@pytest.mark.slow
def test_a_repeat_of_candles_that_were_there_already_is_counted_too() -> None:
    """Its commit tells of it because candles of another coin were new."""
    with new_lake(RAW) as where, ThreadPoolExecutor(1) as executor:
        append(where, part(NAMES, 0), {NEXT: 2})
        build(where, executor, PROGRAM)
        append(where, {}, {NEXT: 1})
        assert build(where, executor, PROGRAM).rebuilt == 1
        assert quality_of(where)[NEXT] == 3
        append(where, part([QUARTERLY], 10), {NEXT: 4})
        build(where, executor, PROGRAM)
        assert quality_of(where)[NEXT] == 7
        found = contents(where)
        build(where, executor, PROGRAM, full=True)
        assert contents(where) == found


@pytest.mark.slow
def test_a_build_from_the_past_counts_the_repeats_of_then() -> None:
    with new_lake(RAW) as where, ThreadPoolExecutor(1) as executor:
        for start in (0, 10, 20):
            append(where, part(NAMES, start), {NEXT: 1})
        append(where, {}, {NEXT: 1})
        build(where, executor, PROGRAM)
        for version, count in ((2, 2), (3, 3), (1, 1), (None, 4), (3, 3)):
            build(where, executor, PROGRAM, raw_version=version)
            assert quality_of(where)[NEXT] == count


class Killed(Lake):
    """A lake in which a build ends before it commits what it counted."""

    def commit(self, base: Snapshot, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401
        if base.table is QUALITY:
            raise LakeError("killed")
        return super().commit(base, *args, **kwargs)


def part(names: Iterable[str], start: int) -> dict[str, list[pl.DataFrame]]:
    """Ten minutes of some instruments."""
    return {name: [RAW[name].slice(start, 10)] for name in names}


class Story:
    """A lake to which candles come while it is compacted, built, built of old, and killed."""

    def __init__(self, where: Lake, executor: Executor) -> None:
        self.where = where
        self.executor = executor
        self.minutes = dict.fromkeys(NAMES, 0)
        self.come(NAMES, {})

    def come(self, names: Iterable[str], repeats: Counts) -> None:
        parts = {name: [RAW[name].slice(self.minutes[name], 10)] for name in names}
        for name in parts:
            self.minutes[name] += 10
        append(self.where, parts, repeats)

    def compact(self) -> None:
        compact(self.where, RAW_CANDLES, PROGRAM)

    def build(self) -> None:
        build(self.where, self.executor, PROGRAM)

    def build_and_be_killed(self) -> None:
        with suppress(LakeError):
            build(Killed(self.where.uri), self.executor, PROGRAM)

    def build_from_the_past(self, share: float) -> None:
        newest = self.where.snapshot(RAW_CANDLES).version or 0
        version = 1 + int(share * (newest - 1))
        build(self.where, self.executor, PROGRAM, raw_version=version)
        self.is_as_a_full_build(version)

    def is_as_a_full_build(self, raw_version: int | None = None) -> None:
        found = contents(self.where)
        build(self.where, self.executor, PROGRAM, raw_version=raw_version, full=True)
        assert contents(self.where) == found


come = st.builds(
    lambda names, repeats: lambda story: story.come(names, repeats),
    st.sets(st.sampled_from(NAMES)),
    told,
)
past = st.builds(lambda share: lambda story: story.build_from_the_past(share), st.floats(0, 1))
others = st.sampled_from([Story.compact, Story.build, Story.build_and_be_killed])


@pytest.mark.slow
@examples(8)
@given(steps=st.lists(come | others | past, max_size=8))
def test_whatever_happened_a_build_comes_to_what_a_full_one_does(
    steps: list[Callable[[Story], None]],
) -> None:
    with new_lake(RAW) as where, ThreadPoolExecutor(1) as executor:
        story = Story(where, executor)
        for step in steps:
            step(story)
        story.build()
        assert build(where, executor, PROGRAM).rebuilt == 0
        story.is_as_a_full_build()
