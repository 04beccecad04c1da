"""Builds of what arrived so far, one after the other, come to what one build of everything does."""

import itertools
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import Lake
from lake.log import Commit
from lake.tables import BASIS, RAW_CANDLES, Table
from tests.arriving import PROGRAM, append, contents, new_lake
from tests.profiles import examples
from tests.spiked import (
    EXPIRIES,
    NEXT,
    PERPETUAL,
    QUARTERLY,
    WEEKLY,
    market,
    moved,
    planted,
    simulated,
    stale,
)
from transforms.build import build

DAY = 1440
LENGTH = 8 * DAY


def eventful() -> dict[str, pl.DataFrame]:
    """Eight days in which spikes happen alone, with company, and with company that comes too late,
    so that what arrives of one instrument decides about another.
    """
    raw = {name: traded(frame) for name, frame in market(5, LENGTH, traded_share=0.3).raw.items()}
    raw[PERPETUAL] = stale(raw[PERPETUAL], DAY // 2, raw[PERPETUAL]["close"][0] * 0.6, DAY)
    for day in range(2, 8):
        for hour, names in enumerate(
            [
                (PERPETUAL,),
                (PERPETUAL, QUARTERLY),
                (PERPETUAL, NEXT),
                (NEXT,),
                (NEXT, QUARTERLY),
                (NEXT, QUARTERLY, PERPETUAL),
                (QUARTERLY, WEEKLY),
            ]
        ):
            at = day * DAY + 180 * hour + 7 * day
            for name in names:
                if at < raw[name].height:
                    raw[name] = planted(raw[name], at, "high", 1.2)
    return raw


def traded(frame: pl.DataFrame) -> pl.DataFrame:
    """The candles if something had traded in each."""
    return frame.with_columns(volume=pl.max_horizontal("volume", 1.0))


RAW = eventful()


def built(executor: Executor, *steps: Mapping[str, list[pl.DataFrame]]) -> dict[str, object]:
    """What a lake holds after these arrivals, with a build after each."""
    with new_lake(RAW) as where:
        for parts in steps:
            append(where, parts)
            build(where, executor, PROGRAM)
        return contents(where)


def all_of(raw: Mapping[str, pl.DataFrame]) -> dict[str, list[pl.DataFrame]]:
    return {name: [frame] for name, frame in raw.items()}


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    with ThreadPoolExecutor(1) as executor:
        return built(executor, all_of(RAW))


def test_every_instrument_of_this_market_has_flags_and_a_basis_has_those_of_both_sides() -> None:
    with ThreadPoolExecutor(1) as executor, new_lake(RAW) as where:
        append(where, all_of(RAW))
        build(where, executor, PROGRAM)
        counts = where.scan("warnings").filter(rule="spike").collect()
        flagged = where.scan("candles").filter("suspect").collect()
        assert dict(counts.select("instrument", "rows").iter_rows()) == dict(
            flagged.group_by("instrument").len().iter_rows()
        )
        assert set(flagged["instrument"]) == set(EXPIRIES)
        of_basis = where.scan("basis").filter("suspect").select("instrument", "ts").collect()
        on_perpetual = flagged.filter(instrument=PERPETUAL)["ts"]
        either = where.scan("candles").filter(
            (pl.col("instrument") != PERPETUAL)
            & (pl.col("suspect") | pl.col("ts").is_in(on_perpetual.implode()))
        )
        own = either.select("instrument", "ts").collect()
        assert of_basis.sort("instrument", "ts").equals(own.sort("instrument", "ts"))


class Busy(Lake):
    """A lake to which a backfill commits each time that the log of raw candles has been read."""

    def history(self, table: Table, limit: int | None = None, *, since: int = -1) -> list[Commit]:
        read = super().history(table, limit, since=since)
        if table is RAW_CANDLES:
            base = self.snapshot(RAW_CANDLES)
            start = base.rows
            file = self.write(RAW_CANDLES, RAW[PERPETUAL][start : start + 10], PERPETUAL)
            lineage = {"program": PROGRAM, "duplicates": {PERPETUAL: 1}}
            self.commit(base, [file], lineage, counting=[PERPETUAL])
        return read


def test_what_a_backfill_commits_during_a_build_is_counted_once_its_candles_are_there() -> None:
    with ThreadPoolExecutor(1) as executor, new_lake(RAW) as where:
        append(where, {PERPETUAL: [RAW[PERPETUAL][:10]]})
        for _ in range(3):
            build(Busy(where.uri), executor, PROGRAM)
            row = where.scan("quality").collect().row(0, named=True)
            assert row["duplicates"] == row["rows"] // 10 - 1


@st.composite
def arrivals(draw: st.DrawFn) -> list[dict[str, list[pl.DataFrame]]]:
    """For each step, by instrument, the stretches of candles that arrive in it."""
    steps: list[dict[str, list[pl.DataFrame]]] = [{} for _ in range(4)]
    for name, frame in RAW.items():
        cuts = draw(st.lists(st.integers(1, frame.height - 1), max_size=3, unique=True))
        edges = [0, *sorted(cuts), frame.height]
        for start, end in itertools.pairwise(edges):
            step = draw(st.integers(0, 3))
            steps[step].setdefault(name, []).append(frame.slice(start, end - start))
    return [step for step in steps if step]


@pytest.mark.slow
@examples(8)
@given(steps=arrivals(), threads=st.integers(1, 4))
def test_any_sequence_of_arrivals_and_builds_comes_to_one_full_build(
    expected: dict[str, object], steps: list[dict[str, list[pl.DataFrame]]], threads: int
) -> None:
    with ThreadPoolExecutor(threads) as executor:
        assert built(executor, *steps) == expected


@pytest.mark.slow
def test_company_that_arrives_late_clears_a_stale_price_and_the_basis_on_it_a_day_later() -> None:
    """The future that clears it does not live when the other one does."""
    good = {name: simulated(1, name, 3 * DAY) for name in (PERPETUAL, NEXT, QUARTERLY)}
    perpetual = stale(good[PERPETUAL], DAY, good[PERPETUAL]["close"][DAY] * 1.2, DAY)
    along = traded(good[NEXT]).head(DAY + 1)
    early = planted(along, DAY, "close", 1.2)
    later = good[QUARTERLY].slice(DAY + 1300, 60)
    first = {PERPETUAL: [perpetual], QUARTERLY: [later]}
    with ThreadPoolExecutor(1) as executor:
        one_by_one = built(executor, first, {NEXT: [early]})
        assert one_by_one == built(executor, {**first, NEXT: [early]})
        assert one_by_one[BASIS.name] != built(executor, first, {NEXT: [along]})[BASIS.name]


@pytest.mark.slow
def test_a_move_that_stays_is_cleared_by_what_comes_after_the_life_of_the_future() -> None:
    path = {DAY - 1: 1.2}
    perpetual = moved(simulated(1, PERPETUAL, 2 * DAY), path)
    future = simulated(1, NEXT, 2 * DAY).head(DAY)
    first = {PERPETUAL: [perpetual.head(DAY)], NEXT: [future]}
    with ThreadPoolExecutor(1) as executor:
        alone = built(executor, first)
        together = built(executor, first, {PERPETUAL: [perpetual.slice(DAY)]})
        assert together == built(executor, {PERPETUAL: [perpetual], NEXT: [future]})
        assert together[BASIS.name] != alone[BASIS.name]


def test_only_what_is_near_a_change_is_built_again(expected: dict[str, object]) -> None:
    with ThreadPoolExecutor(2) as executor, new_lake(RAW) as where:
        late = RAW[PERPETUAL].slice(LENGTH - 10)
        before = {**RAW, PERPETUAL: RAW[PERPETUAL].head(LENGTH - 10)}
        append(where, all_of(before))
        build(where, executor, PROGRAM)
        append(where, {PERPETUAL: [late]})
        # The weekly that expired four days before is not in reach.
        assert build(where, executor, PROGRAM).rebuilt == 3
        assert build(where, executor, PROGRAM).rebuilt == 0
        assert contents(where) == expected


@pytest.mark.slow
def test_processes_come_to_the_same(expected: dict[str, object]) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert built(executor, all_of(RAW)) == expected
