"""Builds after each arrival give the same rows as one build of everything."""

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta

import polars as pl
import pytest
from deltalake import DeltaTable

from lake import Lake
from lake.files.slices import slices
from lake.snapshot import Snapshot
from lake.state import State
from lake.table import Table
from lake.tables import ASKS, BASIS, CANDLES, QUALITY, QUARANTINE, RAW_CANDLES
from tests.arriving import PROGRAM, arrive, contents, new_lake
from tests.spiked import (
    DAY,
    EXPIRIES,
    MONTHS_END,
    NEXT,
    PERPETUAL,
    QUARTERLY,
    START,
    eventful,
    moved,
    planted,
    simulated,
    stale,
    traded,
)
from transforms.build import SETTINGS, build

LENGTH = 8 * DAY
# A month ends 16 hours after the market begins.
LATER = timedelta(days=30)


def later(frame: pl.DataFrame, by: timedelta = LATER) -> pl.DataFrame:
    return frame.with_columns(pl.col("ts") + by)


RAW = {name: later(frame) for name, frame in eventful(LENGTH).items()}


def built(
    executor: Executor, *steps: Mapping[str, list[pl.DataFrame]], by: timedelta = LATER
) -> dict[str, object]:
    """What a lake holds after these arrivals, with a build after each."""
    with new_lake(RAW, by) as lake:
        for parts in steps:
            arrive(lake, parts)
            build(lake, executor, PROGRAM)
        return contents(lake)


def basis_of(held: Mapping[str, object]) -> dict[str, object]:
    """What of all that was built is basis."""
    return {key: digest for key, digest in held.items() if key.startswith(f"{BASIS.name}/")}


def all_of(raw: Mapping[str, pl.DataFrame]) -> dict[str, list[pl.DataFrame]]:
    return {name: [frame] for name, frame in raw.items()}


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    with ThreadPoolExecutor(1) as executor:
        return built(executor, all_of(RAW))


def test_every_instrument_of_this_market_has_flags_and_a_basis_has_those_of_both_sides() -> None:
    with ThreadPoolExecutor(1) as executor, new_lake(RAW, LATER) as lake:
        arrive(lake, all_of(RAW))
        build(lake, executor, PROGRAM)
        counts = lake.scan("warnings").filter(rule="spike").collect()
        flagged = lake.scan("candles").filter("suspect").collect()
        assert dict(counts.select("instrument", "rows").iter_rows()) == dict(
            flagged.group_by("instrument").len().iter_rows()
        )
        assert set(flagged["instrument"]) == set(EXPIRIES)
        of_basis = lake.scan("basis").filter("suspect").select("instrument", "ts").collect()
        on_perpetual = flagged.filter(instrument=PERPETUAL)["ts"]
        either = lake.scan("candles").filter(
            (pl.col("instrument") != PERPETUAL)
            & (pl.col("suspect") | pl.col("ts").is_in(on_perpetual.implode()))
        )
        own = either.select("instrument", "ts").collect()
        assert of_basis.sort("instrument", "ts").equals(own.sort("instrument", "ts"))


class Busy(State):
    """A lake to which a backfill commits each time that it was looked up what was asked for."""

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        found = super().snapshot(table, version)
        if table is ASKS:
            lake = Lake(self.uri)
            start = lake.snapshot(RAW_CANDLES).rows
            arrive(lake, {PERPETUAL: [RAW[PERPETUAL][start : start + 10]]}, {PERPETUAL: 1})
        return found


def test_what_a_backfill_commits_during_a_build_is_counted_once_its_candles_are_there() -> None:
    with ThreadPoolExecutor(1) as executor, new_lake(RAW, LATER) as lake:
        arrive(lake, {PERPETUAL: [RAW[PERPETUAL][:10]]})
        for number in range(1, 4):
            build(Busy(lake), executor, PROGRAM)
            (row,) = lake.read(QUALITY).iter_rows(named=True)
            assert (row["rows"], row["duplicates"]) == (10 * number, number - 1)


@pytest.mark.slow
def test_company_that_arrives_late_clears_a_stale_price_and_the_basis_on_it_a_day_later() -> None:
    """The future that clears it does not live when the other one does, nor in the same month."""
    by = MONTHS_END - START - timedelta(minutes=DAY + 600)
    good = {name: simulated(1, name, 3 * DAY) for name in (PERPETUAL, NEXT, QUARTERLY)}
    good = {name: later(frame, by) for name, frame in good.items()}
    perpetual = stale(good[PERPETUAL], DAY, good[PERPETUAL]["close"][DAY] * 1.2, DAY)
    along = traded(good[NEXT]).head(DAY + 1)
    early = planted(along, DAY, "close", 1.2)
    after = good[QUARTERLY].slice(DAY + 1300, 60)
    first = {PERPETUAL: [perpetual], QUARTERLY: [after]}
    with ThreadPoolExecutor(1) as executor:
        one_by_one = built(executor, first, {NEXT: [early]}, by=by)
        assert one_by_one == built(executor, {**first, NEXT: [early]}, by=by)
        assert basis_of(one_by_one) != basis_of(built(executor, first, {NEXT: [along]}, by=by))


@pytest.mark.slow
def test_a_move_that_stays_is_cleared_by_what_comes_after_the_life_of_the_future() -> None:
    by = MONTHS_END - START - timedelta(days=1)
    path = {DAY - 1: 1.2}
    perpetual = later(moved(simulated(1, PERPETUAL, 2 * DAY), path), by)
    future = later(simulated(1, NEXT, 2 * DAY).head(DAY), by)
    first = {PERPETUAL: [perpetual.head(DAY)], NEXT: [future]}
    with ThreadPoolExecutor(1) as executor:
        alone = built(executor, first, by=by)
        together = built(executor, first, {PERPETUAL: [perpetual.slice(DAY)]}, by=by)
        assert together == built(executor, {PERPETUAL: [perpetual], NEXT: [future]}, by=by)
        assert basis_of(together) != basis_of(alone)


def files(lake: Lake) -> dict[tuple[str, str], set[str]]:
    """The files of each month of each instrument, of candles and of the basis."""
    still = lake.state()
    return {
        (table.name, own.name): {file.path for file in own.files}
        for table in (CANDLES, BASIS)
        for own in slices(still.snapshot(table))
    }


def test_only_periods_near_a_change_are_built_again_and_minutes_at_the_end_are_added(
    expected: dict[str, object],
) -> None:
    with ThreadPoolExecutor(2) as executor, new_lake(RAW, LATER) as lake:
        late = RAW[PERPETUAL].slice(LENGTH - 10)
        before = {**RAW, PERPETUAL: RAW[PERPETUAL].head(LENGTH - 10)}
        arrive(lake, all_of(before))
        first = build(lake, executor, PROGRAM)
        assert (first.rebuilt, first.periods) == (4, 11)
        held = files(lake)
        arrive(lake, {PERPETUAL: [late]})
        # January is not in reach, and of the days that are nothing but these minutes differs: of
        # the futures that live then, their basis.
        again = build(lake, executor, PROGRAM)
        assert (again.rebuilt, again.periods) == (3, 3)
        now = files(lake)
        grown = {
            ("candles", f"{PERPETUAL}/2024-02"),
            ("basis", f"{NEXT}/2024-02"),
            ("basis", f"{QUARTERLY}/2024-02"),
        }
        assert {name for name in held if now[name] != held[name]} == grown
        assert all(len(now[name] - held[name]) == 1 and held[name] < now[name] for name in grown)
        nothing = build(lake, executor, PROGRAM)
        assert (nothing.rebuilt, nothing.periods, files(lake)) == (0, 0, now)
        assert contents(lake) == expected


def test_a_candle_that_counts_in_place_of_another_replaces_the_file_of_its_month_alone() -> None:
    with ThreadPoolExecutor(2) as executor, new_lake(RAW, LATER) as lake:
        arrive(lake, all_of(RAW))
        build(lake, executor, PROGRAM)
        held = files(lake)
        other = RAW[QUARTERLY].slice(5 * DAY, 1).with_columns(pl.col("volume") + 1)
        arrive(lake, {QUARTERLY: [other]})
        build(lake, executor, PROGRAM)
        now = files(lake)
        own = ("candles", f"{QUARTERLY}/2024-02")
        assert {name for name in held if now[name] != held[name]} == {own}
        assert now[own].isdisjoint(held[own])
        (row,) = lake.read(QUARANTINE).select("instrument", "ts", "rules").rows()
        assert row == (QUARTERLY, other["ts"][0], ["superseded"])


@pytest.mark.slow
def test_processes_come_to_the_same(expected: dict[str, object]) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert built(executor, all_of(RAW)) == expected


@pytest.mark.parametrize("is_compacted", [False, True])
def test_years_of_a_perpetual_are_several_tasks_unless_a_file_has_rows_of_several_months(
    monkeypatch: pytest.MonkeyPatch, *, is_compacted: bool
) -> None:
    times = pl.datetime_range(START, START + timedelta(days=900), "8h", eager=True, time_unit="us")
    perpetual = simulated(1, PERPETUAL, len(times)).with_columns(times.alias("ts"))
    raw = {PERPETUAL: perpetual, QUARTERLY: simulated(1, QUARTERLY, 2 * DAY)}
    steps: list[tuple[int, int]] = []
    with ThreadPoolExecutor(1) as executor, new_lake(raw) as lake:
        arrive(lake, all_of(raw))
        build(lake, executor, PROGRAM, report=lambda *step: steps.append(step))
        first, parts = contents(lake), len(steps)
        if is_compacted:
            DeltaTable(f"{lake.uri}/candles").optimize.compact()
        monkeypatch.setitem(SETTINGS, "days_per_year", 366)
        build(lake, executor, PROGRAM, report=lambda *step: steps.append(step))
        assert contents(lake) == first
    assert parts > len(raw)
    assert len(steps) == parts + (len(raw) if is_compacted else parts)
    assert steps[-1] == (2, 2)
    assert [done for done, _ in steps[:parts]] == [0] * (parts - 2) + [1, 2]
