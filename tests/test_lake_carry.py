"""Views of carry, compared with slow and plain arithmetic on random markets with gaps."""

import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lake import Lake
from lake.query import duck
from tests.carrying import LATE, paid, settlement
from tests.lakes import Row, candle, instrument, lake_of
from tests.profiles import examples

Ask: TypeAlias = Callable[[str], pl.DataFrame]
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
# The market begins in one month and ends in the next.
START = datetime(2024, 1, 30, 8, tzinfo=UTC)
END = START + 5 * DAY
PERPETUAL = "BTC-PERPETUAL"
# By name: listed and expired so long after the start; futures have expired at 15:00, too.
LIVES = {
    "BTC-A": (timedelta(), 3 * DAY),
    "BTC-B": (timedelta(hours=5, seconds=7), 3 * DAY + 7 * HOUR),
    "BTC-C": (DAY - MINUTE + timedelta(seconds=9), 4 * DAY),
    "BTC-D": (timedelta(hours=1), 40 * DAY),
}


def ends(name: str) -> datetime:
    return START + LIVES[name][1]


class Market:
    """Random closes at each full hour's end, funding and deliveries, of which some are missing."""

    def __init__(self, seed: int, gaps: float) -> None:
        chance = random.Random(seed)  # noqa: S311

        def there(value: float) -> bool:
            return chance.random() >= gaps and value > 0

        hours = [START + n * HOUR for n in range(-24, 5 * 24 + 1)]
        names = [PERPETUAL, *LIVES]
        self.closes = {
            (name, at): price
            for name in names
            for at in hours
            if name == PERPETUAL or START + LIVES[name][0] - MINUTE < at - MINUTE < ends(name)
            if there(price := chance.uniform(900, 1100))
        }
        self.paid = {at: rate for at in hours if there(1 + (rate := chance.gauss(0, 1e-4)))}
        self.index = {at: chance.uniform(900, 1100) for at in self.paid}
        days = [START + n * DAY for n in range(6)]
        self.delivered = {at: price for at in days if there(price := chance.uniform(900, 1100))}
        self.settled = {
            (name, at): position
            for name in names
            for at in days
            if there(position := chance.uniform(1, 1e6))
        }

    def lake(self, folder: Path, **raw: Sequence[Row]) -> Lake:
        futures = [
            {
                **instrument(name, ends(name)),
                "listed_at": START + listed,
                "active": ends(name) > END,
            }
            for name, (listed, _) in LIVES.items()
        ]
        return lake_of(
            folder,
            instruments=[instrument(PERPETUAL), *futures],
            candles=[candle(name, at - MINUTE, close) for (name, at), close in self.closes.items()],
            funding=self.funding(),
            deliveries=self.deliveries(),
            settlements=self.settlements(),
            **raw,
        )

    def funding(self) -> list[Row]:
        """Rows of `funding`."""
        return [paid(at, self.index[at], rate) for at, rate in self.paid.items()]

    def deliveries(self) -> list[Row]:
        """Rows of `deliveries`."""
        return [
            {"index_name": "btc_usd", "delivered_at": at, "delivery_price": price}
            for at, price in self.delivered.items()
        ]

    def settlements(self) -> list[Row]:
        """Rows of `settlements`."""
        held = self.settled.items()
        return [settlement(name, at, 1.0, position=position) for (name, at), position in held]

    def realised(self) -> Iterator[tuple[Any, ...]]:
        """The rows of `realised_carry`, one by one."""
        for name, (listed, _) in LIVES.items():
            expiry = ends(name)
            if expiry > END:
                continue
            for entry in (START + n * DAY for n in range(10)):
                minute_listed = (START + listed).replace(second=0)
                if not (minute_listed <= entry - MINUTE and entry < expiry):
                    continue
                future = self.closes.get((name, entry))
                perpetual = self.closes.get((PERPETUAL, entry))
                delivery = self.delivered.get(expiry.replace(hour=8))
                last = self.closes.get((PERPETUAL, expiry))
                count = (expiry - entry) // HOUR
                rates = [self.paid.get(entry + (n + 1) * HOUR) for n in range(count)]
                funding = None if None in rates else math.fsum(filter(None, rates)) * 100
                prices = (future, delivery, last, perpetual)
                locked = future and perpetual and (future - perpetual) / perpetual * 100
                gross = None
                if None not in prices:
                    f, d, p_end, p = (float(price or 0) for price in prices)
                    gross = ((f - d) + (p_end - p)) / p * 100
                net = None if gross is None or funding is None else gross - funding
                days = (expiry - entry) / DAY
                yield (
                    name, entry, days, future, perpetual, delivery, last,
                    *map(close_to, (locked, gross, funding, net)),
                    close_to(None if net is None else net * 365 / days),
                    None not in (*prices, funding),
                )  # fmt: skip


def close_to(value: float | None) -> Any:  # noqa: ANN401  (what a number is compared with)
    return None if value is None else pytest.approx(value, rel=1e-11, abs=1e-12)


@examples(6)
@example(40, 0.3)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.02, 0.3]))
def test_views_of_carry_are_as_one_would_work_them_out(seed: int, gaps: float) -> None:
    market = Market(seed, gaps)
    with (
        tempfile.TemporaryDirectory() as folder,
        market.lake(Path(folder)).duckdb() as connection,
    ):
        ask = partial(duck.rows, connection)
        check_realised(ask, market)
        check_index_and_premium(ask, market)
        check_funding(ask, market)
        check_moments(ask, market, START + timedelta(hours=seed % 90, minutes=seed % 60))
        check_days(ask, market)


def check_realised(ask: Ask, market: Market) -> None:
    query = "SELECT * EXCLUDE (reason), reason IS NULL FROM realised_carry"
    assert ask(query).rows() == list(market.realised())


def check_index_and_premium(ask: Ask, market: Market) -> None:
    of_perpetual = ask("SELECT hour_end, close, index_price, premium_pct FROM perpetual_premium")
    expected = []
    for at in sorted(market.paid):
        last, price = market.closes.get((PERPETUAL, at)), market.index[at]
        expected.append((at, last, price, close_to(last and (last / price - 1) * 100)))
    assert of_perpetual.rows() == expected
    expected = []
    for (name, at), close in sorted(market.closes.items()):
        if name == PERPETUAL:
            continue
        index, days = market.index.get(at), (ends(name) - at) / DAY
        part = None if index is None else close / index - 1
        rates: tuple[float | None, ...] = (None, None, None)
        if part is not None and days > 1 / 24:
            log = math.log1p(part) * 365 / days
            compounded = (math.exp(log) - 1) * 100 if log < 700 else None
            rates = (part * 100 * 365 / days, compounded, log * 100)
        loose = (
            None if rate is None else pytest.approx(rate, rel=1e-7, abs=1e-7) for rate in rates
        )
        expected.append(
            (name, at, close, index, close_to(index and close - index),
             close_to(part and part * 100), days, *loose)
        )  # fmt: skip
    assert ask("FROM index_basis").rows() == expected


def check_funding(ask: Ask, market: Market) -> None:
    """Days and months of funding sum to the hours, and every hour lies in one of each."""
    first, last = min(market.paid), max(market.paid)
    span = (last - first) // HOUR + 1
    for view in ("funding_daily", "funding_monthly"):
        rows = ask(f"FROM {view}").to_dicts()
        assert sum(row["hours"] for row in rows) == len(market.paid)
        assert sum(row["missing_hours"] for row in rows) == span - len(market.paid)
        total = math.fsum(row["sum_interest_1h"] or 0 for row in rows)
        assert total == pytest.approx(math.fsum(market.paid.values()), rel=1e-12, abs=1e-16)
        for row in rows:
            start, end = row.get("ts"), None
            if start is None:
                start = datetime.combine(row["month"], datetime.min.time(), UTC)
                end = (start + 32 * DAY).replace(day=1)
            hours = [r for at, r in market.paid.items() if start < at <= (end or start + DAY)]
            assert row["hours"] == len(hours)
            rate = math.fsum(hours) * 8760 / len(hours) * 100 if hours else None
            assert row["annualised_pct"] == close_to(rate)


def check_moments(ask: Ask, market: Market, moment: datetime) -> None:
    """Everything in one minute; closes are known in the last minutes of hours only."""
    for minute in (moment, moment.replace(minute=59)):
        found = ask(f"FROM carry_at('{minute}')").to_dicts()
        ended = minute + MINUTE
        names = [n for n, (listed, _) in LIVES.items() if START + listed < ended <= ends(n)]
        assert [row["instrument"] for row in found] == sorted(names, key=lambda n: (ends(n), n))
        for row in found:
            check_moment(row, market, minute)
            text = "no settlement in the 24 hours before"
            assert (text in row["reason"]) == (row["open_interest"] is None)
        closes = [market.closes.get((row["instrument"], ended)) for row in found]
        spreads = ask(f"FROM calendar_spreads('{minute}')").to_dicts()
        assert len(spreads) == max(0, len(found) - 1)
        for spread, (near, far), (f, b) in zip(
            spreads, pairwise(found), pairwise(closes), strict=True
        ):
            assert (spread["front"], spread["back"]) == (near["instrument"], far["instrument"])
            assert (spread["front_close"], spread["back_close"]) == (f, b)
            assert spread["spread"] == (f and b and b - f)
            days = far["days_to_expiry"] - near["days_to_expiry"]
            assert spread["forward_pct"] == close_to(f and b and (b / f - 1) * 36500 / days)


def check_moment(row: Row, market: Market, minute: datetime) -> None:
    """A row of `carry_at`."""
    ended = minute + MINUTE
    assert row["index_hour_end"] == ended.replace(minute=0)
    check_figures(row, market, minute)
    open_interest = [
        position
        for (of, at), position in market.settled.items()
        if of == row["instrument"] and ended - DAY < at + LATE <= ended
    ]
    assert row["open_interest"] == (open_interest[-1] if open_interest else None)


def check_days(ask: Ask, market: Market) -> None:
    """Each row of `carry_daily`, of the minute that ends at its 08:00."""
    rows = ask("FROM carry_daily").to_dicts()
    assert {(row["instrument"], row["ts"]) for row in rows} == {
        (name, at) for name, at in market.closes if name != PERPETUAL and at.hour == START.hour
    }
    assert len({(row["instrument"], row["ts"]) for row in rows}) == len(rows)
    for row in rows:
        check_figures(row, market, row["ts"] - MINUTE)
        assert row["open_interest"] == market.settled.get((row["instrument"], row["ts"]))
        text = "no settlement of the day"
        assert (text in row["reason"]) == (row["open_interest"] is None)


def check_figures(row: Row, market: Market, minute: datetime) -> None:
    """What `carry_at` and `carry_daily` have in common."""
    ended = minute + MINUTE
    name, hour = row["instrument"], ended.replace(minute=0)
    future, perpetual = (market.closes.get((each, ended)) for each in (name, PERPETUAL))
    index = market.index.get(hour)
    days = (ends(name) - minute) / DAY
    assert (row["future_close"], row["perpetual_close"]) == (future, perpetual)
    assert row["index_price"] == index
    assert row["days_to_expiry"] == days
    for against, price in (("perpetual", perpetual), ("index", index)):
        basis = future and price and (future / price - 1) * 100
        loose = basis and pytest.approx(basis, rel=1e-9, abs=1e-9)
        assert row[f"{against}_basis_pct"] == loose
        rate = row[f"{against}_basis_pct"]
        expected = None if rate is None or days <= 1 / 24 else rate * 365 / days
        assert row[f"{against}_apr_pct"] == close_to(expected)
    # No market here is older than 7 days.
    assert row["funding_7d_pct"] is None
    stored = sum(hour - 7 * DAY < at <= hour for at in market.paid)
    assert f"{168 - stored} of 168 hours of funding are missing" in row["reason"]
    for text, value in (
        ("the future has no candle", future),
        ("the perpetual has no candle", perpetual),
        ("no index price of the hour", index),
    ):
        assert (text in row["reason"]) == (value is None)


@examples(5)
@given(st.lists(st.tuples(*[st.floats(10, 1000)] * 3), min_size=1, max_size=9))
def test_a_carry_with_coins_as_collateral_returns_the_basis_whatever_the_delivery(
    prices: list[tuple[float, float, float]],
) -> None:
    """Of one coin, bought at S, and a short inverse future of F USD: F / S - 1 of its cost. The
    view gives the same if the perpetual ends at the delivery price.
    """
    entry, expiry = START, START + DAY
    rows: dict[str, list[Row]] = {"instruments": [], "candles": [], "deliveries": []}
    for n, (spot, future, delivery) in enumerate(prices):
        coin = f"C{n:02}"
        name, perpetual, index = f"{coin}-X", f"{coin}-PERPETUAL", f"{coin}_usd".lower()
        rows["instruments"] += [instrument(name, expiry), instrument(perpetual)]
        rows["candles"] += [
            candle(name, entry - MINUTE, future),
            candle(perpetual, entry - MINUTE, spot),
            candle(perpetual, expiry - MINUTE, delivery),
        ]
        rows["deliveries"] += [
            {"index_name": index, "delivered_at": expiry, "delivery_price": delivery}
        ]
    with tempfile.TemporaryDirectory() as folder:
        query = f"""
            SELECT locked_pct, gross_pct, reason FROM realised_carry
            WHERE entry = '{entry}' ORDER BY instrument
        """
        found = lake_of(Path(folder), **rows).sql(query).rows()
    assert len(found) == len(prices)
    for (spot, future, delivery), (locked, gross, reason) in zip(prices, found, strict=True):
        coins = 1 + future * (1 / delivery - 1 / future)
        earned = (coins * delivery / spot - 1) * 100
        assert (locked, gross) == (
            pytest.approx(earned, rel=1e-9, abs=1e-9),
            pytest.approx(earned, rel=1e-9, abs=1e-9),
        )
        assert reason == "24 of 24 hours of funding are missing"
