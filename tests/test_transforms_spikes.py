"""Spikes: planted ones are found, common moves and other candles are not flagged."""

from datetime import datetime, timedelta
from functools import cache

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.profiles import examples
from tests.spiked import (
    DAY,
    EXPIRIES,
    MONTHS_END,
    NEXT,
    PERPETUAL,
    PRICES,
    QUARTERLY,
    RECORDED,
    START,
    WEEKLY,
    market,
    planted,
    recorded,
    stale,
)
from tests.tiers import slow_but

FUTURES = (WEEKLY, NEXT, QUARTERLY)
FACTORS = (1.5, 1 / 1.5)
# A high cannot be planted below, nor a low above.
SPIKES = [(p, f) for p in PRICES for f in FACTORS if (p, f > 1) not in {("high", 0), ("low", 1)}]

good_market = cache(market)


def flagged(judged: dict[str, pl.DataFrame]) -> dict[str, list[datetime]]:
    """The flagged minutes of each instrument that has any, wherever the market is in time."""
    minutes = {name: frame.filter("suspect")["ts"].to_list() for name, frame in judged.items()}
    return {name: found for name, found in minutes.items() if found}


def minute(number: int, ends: int | None = None) -> datetime:
    """A minute of the market, which may be in another time; see `Market.ending`."""
    start = START if ends is None else MONTHS_END - timedelta(minutes=ends)
    return start + timedelta(minutes=number)


# Where the month ends, if it does: so many minutes after the market begins.
ENDS = (None, 2, DAY - 30, DAY, DAY + 1, DAY + 5, DAY + 30, 2 * DAY - 1)


@examples(60)
@given(
    name=st.sampled_from(list(EXPIRIES)),
    row=st.one_of(
        st.integers(0, 3),
        st.integers(DAY - 3, DAY + 3),
        st.integers(2 * DAY - 4, 2 * DAY - 1),
        st.integers(0, 2879),
    ),
    ends=st.sampled_from(ENDS),
    spike=st.sampled_from(SPIKES),
    untraded=st.booleans(),
    share=st.sampled_from((1.0, 0.1, 0.01)),
    seed=st.integers(0, 3),
)
def test_a_print_of_one_and_a_half_is_always_found_and_flags_nothing_else(
    name: str,
    row: int,
    ends: int | None,
    spike: tuple[str, float],
    *,
    untraded: bool,
    share: float,
    seed: int,
) -> None:
    good = good_market(seed, 2 * DAY, traded_share=share)
    spiked = planted(good.raw[name], row, *spike, untraded=untraded)
    judged = good.having(name, spiked).ending(ends).judged()
    assert flagged(judged) == {name: [minute(row, ends)]}


@pytest.mark.parametrize("name", EXPIRIES)
@pytest.mark.parametrize("factor", FACTORS)
def test_a_spike_that_nobody_trades_away_from_is_flagged_until_somebody_does(
    name: str, factor: float
) -> None:
    good = good_market(1, 3 * DAY)
    price = good.raw[name]["close"][DAY] * factor
    spiked = good.having(name, stale(good.raw[name], DAY, price, DAY))
    assert flagged(spiked.judged()) == {name: [minute(DAY + i) for i in range(DAY)]}


@examples(20)
@given(
    name=st.sampled_from(FUTURES),
    count=st.integers(1, 40),
    factor=st.sampled_from(FACTORS),
    prints=st.data(),
)
def test_spikes_in_a_contract_that_hardly_trades_are_found(
    name: str, count: int, factor: float, prints: st.DataObject
) -> None:
    """Of so many prints in a life of two days, a third at most are spikes."""
    good = good_market(2, 2 * DAY)
    rows = [i * (2 * DAY // count) for i in range(count)]
    chosen = sorted(prints.draw(st.sets(st.sampled_from(rows), max_size=max(1, count // 3))))
    frame = good.raw[name]
    for at, end in zip(rows, [*rows[1:], 2 * DAY], strict=True):
        price = frame["close"][at] * (factor if at in chosen else 1.0)
        frame = stale(frame, at, price, end - at)
    found = flagged(good.having(name, frame).judged())
    assert set(found) <= {name}
    minutes = {m for at in chosen for m in range(at, at + 2 * DAY // count)}
    assert {minute(m) for m in minutes} - {minute(2 * DAY)} <= set(found.get(name, [])) | {
        minute(m) for m in range(rows[-1], 2 * DAY) if rows[-1] not in chosen
    }
    assert len(found.get(name, [])) <= len(chosen) * (2 * DAY // count + count)


def test_an_open_of_one_and_a_half_is_found_where_the_perpetual_lacks_the_day() -> None:
    good = good_market(1, 2 * DAY)
    gap = ~pl.col("ts").is_between(minute(DAY - 400), minute(DAY + 400))
    lacking = good.having(PERPETUAL, good.raw[PERPETUAL].filter(gap))
    assert flagged(lacking.judged()) == {}
    spiked = lacking.having(NEXT, planted(good.raw[NEXT], DAY, "open", 1.5))
    assert flagged(spiked.judged()) == {NEXT: [minute(DAY)]}


PATHS = {
    "quiet": {},
    "a crash of 20 % in a minute that stays": {DAY: 0.8},
    "a crash over ten minutes": {DAY + i: 1 - 0.03 * i for i in range(11)},
    "a crash that comes back in three minutes": {DAY: 0.8, DAY + 1: 0.85, DAY + 2: 1.0},
    "a rise of 30 %": {DAY: 1.3},
    "a day of 10 % up and down an hour": {DAY + 60 * i: 1 + 0.1 * (i % 2) for i in range(24)},
    "a crash in the last minute": {2 * DAY - 1: 0.8},
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("seed", slow_but([0], range(4)))
@pytest.mark.parametrize("share", [1.0, 0.1, 0.01])
def test_what_all_do_together_is_no_spike(path: dict[int, float], seed: int, share: float) -> None:
    """Even where most futures lag behind: what has not traded since still shows the old price, also
    in the first minutes of a month.
    """
    common = market(seed, 2 * DAY, traded_share=share, path=path)
    for ends in ENDS[seed::4]:
        assert flagged(common.ending(ends).judged()) == {}, ends


def test_a_future_that_moves_with_its_neighbour_is_not_flagged() -> None:
    good = good_market(1, 2 * DAY)
    both = good
    for name in (WEEKLY, NEXT):
        row = good.raw[name].with_columns(volume=pl.lit(1.0), cost=pl.col("close"))
        both = both.having(name, planted(row, DAY, "high", 1.08))
    assert flagged(both.judged()) == {}
    assert flagged(both.having(WEEKLY, good.raw[WEEKLY]).judged()) == {NEXT: [minute(DAY)]}


def test_a_perpetual_with_which_a_future_moves_is_not_flagged() -> None:
    good = good_market(1, 2 * DAY)
    alone = good.having(PERPETUAL, planted(good.raw[PERPETUAL], DAY, "low", 0.9))
    assert flagged(alone.judged()) == {PERPETUAL: [minute(DAY)]}
    row = good.raw[QUARTERLY].with_columns(volume=pl.lit(1.0), cost=pl.col("close"))
    both = alone.having(QUARTERLY, planted(row, DAY, "low", 0.93))
    assert flagged(both.judged()) == {}


def test_a_stale_price_is_no_spike_and_catching_up_is_none_either() -> None:
    """The market falls by a fifth, the future trades an hour later, and not at once all the way."""
    path = {DAY: 0.8}
    fallen = market(1, 2 * DAY, path=path)
    old = fallen.raw[NEXT]["close"][DAY - 1]
    frame = stale(fallen.raw[NEXT], DAY, old, 60)
    for step, factor in enumerate((0.95, 0.9, 0.85)):
        frame = stale(frame, DAY + 60 + step, old * factor, 1)
    # A candle that opens at the last price and closes at the market's.
    last = frame["close"][DAY + 62]
    frame = planted(frame, DAY + 63, "open", last / frame["open"][DAY + 63])
    for ends in ENDS:
        assert flagged(fallen.having(NEXT, frame).ending(ends).judged()) == {}, ends


def test_a_period_in_which_nothing_is_traded_has_no_spike() -> None:
    good = good_market(1, 2 * DAY)
    frame = stale(good.raw[NEXT], DAY - 9, good.raw[NEXT]["close"][DAY - 9], DAY + 9)
    assert flagged(good.having(NEXT, frame).ending(DAY).judged()) == {}


def test_a_spike_that_nobody_trades_away_from_is_flagged_until_the_period_ends() -> None:
    """Each month of a future is judged by itself, so that a change of one reaches no other."""
    good = good_market(1, 3 * DAY)
    price = good.raw[NEXT]["close"][DAY] * 1.5
    spiked = good.having(NEXT, stale(good.raw[NEXT], DAY, price, DAY))
    minutes = [minute(DAY + i, DAY + 600) for i in range(600)]
    assert flagged(spiked.ending(DAY + 600).judged()) == {NEXT: minutes}


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not kept in this repository")
def test_no_recorded_candle_is_flagged() -> None:
    """3,346 real candles at minutes hours apart: the bound is at most 1 in 10,000."""
    real = recorded()
    assert real is not None
    judged = real.judged()
    assert sum(frame.height for frame in judged.values()) == 3346
    assert flagged(judged) == {}


@pytest.mark.slow
@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not kept in this repository")
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", ["BTC-25DEC26", "BTC-2JAN26", PERPETUAL])
def test_every_spike_planted_in_a_recording_is_found(name: str, factor: float) -> None:
    real = recorded()
    assert real is not None
    frame = real.raw[name]
    for row in range(0, frame.height, 97):
        judged = real.having(name, planted(frame, row, "close", factor)).judged()
        assert frame["ts"][row] in flagged(judged)[name]
