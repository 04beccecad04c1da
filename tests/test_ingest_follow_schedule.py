"""The schedule, the skipped subjects and the lag of a follow run: pure."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.datasets.candles import candles_of
from ingest.deribit.replies import closed_until
from ingest.follow_schedule import (
    Roster,
    expired_by,
    is_due,
    lag_of,
    newest_candles,
    next_fetch,
    over,
    wait_after_failures_s,
)
from lake.coverage import Subject
from lake.time.intervals import MINUTE, Span
from tests.market import NOW

some_times = st.timedeltas(timedelta(0), timedelta(days=20_000)).map(
    lambda passed: datetime(2018, 1, 1, tzinfo=UTC) + passed
)
A, B, C = "BTC-5APR24", "BTC-12APR24", "BTC-PERPETUAL"
OF_A, OF_B, OF_C = map(candles_of, (A, B, C))


@given(now=some_times, minutes=st.integers(1, 1440))
def test_the_next_fetch_is_the_first_moment_with_a_whole_batch_more(
    now: datetime, minutes: int
) -> None:
    every = minutes * MINUTE
    at = next_fetch(now, every)
    assert now < at <= now + every
    # The minutes end with a multiple of the batch, and not a moment before.
    assert (closed_until(at) - datetime(1970, 1, 1, tzinfo=UTC)) % every == timedelta(0)
    assert closed_until(at) > closed_until(now)
    assert closed_until(at - timedelta(microseconds=1)) < closed_until(at)


def test_a_minute_is_fetched_five_seconds_after_it_closed() -> None:
    assert NOW.second == 30
    assert next_fetch(NOW, MINUTE) == NOW.replace(minute=1, second=5)
    assert next_fetch(NOW.replace(second=4), MINUTE) == NOW.replace(second=5)
    assert next_fetch(NOW.replace(second=5), MINUTE) == NOW.replace(minute=1, second=5)


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (None, True),
        (NOW, False),
        (NOW - timedelta(minutes=4, seconds=59), False),
        (NOW - timedelta(minutes=5), True),
        # The exchange's clock was set back.
        (NOW + timedelta(seconds=1), True),
    ],
)
def test_a_step_is_due_after_its_time(last: datetime | None, due: bool) -> None:  # noqa: FBT001
    assert is_due(last, NOW, 5 * MINUTE) is due


def test_waits_grow_to_a_bound() -> None:
    waits = [wait_after_failures_s(n) for n in (1, 2, 3, 6, 7, 8, 1000, 10**9)]
    assert waits == [5, 10, 20, 160, 300, 300, 300, 300]


def test_what_expired_and_needs_nothing_is_left_out_until_its_life_changes() -> None:
    roster = Roster()
    assert roster.end({OF_A: False, OF_B: False, OF_C: True}, {OF_A, OF_C}) == [OF_A]
    assert roster.without(NOW) == {OF_A}
    roster.relist([A, B])
    assert roster.without(NOW) == set()


def test_a_settlement_is_over_later_than_the_last_candle() -> None:
    expires_at = datetime(2024, 4, 5, 8, tzinfo=UTC)
    settled, day = Subject("settlements", A), timedelta(days=1)
    minutes = {OF_A: [Span(expires_at - day, expires_at)], OF_C: [Span(expires_at - day, NOW)]}
    # Between the last candle and the time when the last settlement is available.
    before = {**minutes, settled: [Span(expires_at - 2 * day, expires_at - day)]}
    assert over(before, {A: expires_at}) == {OF_A}
    after = {**minutes, settled: [Span(expires_at - 2 * day, expires_at)]}
    assert over(after, {A: expires_at}) == {OF_A, settled}


def test_an_instrument_without_answers_rests_longer_and_longer_while_others_answer() -> None:
    roster, now, rests = Roster(), NOW, []
    for _ in range(9):
        roster.took({OF_A, OF_B}, {OF_A}, now)
        assert roster.without(now) == {OF_A}
        until = roster.resting[OF_A].until
        assert roster.without(until) == set()
        rests.append((until - now) // MINUTE)
        now = until
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    roster.took({OF_A, OF_B}, set(), now)
    roster.took({OF_A, OF_B}, {OF_A}, now)
    assert roster.resting[OF_A].until - now == MINUTE


def test_where_nothing_is_answered_nobody_rests() -> None:
    roster = Roster()
    roster.took({OF_A, OF_B}, {OF_A, OF_B}, NOW)
    assert roster.without(NOW) == set()


def test_an_instrument_has_expired_when_its_last_minute_is_closed_for_good() -> None:
    expiry = NOW.replace(second=0)
    known = pl.DataFrame({"instrument": [A, C], "expires_at": [expiry, None]})
    assert expired_by(known, expiry + timedelta(seconds=4)) == set()
    assert expired_by(known, expiry + timedelta(seconds=5)) == {A}


def test_the_lag_is_that_of_the_newest_candle_and_of_the_open_instrument_furthest_behind() -> None:
    end = NOW.replace(second=0)
    rows = [
        (A, end - timedelta(days=7), "present"),
        (B, end - 9 * MINUTE, "present"),
        (B, end - MINUTE, "failed"),
        (C, end - 5 * MINUTE, "present"),
        (C, end, "present"),
        ("BTC-19APR24", end, "no_data"),
    ]
    columns = ["instrument", "end", "status", "dataset"]
    of_candles = [(*row, "candles") for row in rows]
    others = [(B, end + 9 * MINUTE, "present", "settlements")]
    coverage = pl.DataFrame([*of_candles, *others], schema=columns, orient="row")
    lag = lag_of(newest_candles(coverage), {A}, NOW)
    assert (lag.at, lag.newest, lag.seconds) == (NOW, end - MINUTE, 90.0)
    assert (lag.instrument, lag.instrument_seconds) == (B, 630.0)
    assert lag_of({A: end}, {A}, NOW).seconds is None
