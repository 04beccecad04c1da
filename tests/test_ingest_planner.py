"""Plans from real lakes, filled with the answers of backfills."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from ingest.backfill import asks
from ingest.backfill.batch_commit import store
from ingest.backfill.outcome import Outcome
from ingest.backfill.subject_job import Job
from ingest.datasets.candles import CANDLES, candles_of
from ingest.deribit.replies import Page
from ingest.plan.planner import Planner, plan_figures
from ingest.plan.selection import Selection, select, with_data
from lake import Lake
from lake import open as open_lake
from lake.batches import append, newest_batch
from lake.errors import TransientError
from lake.tables import ASKS, COVERAGE, RAW_CANDLES
from lake.time.intervals import Span
from tests.lakes import instrument, record
from tests.strategies import candles, minute, minutes_in, span

PERPETUAL = "BTC-PERPETUAL"
FUTURE = "BTC-28JUN19"
SUBJECT = candles_of(PERPETUAL)
ALL = Selection(data=("candles",))
# When this many minutes have closed for good.
LAG = timedelta(seconds=5)

Asked = list[tuple[int, int]]


def lake_of(tmp_path: Path, **lives: tuple[int, int | None]) -> Lake:
    """A lake that knows instruments by name, `_` for `-`, with the minutes they are listed and
    expire at.
    """
    lake = open_lake(str(tmp_path / "lake"))
    found = (
        {
            **instrument(name.replace("_", "-"), minute(expires) if expires else None),
            "listed_at": minute(listed),
        }
        for name, (listed, expires) in lives.items()
    )
    record(lake, list(found))
    return lake


@pytest.fixture
def at(tmp_path: Path) -> Lake:
    """A lake that knows a perpetual."""
    return lake_of(tmp_path, BTC_PERPETUAL=(0, None))


def of_candles(**given: Any) -> Selection:  # noqa: ANN401
    """A selection of candles only."""
    return with_data(select(**given), ["candles"])


def closed(number: int) -> datetime:
    """The exchange's clock when the first so many minutes have closed for good."""
    return minute(number) + LAG


def backfill(
    lake: Lake,
    until: int,
    gone: Iterable[int] = (),
    *,
    silent: Iterable[int] = (),
    repair: bool = False,
    selection: Selection = ALL,
) -> Asked:
    """Fetch and commit window by window; return the requested windows, by minutes.

    Args:
        lake: to fetch into.
        until: minutes that have closed.
        gone: minutes without a candle.
        silent: minutes whose windows get no answer.
        repair: see `Planner`.
        selection: of instruments.
    """
    planner = Planner(lake, selection, closed(until), repair=repair)
    run = uuid4().hex
    asked: Asked = []
    for subject in planner.wanted:
        job = Job(planner.plan(subject), planner.coverage(subject))
        while window := job.next_window():
            minutes = minutes_in([window])
            asked.append((minutes[0], minutes[-1] + 1))
            came = [candles(1, number) for number in minutes if number not in set(gone)]
            page = Page(pl.concat([candles(0), *came]), 0, window)
            is_silent = not set(silent).isdisjoint(minutes)
            error = TransientError("no answer") if is_silent else None
            outcome = Outcome(subject, window, None if is_silent else page, error)
            job.take(outcome)
            store(lake, [outcome], "test 1", run=run)
    return asked


def planned(lake: Lake, until: int, *, repair: bool = False) -> dict[str, Asked]:
    plans = Planner(lake, ALL, closed(until), repair=repair).plans()
    return {plan.subject.name: pairs(plan.windows) for plan in plans}


def pairs(windows: Iterable[Span]) -> Asked:
    numbers = [minutes_in([window]) for window in windows]
    return [(minutes[0], minutes[-1] + 1) for minutes in numbers]


def answered(start: int, end: int) -> Outcome:
    """A window of the perpetual, with a candle a minute."""
    page = Page(candles(end - start, start), 0, span(start, end))
    return Outcome(SUBJECT, span(start, end), page)


def statuses(lake: Lake) -> list[tuple[int, str]]:
    """Minutes and status of the intervals of the perpetual."""
    rows = lake.read(COVERAGE).filter(instrument=PERPETUAL)
    return rows.select("minutes", "status").rows()


def test_what_was_never_asked_is_planned_up_to_the_last_minute_that_is_closed(at: Lake) -> None:
    assert planned(at, 7_000) == {PERPETUAL: [(0, 5_000), (5_000, 7_000)]}
    almost = Planner(at, ALL, closed(10) - timedelta(milliseconds=1)).plans()
    assert pairs(almost[0].windows) == [(0, 9)]


def test_planning_changes_nothing_in_the_lake(at: Lake) -> None:
    backfill(at, 30, gone={5})
    before = sorted(Path(at.uri).rglob("*"))
    assert planned(at, 40)[PERPETUAL]
    assert sorted(Path(at.uri).rglob("*")) == before


def test_what_was_answered_is_not_planned_again(at: Lake) -> None:
    assert backfill(at, 50, gone=range(20)) == [(0, 50)]
    assert statuses(at) == [(20, "no_data"), (30, "present")]
    assert backfill(at, 50) == []
    assert backfill(at, 60) == [(50, 60)]


def test_a_missing_minute_that_comes_after_all_is_stored_and_no_longer_missing(at: Lake) -> None:
    backfill(at, 50, gone={5, 6, 30})
    assert backfill(at, 50, gone={5, 30}) == [(5, 31)]
    assert at.snapshot(RAW_CANDLES).rows == 48
    assert backfill(at, 50, gone={5, 30}) == []
    assert sum(minutes for minutes, status in statuses(at) if status == "missing") == 2


def test_a_backfill_without_an_answer_does_not_make_missing_minutes_believed(at: Lake) -> None:
    backfill(at, 50, gone={5, 30})
    for _ in range(2):
        assert backfill(at, 50, gone={5, 30}, silent={30}) == [(5, 31)]
    assert backfill(at, 50, gone={5, 30}) == [(5, 31)]
    assert backfill(at, 50, gone={5, 30}) == []


def test_newly_missing_minutes_are_asked_again_though_older_ones_are_believed(at: Lake) -> None:
    for _ in range(3):
        backfill(at, 50, gone={5})
    assert backfill(at, 60, gone={5, 55}) == [(50, 60), (55, 56)]
    assert backfill(at, 60, gone={5, 55})[-1][1] == 56
    assert backfill(at, 60, gone={5, 55}) == []


def test_minutes_without_an_answer_are_planned_again(at: Lake) -> None:
    assert backfill(at, 50, silent={7}) == [(0, 50)]
    assert statuses(at) == [(50, "failed")]
    assert planned(at, 50) == {PERPETUAL: [(0, 50)]}
    assert backfill(at, 50, gone={9}) == [(0, 50), (9, 10)]


def test_a_repair_asks_again_for_all_that_has_no_candle_and_for_nothing_else(at: Lake) -> None:
    gone = {*range(10), 30, 31}
    for _ in range(3):
        backfill(at, 50, gone)
    assert planned(at, 50) == {PERPETUAL: []}
    assert planned(at, 50, repair=True) == {PERPETUAL: [(0, 32)]}
    assert backfill(at, 50, gone={31}, repair=True) == [(0, 32)]
    assert at.snapshot(RAW_CANDLES).rows == 49
    assert planned(at, 50) == {PERPETUAL: []}


def test_a_planner_sees_what_another_run_committed_only_once_it_is_renewed(at: Lake) -> None:
    planner = Planner(at, ALL, closed(50))
    before = planner.plan(SUBJECT)
    backfill(at, 50, gone={40})
    assert planner.plan(SUBJECT) == before
    planner.renew()
    assert pairs(planner.plan(SUBJECT).windows) == [(40, 41)]
    assert planner.coverage(SUBJECT).missing() == [span(40, 41)]


def test_a_planner_need_not_read_what_its_own_run_committed(at: Lake) -> None:
    planner = Planner(at, ALL, closed(50))
    backfill(at, 30)
    planner.committed(at.snapshot(ASKS).version)
    planner.renew()
    assert pairs(planner.plan(SUBJECT).windows) == [(0, 50)]
    planner.committed(None)
    backfill(at, 40)
    planner.renew()
    assert pairs(planner.plan(SUBJECT).windows) == [(40, 50)]


def test_what_another_run_committed_in_between_is_read_though_our_own_came_last(at: Lake) -> None:
    planner = Planner(at, ALL, closed(50))
    backfill(at, 20)
    backfill(at, 30)
    planner.committed(at.snapshot(ASKS).version)
    planner.renew()
    assert pairs(planner.plan(SUBJECT).windows) == [(30, 50)]


def test_what_another_run_asked_is_read_though_our_own_commit_brought_coverage_up_to_date(
    at: Lake,
) -> None:
    planner = Planner(at, ALL, closed(50))
    rows = asks.rows_of([answered(0, 20)], "test 1", "another run", minute(0))
    append(at, ASKS, rows, newest_batch(at) + 1, {})
    stored = store(at, [answered(20, 30)], "test 1")
    assert statuses(at) == [(30, "present")]
    planner.committed(stored.asks_version)
    planner.renew()
    assert pairs(planner.plan(SUBJECT).windows) == [(30, 50)]


def test_a_coverage_is_a_copy_that_may_be_changed(at: Lake) -> None:
    backfill(at, 50)
    planner = Planner(at, ALL, closed(50))
    planner.coverage(SUBJECT).answer(span(50, 60), [span(50, 60)])
    assert planner.coverage(SUBJECT).present == [span(0, 50)]
    assert planner.plan(SUBJECT).windows == ()


def test_a_perpetual_that_comes_for_a_future_is_wanted_over_the_futures_life(
    tmp_path: Path,
) -> None:
    at = lake_of(tmp_path, BTC_PERPETUAL=(0, None), BTC_28JUN19=(20, 40))
    planner = Planner(at, of_candles(names=[FUTURE]), closed(100))
    assert planner.wanted == {SUBJECT: [span(20, 40)], candles_of(FUTURE): [span(20, 40)]}
    assert backfill(at, 100, selection=of_candles(names=[FUTURE])) == [(20, 40), (20, 40)]
    assert planned(at, 100) == {PERPETUAL: [(0, 100)], FUTURE: []}


def test_only_selected_minutes_are_planned(at: Lake) -> None:
    chosen = of_candles(since=minute(10), until=minute(20))
    assert backfill(at, 50, selection=chosen) == [(10, 20)]
    assert planned(at, 50) == {PERPETUAL: [(0, 50)]}


def test_an_instrument_without_a_selected_minute_is_not_planned(tmp_path: Path) -> None:
    at = lake_of(tmp_path, BTC_PERPETUAL=(0, None), BTC_28JUN19=(0, 20), BTC_27SEP19=(20, 40))
    chosen = of_candles(since=minute(10), until=minute(20))
    plans = Planner(at, chosen, closed(50)).plans()
    assert [plan.subject.name for plan in plans] == [PERPETUAL, FUTURE]


def test_the_figures_of_a_plan_add_up(at: Lake) -> None:
    plans = Planner(at, ALL, closed(12_001)).plans()
    figures = plan_figures(iter(plans), 4.0)
    assert figures == {
        "windows": 3,
        "calls": 3,
        "candles": 12_001,
        "seconds_at_rate": 0.8,
        "bytes": round(12_001 * CANDLES.bytes_per_row),
        "datasets": {},
        "all_windows": 3,
        "all_calls": 3,
        "all_seconds_at_rate": 0.8,
    }
    for without_limit in (0.0, float("inf")):
        assert plan_figures(plans, without_limit)["seconds_at_rate"] is None
    assert plan_figures([], 4.0)["calls"] == 0


def test_a_plan_counts_the_calls_of_each_dataset(tmp_path: Path) -> None:
    day = 1440
    at = lake_of(tmp_path, BTC_PERPETUAL=(0, None), BTC_28JUN19=(0, 100 * day))
    figures = plan_figures(Planner(at, Selection(), closed(62 * day)).plans(), 4.0)
    # Since T0, midnight of the first of January 2024, 62 days: candles of both, hours in windows of
    # 720, the months January and February, 62 days from 08:00 of the day before.
    calls = {name: of["calls"] for name, of in figures["datasets"].items()}
    assert figures["calls"] == 2 * 18
    assert calls == {"funding": 3, "funding_totals": 2, "deliveries": 1, "settlements": 2}
    rows = {name: of["rows"] for name, of in figures["datasets"].items()}
    assert rows == {
        "funding": 62 * 24 - 1,
        "funding_totals": 2,
        "deliveries": 62,
        "settlements": 2 * 62,
    }
    assert figures["all_calls"] == 36 + sum(calls.values())
