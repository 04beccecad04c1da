"""Pages: the same bytes however they are produced, and a market as large as the real one."""

from datetime import UTC, datetime, timedelta

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from basislake.simulator.contracts import milliseconds
from basislake.simulator.full_market import full_universe
from basislake.simulator.market import CANDLE_SCHEMA, MINUTE_MS, Contract
from basislake.simulator.pages import MOST_CANDLES, Pages, cut_window
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from tests.asking import UNIVERSE, ask, ask_chart, chart
from tests.profiles import examples

FULL_NOW = datetime(2025, 10, 31, 12, 0, 30, tzinfo=UTC)
FULL = full_universe(7, FULL_NOW)

contracts = st.sampled_from(sorted(UNIVERSE.contracts.values(), key=lambda one: one.name))
# Shared by the examples, so that they meet each other's blocks and pages.
KEPT = Pages(UNIVERSE, 1_000_000)


@examples(80)
@given(
    contract=contracts,
    start=st.integers(-300, 50_000) | st.integers(-300, 300),
    length=st.integers(-2, 6000),
)
def test_a_page_is_the_truth_whether_it_was_kept_or_not(
    contract: Contract, start: int, length: int
) -> None:
    start_ms = contract.first_trade_ms + start * MINUTE_MS
    end_ms = start_ms + length * MINUTE_MS
    window = cut_window(contract, start_ms, end_ms, UNIVERSE.now_ms)
    fresh = Pages(UNIVERSE, 0).rendered(window)

    pages = [KEPT.rendered(window), KEPT.rendered(window)]

    assert [page.result for page in pages] == [fresh.result] * 2
    columns = orjson.loads(fresh.result)
    assert len(columns["ticks"]) == fresh.candles <= MOST_CANDLES
    found = pl.DataFrame({n: columns[n] for n in CANDLE_SCHEMA}, CANDLE_SCHEMA, strict=False)
    last_ms = min(end_ms, UNIVERSE.now_ms) // MINUTE_MS * MINUTE_MS
    first_ms = max(start_ms, last_ms - (MOST_CANDLES - 1) * MINUTE_MS)
    truth = UNIVERSE.candles(contract.name, first_ms, max(first_ms, last_ms + MINUTE_MS))
    final = truth.height if window.is_final else max(0, truth.height - 1)
    assert_frame_equal(found.head(final), truth.head(final), check_exact=True)
    assert found.height == truth.height


@given(st.integers(0, 3_000_000), st.lists(st.integers(0, 12), max_size=40))
@examples(20)
def test_a_cache_keeps_no_more_than_its_size(size_bytes: int, starts: list[int]) -> None:
    contract = UNIVERSE.contracts["BTC-PERPETUAL"]
    pages = Pages(UNIVERSE, size_bytes)
    for start in starts:
        start_ms = contract.first_trade_ms + start * 2000 * MINUTE_MS
        pages.rendered(cut_window(contract, start_ms, start_ms + 10**8, UNIVERSE.now_ms))

        kept = pages._cache._pages.values()
        assert sum(len(page.result) for page in kept) <= size_bytes


def test_a_page_that_is_asked_again_comes_from_the_cache() -> None:
    contract = UNIVERSE.contracts["BTC-22MAR24"]
    start_ms, end_ms = contract.first_trade_ms, contract.first_trade_ms + 99 * MINUTE_MS
    with SimulatedExchange(UNIVERSE) as exchange:
        bodies = {ask_chart(exchange, contract.name, start_ms, end_ms).content for _ in "abc"}
        counters = exchange.counters

    assert len(bodies) == 1
    assert (counters.cached, counters.candles, counters.repeats) == (2, 300, 2)


def test_a_page_that_is_still_forming_is_not_kept() -> None:
    now_ms = UNIVERSE.now_ms
    with SimulatedExchange(UNIVERSE) as exchange:
        for _ in range(2):
            ask_chart(exchange, "BTC-PERPETUAL", now_ms - 5 * MINUTE_MS, now_ms)
        assert exchange.counters.cached == 0


def test_a_truth_of_the_callers_own_is_asked_each_time() -> None:
    asked = []

    def truth(contract: Contract, start_ms: int, end_ms: int) -> pl.DataFrame:
        asked.append((start_ms, end_ms))
        return UNIVERSE.candles(contract.name, start_ms, end_ms)

    own = Universe(seed=7, now_ms=UNIVERSE.now_ms, contracts=UNIVERSE.contracts, truth=truth)
    start_ms = UNIVERSE.contracts["BTC-22MAR24"].first_trade_ms
    with SimulatedExchange(own) as exchange:
        for _ in range(2):
            ask_chart(exchange, "BTC-22MAR24", start_ms, start_ms + MINUTE_MS)

    assert asked == [(start_ms, start_ms + 2 * MINUTE_MS)] * 2


@pytest.mark.parametrize("window", [(10**30, 10**30), (0, 10**30), (0, 0), (10**30, 0)])
def test_windows_beyond_all_time_are_answered(window: tuple[int, int]) -> None:
    with SimulatedExchange(UNIVERSE) as exchange:
        answer = ask_chart(exchange, "BTC-22MAR24", *window)

    expected = MOST_CANDLES if window == (0, 10**30) else 0
    assert len(answer.json()["result"]["ticks"]) == expected


def test_the_full_market_has_the_size_of_the_real_one() -> None:
    lives = [
        (min(one.expires_ms or FULL.now_ms, FULL.now_ms) - one.first_trade_ms) // MINUTE_MS
        for one in FULL.contracts.values()
    ]

    assert 500 <= len(lives) <= 530
    assert 45e6 <= sum(lives) <= 50e6
    for coin in ("BTC", "ETH"):
        of_coin = [one for one in FULL.contracts.values() if one.base == coin]
        assert sum(one.is_expired(FULL.now_ms) for one in of_coin) == 248


def test_the_full_market_has_the_lives_of_the_real_one() -> None:
    def days(name: str) -> int:
        contract = FULL.contracts[name]
        assert contract.expires_ms is not None
        return round((contract.expires_ms - contract.listed_ms) / 86_400_000)

    assert [days("BTC-28JUN19"), days("ETH-26MAR21"), days("BTC-30SEP22")] == [270, 270, 365]
    assert [days("BTC-9APR21"), days("ETH-30APR21")] == [14, 60]
    assert "BTC-26JUL19" not in FULL.contracts
    perpetual = datetime(2018, 8, 14, 10, 24, tzinfo=UTC)
    listed_ms = FULL.contracts["BTC-PERPETUAL"].listed_ms
    assert 0 < listed_ms - milliseconds(perpetual) < 60_000


def test_the_full_market_goes_on_the_same() -> None:
    later = full_universe(7, FULL_NOW, until=FULL_NOW + timedelta(weeks=4))

    assert FULL.contracts.items() < later.contracts.items()
    assert later.decoys == FULL.decoys


def test_the_full_market_is_served() -> None:
    contract = FULL.contracts["ETH-25MAR22"]
    with SimulatedExchange(FULL) as exchange:
        start_ms = contract.first_trade_ms + 200_000 * MINUTE_MS
        found = chart(exchange, contract.name, start_ms, start_ms + 4999 * MINUTE_MS)
        of = {"currency": "BTC", "expired": "true"}
        listed = ask(exchange, "get_instruments", exchange.history_url, **of).json()["result"]

    assert len(found["ticks"]) == 5000
    assert sum(one["instrument_name"] in FULL.contracts for one in listed) == 248
