"""Whatever happened to a lake, a build leaves what a full build of the same batches leaves in an
empty one.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.batches import newest_batch
from lake.errors import LakeError
from lake.history.as_of import past
from lake.maintenance.maintain import maintain
from lake.table import Table
from lake.tables import BASIS, BUILDS, CANDLES, CURATED, INSTRUMENTS, RAW_CANDLES
from tests.arriving import PROGRAM, arrive, built_elsewhere, contents, new_lake
from tests.lakes import Killed, record
from tests.profiles import examples
from tests.spiked import DAY, NEXT, QUARTERLY, WEEKLY, eventful
from transforms.build import build

# The market begins in January, has gone on for four days by the next month's fourth, and then goes
# on at the end of that month, into March.
LATER = timedelta(days=29)
PAUSED, PAUSE = datetime(2024, 2, 3, 8, tzinfo=UTC), timedelta(days=26)
BORDERS = (datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))


def of_three_months() -> dict[str, pl.DataFrame]:
    """An eventful market around the ends of two months; a future that expires in between has
    candles after its life.
    """
    ts = pl.col("ts") + LATER
    paused = pl.when(ts < PAUSED).then(ts).otherwise(ts + PAUSE)
    return {name: frame.with_columns(ts=paused) for name, frame in eventful(6 * DAY).items()}


RAW = of_three_months()


def pieces() -> dict[tuple[str, int], pl.DataFrame]:
    """The candles in pieces that arrive together: half a day each, and the minutes on either side
    of a month's end by themselves.
    """
    found = {}
    for name, frame in RAW.items():
        ends = [frame["ts"].search_sorted(border) + i for border in BORDERS for i in (-1, 0, 1)]
        cuts = sorted(
            {*range(0, frame.height, DAY // 2), *ends, frame.height} & {*range(frame.height + 1)}
        )
        for number, (start, end) in enumerate(itertools.pairwise(cuts)):
            found[name, number] = frame[start:end]
    return found


PIECES = pieces()


class Story:
    """A lake to which candles come while it is built, built as of older batches, tidied up by us
    and by another program, and while builds are killed.
    """

    def __init__(self, lake: Lake, executor: Executor) -> None:
        self.lake = lake
        self.executor = executor
        self.times = dict.fromkeys(PIECES, 0)
        self.records = lake.read(INSTRUMENTS)

    def come(self, pieces: set[tuple[str, int]]) -> None:
        """Pieces arrive as one batch: stored candles again, some with other values."""
        parts: dict[str, list[pl.DataFrame]] = {}
        for name, number in sorted(pieces):
            frame, times = PIECES[name, number], self.times[name, number]
            if times:
                frame = frame.gather_every(11).with_columns(pl.col("high") * (1 + times / 5))
            self.times[name, number] += 1
            parts.setdefault(name, []).append(frame)
        arrive(self.lake, parts, dict.fromkeys(parts, 1))

    def change_record(self, name: str, hours: int, base: str) -> None:
        """The exchange reports another expiry and another coin of a future."""
        is_own = pl.col("instrument") == name
        self.records = self.records.with_columns(
            pl.when(is_own)
            .then(pl.col("expires_at") - timedelta(hours=hours))
            .otherwise("expires_at"),
            pl.when(is_own).then(pl.lit(base)).otherwise("base").alias("base"),
        )
        record(self.lake, self.records.rows(named=True))

    def build(self) -> None:
        build(self.lake, self.executor, PROGRAM)
        assert contents(self.lake) == built_elsewhere(self.lake, self.executor)
        assert build(self.lake, self.executor, PROGRAM).rebuilt == 0

    def build_as_of(self, share: float) -> None:
        batch = 2 + round(share * (newest_batch(self.lake) - 2))
        build(past(self.lake, batch), self.executor, PROGRAM)
        assert contents(self.lake) == built_elsewhere(self.lake, self.executor, batch)

    def build_and_be_killed(self, before: Table) -> None:
        found = contents(self.lake)
        with suppress(LakeError):
            build(self.lake, self.executor, PROGRAM, target=Killed(self.lake, before))
            return
        assert contents(self.lake) == found

    def compact_elsewhere(self, table: Table) -> None:
        """Another program puts the files of each instrument together, whatever their months."""
        if self.lake.snapshot(table).version is not None:
            DeltaTable(f"{self.lake.uri}/{table.name}").optimize.compact()

    def maintain(self) -> None:
        maintain(self.lake, PROGRAM)


Step = Callable[[Story], None]
coming = st.sets(st.sampled_from(sorted(PIECES)), min_size=1, max_size=20)
come: st.SearchStrategy[Step] = coming.map(lambda pieces: lambda story: story.come(pieces))
killed: st.SearchStrategy[Step] = st.sampled_from([*CURATED, BUILDS]).map(
    lambda table: lambda story: story.build_and_be_killed(table)
)
compacted: st.SearchStrategy[Step] = st.sampled_from([RAW_CANDLES, CANDLES, BASIS]).map(
    lambda table: lambda story: story.compact_elsewhere(table)
)
text: st.SearchStrategy[Step] = st.builds(
    lambda *of: lambda story: story.change_record(*of),
    st.sampled_from([WEEKLY, NEXT, QUARTERLY]),
    st.integers(0, 60),
    st.sampled_from(["BTC", "ETH"]),
)
as_of: st.SearchStrategy[Step] = st.floats(0, 1).map(
    lambda share: lambda story: story.build_as_of(share)
)
others: st.SearchStrategy[Step] = st.sampled_from([Story.build, Story.maintain])


@pytest.mark.slow
@examples(4)
@given(first=coming, steps=st.lists(come | text | others | as_of | killed | compacted, max_size=8))
def test_whatever_happened_a_build_leaves_what_a_full_one_leaves_in_an_empty_lake(
    first: set[tuple[str, int]], steps: list[Step]
) -> None:
    with new_lake(RAW, LATER) as lake, ThreadPoolExecutor(2) as executor:
        story = Story(lake, executor)
        story.come(first)
        for step in steps:
            step(story)
        story.build()
