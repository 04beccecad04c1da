"""The simulated exchange's truth: its candles, its contracts, its replay of recordings."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from basislake.simulator.calls import Host
from basislake.simulator.contracts import milliseconds
from basislake.simulator.market import MINUTE_MS, Contract, candles, forming
from basislake.simulator.noise import draw
from basislake.simulator.records import NEVER_MS
from basislake.simulator.replay import replay_universe
from basislake.simulator.universe import Universe, records, weekly_universe
from tests.asking import NOW, START, UNIVERSE
from tests.profiles import examples

SEED = 7
WEEKLY = UNIVERSE.contracts["BTC-22MAR24"]
PERPETUAL = UNIVERSE.contracts["ETH-PERPETUAL"]

minutes_of_weekly = st.integers(-100, 14 * 1440 + 200)
contracts = st.sampled_from(sorted(UNIVERSE.contracts.values(), key=lambda one: one.name))


def whole_life(contract: Contract) -> pl.DataFrame:
    end_ms = contract.expires_ms or UNIVERSE.now_ms
    return candles(SEED, contract, contract.listed_ms, end_ms)


def all_contracts() -> Iterator[tuple[Contract, pl.DataFrame]]:
    for contract in UNIVERSE.contracts.values():
        yield contract, whole_life(contract)


@examples(60)
@given(contract=contracts, start=minutes_of_weekly, length=st.integers(0, 700))
def test_a_minute_is_the_same_whatever_range_it_was_asked_in(
    contract: Contract, start: int, length: int
) -> None:
    start_ms = contract.first_trade_ms + start * MINUTE_MS
    end_ms = start_ms + length * MINUTE_MS
    wide = candles(SEED, contract, start_ms - 1000 * MINUTE_MS, end_ms + 300 * MINUTE_MS)

    narrow = candles(SEED, contract, start_ms, end_ms)

    assert_frame_equal(
        narrow,
        wide.filter(pl.col("ticks").is_between(start_ms, end_ms, closed="left")),
        check_exact=True,
    )


@examples(30)
@given(start_ms=st.integers(0, 200_000_000), length_ms=st.integers(0, 20_000_000))
def test_a_range_holds_the_minutes_that_open_in_it(start_ms: int, length_ms: int) -> None:
    start_ms += WEEKLY.first_trade_ms
    end_ms = start_ms + length_ms

    ticks = candles(SEED, WEEKLY, start_ms, end_ms)["ticks"].to_list()

    assert ticks == list(range(-(-start_ms // MINUTE_MS) * MINUTE_MS, end_ms, MINUTE_MS))


def test_candles_are_dense_from_the_first_trade_to_the_expiry() -> None:
    for contract, life in all_contracts():
        assert life["ticks"][0] == contract.first_trade_ms
        assert life["ticks"].diff().drop_nulls().unique().to_list() == [MINUTE_MS]
        assert life.null_count().sum_horizontal().item() == 0


def test_prices_are_in_order_and_on_the_tick_size() -> None:
    for contract, life in all_contracts():
        steps = life.select(pl.col("open", "high", "low", "close") / contract.tick_size)
        assert life.select((pl.col("low") <= pl.min_horizontal("open", "close")).all()).item()
        assert life.select((pl.col("high") >= pl.max_horizontal("open", "close")).all()).item()
        assert life.select((pl.col("low") > 0).all()).item()
        assert (
            steps.select(((pl.all() - pl.all().round()).abs() < 1e-6).all()).row(0) == (True,) * 4
        )


def test_prices_are_the_floats_nearest_to_their_decimals() -> None:
    closes = whole_life(PERPETUAL)["close"].to_list()

    assert closes == [float(f"{close:.2f}") for close in closes]


def test_an_untraded_minute_repeats_the_previous_close() -> None:
    for _, life in all_contracts():
        untraded = life.with_columns(before=pl.col("close").shift(1)).filter(pl.col("volume") == 0)
        flat = [pl.col(name) == pl.col("before") for name in ("open", "high", "low", "close")]
        assert untraded.select(pl.all_horizontal(*flat, pl.col("cost") == 0).all()).item()


def test_a_traded_minute_costs_whole_contracts() -> None:
    for contract, life in all_contracts():
        traded = life.filter(pl.col("volume") > 0)
        mean = traded["cost"] / traded["volume"]
        assert traded.select((pl.col("cost") % contract.contract_size == 0).all()).item()
        assert traded.select((pl.col("cost") > 0).all()).item()
        assert (mean / traded["close"] - 1).abs().max() < 0.01  # type: ignore[operator]
        assert traded["volume"].to_list() == [round(v, 8) for v in traded["volume"].to_list()]


def test_dated_futures_trade_in_a_third_of_all_minutes_and_perpetuals_in_nearly_all() -> None:
    for contract, life in all_contracts():
        share = life.select((pl.col("volume") > 0).mean()).item()
        low, high = (0.31, 0.37) if contract.kind == "future" else (0.98, 1.0)
        assert low < share < high or life.height < 1000


def basis_of(coin: str) -> pl.DataFrame:
    """The basis of each minute of a coin's futures, with the days to expiry."""
    perpetual = whole_life(UNIVERSE.contracts[f"{coin}-PERPETUAL"])
    pairs = [
        life.join(perpetual, on="ticks", suffix="_perpetual").with_columns(
            basis=pl.col("close") - pl.col("close_perpetual"),
            days=(contract.expires_ms - pl.col("ticks")) / (1440 * MINUTE_MS),
        )
        for contract, life in all_contracts()
        if contract.expires_ms is not None and contract.base == coin
    ]
    return pl.concat(pairs)


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_futures_are_above_their_perpetual_mostly_and_the_less_the_nearer_the_expiry(
    coin: str,
) -> None:
    of_coin = basis_of(coin).with_columns(pct=100 * pl.col("basis") / pl.col("close_perpetual"))

    assert 0.8 < of_coin.select((pl.col("basis") > 0).mean()).item() < 0.99
    assert of_coin["pct"].abs().max() < 6  # type: ignore[operator]
    breaks = [0.5, 3, 7, 14]
    band = pl.sum_horizontal(pl.col("days") > days for days in breaks).alias("band")
    by_days = of_coin.group_by(band).agg(pl.col("pct").median())
    medians = by_days.sort("band")["pct"].to_list()
    assert len(medians) == len(breaks) + 1
    assert medians == sorted(medians)
    assert 0.001 < medians[1] < 0.1
    last = of_coin.filter(pl.col("days") < 1 / 1440 + 1e-9)
    assert last["pct"].abs().max() < 0.2  # type: ignore[operator]


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_a_perpetual_walks_at_random_as_far_as_a_market_does(coin: str) -> None:
    """So far in an hour as in sixty minutes that know nothing of one another."""
    closes = whole_life(UNIVERSE.contracts[f"{coin}-PERPETUAL"])["close"].log()
    step, hour = closes.diff().drop_nulls(), closes.gather_every(60).diff().drop_nulls()
    one, sixty = step.std(), hour.std()

    assert isinstance(one, float)
    assert isinstance(sixty, float)
    assert 0.8 < sixty / (one * 60**0.5) < 1.2
    assert 0.3 < one * (1440 * 365) ** 0.5 < 0.9


def test_more_is_traded_in_the_perpetual_and_in_bitcoin() -> None:
    usd_a_day = {
        (contract.base, contract.kind): life["cost"].sum() / life.height * 1440
        for contract, life in all_contracts()
        if life.height > 20_000
    }
    ordered = sorted(usd_a_day, key=lambda key: usd_a_day[key], reverse=True)

    assert ordered == [
        ("BTC", "perpetual"),
        ("ETH", "perpetual"),
        ("BTC", "future"),
        ("ETH", "future"),
    ]
    assert 3e8 < usd_a_day["BTC", "perpetual"] < 3e9


def test_neighbouring_closes_never_jump() -> None:
    for _, life in all_contracts():
        traded = life.filter(pl.col("volume") > 0)["close"]
        assert (traded / traded.shift(1) - 1).abs().max() < 0.03  # type: ignore[operator]


def test_from_the_expiry_on_candles_are_flat_padding() -> None:
    assert WEEKLY.expires_ms is not None
    last = candles(SEED, WEEKLY, WEEKLY.expires_ms - MINUTE_MS, WEEKLY.expires_ms)["close"][0]
    for later in (0, 64, 100_000):
        start_ms = WEEKLY.expires_ms + later * MINUTE_MS
        padding = candles(SEED, WEEKLY, start_ms, start_ms + 3 * MINUTE_MS)
        assert padding.drop("ticks").rows() == [(last, last, last, last, 0.0, 0.0)] * 3


def test_before_the_first_trade_there_is_nothing() -> None:
    assert candles(SEED, WEEKLY, 0, WEEKLY.first_trade_ms).is_empty()
    assert candles(SEED, WEEKLY, 0, WEEKLY.first_trade_ms + 1).height == 1


def test_another_seed_is_another_market() -> None:
    end_ms = WEEKLY.first_trade_ms + 100 * MINUTE_MS
    one, other = (candles(seed, WEEKLY, 0, end_ms) for seed in (1, 2))

    assert one["ticks"].equals(other["ticks"])
    assert not one["close"].equals(other["close"])


def test_the_market_of_a_seed_never_changes() -> None:
    first = candles(SEED, WEEKLY, 0, WEEKLY.first_trade_ms + MINUTE_MS)

    assert draw("a", 1) == 0.6972597455578795
    assert first.row(0) == (
        1709903880000, 47250.0, 47250.0, 47242.5, 47245.0, 0.1206445, 5700.0
    )  # fmt: skip


def test_a_forming_candle_is_sound_and_differs_from_the_final_one() -> None:
    final = whole_life(WEEKLY)

    unfinished = forming(final, WEEKLY)

    assert (unfinished["close"] != final["close"]).all()
    assert (unfinished["high"] >= unfinished["close"]).all()
    assert (unfinished["volume"] > 0).all()


def test_every_friday_has_a_future_for_each_coin() -> None:
    dated = sorted(one.name for one in UNIVERSE.contracts.values() if one.kind == "future")
    fridays = ["8MAR24", "15MAR24", "22MAR24", "29MAR24", "5APR24", "12APR24", "19APR24", "28JUN24"]

    assert dated == sorted(f"{coin}-{day}" for coin in ("BTC", "ETH") for day in fridays)


def test_lives_begin_with_the_exchange_or_later_and_never_on_the_minute() -> None:
    for contract in UNIVERSE.contracts.values():
        minutes_to_first = contract.first_trade_ms // MINUTE_MS - contract.listed_ms // MINUTE_MS
        assert contract.listed_ms > milliseconds(START)
        assert contract.listed_ms % MINUTE_MS
        assert 4 <= minutes_to_first <= 544
        if contract.expires_ms is not None:
            assert datetime.fromtimestamp(contract.expires_ms / 1000, UTC).strftime("%a%H:%M") == (
                "Fri08:00"
            )


def test_more_quarterlies_are_open_when_asked_for() -> None:
    more = weekly_universe(SEED, START, NOW, quarterlies=4).contracts

    assert {"BTC-28JUN24", "BTC-27SEP24", "BTC-27DEC24"} <= set(more)


def test_a_later_clock_continues_the_same_market() -> None:
    later = weekly_universe(SEED, START, NOW + timedelta(days=30)).contracts

    assert {name: later[name] for name in UNIVERSE.contracts} == UNIVERSE.contracts
    assert len(later) > len(UNIVERSE.contracts)


def names(universe: Universe, currency: str, host: Host, *, expired: bool) -> list[str]:
    found = records(universe, currency, expired=expired, host=host, now_ms=universe.now_ms)
    return [str(one["instrument_name"]) for one in found]


def test_the_history_host_lists_all_expired_futures_and_www_only_the_last() -> None:
    everything = names(UNIVERSE, "BTC", "history", expired=True)

    assert [name for name in everything if name in UNIVERSE.contracts] == [
        "BTC-8MAR24",
        "BTC-15MAR24",
        "BTC-22MAR24",
        "BTC-29MAR24",
        "BTC-5APR24",
    ]
    assert names(UNIVERSE, "BTC", "www", expired=True) == ["BTC-5APR24"]


def test_active_lists_hold_the_perpetual_with_its_sentinel() -> None:
    found = records(UNIVERSE, "ETH", expired=False, host="www", now_ms=UNIVERSE.now_ms)
    perpetual = next(one for one in found if one["instrument_name"] == "ETH-PERPETUAL")

    assert perpetual["expiration_timestamp"] == NEVER_MS
    assert perpetual["settlement_period"] == "perpetual"
    assert (perpetual["is_active"], perpetual["state"]) == (True, "open")


def test_a_record_has_the_fields_the_exchange_sends() -> None:
    found = records(UNIVERSE, "BTC", expired=True, host="www", now_ms=UNIVERSE.now_ms)
    expected = {
        "instrument_name": "BTC-5APR24",
        "kind": "future",
        "instrument_type": "reversed",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "counter_currency": "USD",
        "settlement_currency": "BTC",
        "settlement_period": "week",
        "price_index": "btc_usd",
        "contract_size": 10.0,
        "tick_size": 2.5,
        "creation_timestamp": UNIVERSE.contracts["BTC-5APR24"].listed_ms,
        "expiration_timestamp": milliseconds(datetime(2024, 4, 5, 8, tzinfo=UTC)),
        "is_active": False,
        "state": "closed",
    }

    assert {name: found[0].get(name) for name in expected} == expected


def test_decoys_of_every_sort_are_in_the_lists() -> None:
    for expired in (False, True):
        found = records(UNIVERSE, "BTC", expired=expired, host="history", now_ms=UNIVERSE.now_ms)
        decoys = [one for one in found if one["instrument_name"] not in UNIVERSE.contracts]
        assert {one["kind"] for one in decoys} == {"future", "future_combo", "option"}
        assert {"USD", "USDC"} == {one["quote_currency"] for one in decoys}
        assert "SOL" in {one["base_currency"] for one in decoys}
        assert {one["is_active"] for one in found} == {not expired}


@pytest.fixture(name="recorded")
def fixture_recorded(tmp_path: Path) -> Path:
    times = [datetime(2024, 3, 29, 7, minute, tzinfo=UTC) for minute in (50, 53, 59)]
    times.append(datetime(2024, 3, 29, 8, tzinfo=UTC))
    frame = pl.DataFrame({"ts": times}).with_columns(
        pl.lit("BTC-29MAR24").alias("instrument"),
        *(pl.lit(70_000.5).alias(name) for name in ("open", "high", "low", "close")),
        *(pl.lit(0.0).alias(name) for name in ("volume", "cost")),
    )
    path = tmp_path / "recorded.parquet"
    frame.write_parquet(path)
    return path


def test_a_replay_serves_the_recorded_minutes_of_the_contracts_life(recorded: Path) -> None:
    universe = replay_universe(recorded)
    contract = universe.contracts["BTC-29MAR24"]
    expiry_ms = milliseconds(datetime(2024, 3, 29, 8, tzinfo=UTC))

    served = universe.candles("BTC-29MAR24", 0, expiry_ms + 10 * MINUTE_MS)

    assert ((served["ticks"] - expiry_ms) // MINUTE_MS).to_list() == [-10, -7, -1]
    assert contract.expires_ms == expiry_ms
    assert contract.first_trade_ms - contract.listed_ms == (19 * 60 + 9) * 1000
    assert universe.now_ms == expiry_ms + 2 * MINUTE_MS


def test_a_replay_takes_another_clock(recorded: Path) -> None:
    assert replay_universe(recorded, NOW).now_ms == milliseconds(NOW)


def test_an_empty_recording_is_refused(recorded: Path) -> None:
    pl.read_parquet(recorded).clear().write_parquet(recorded)

    with pytest.raises(ValueError, match="holds no candles"):
        replay_universe(recorded)
