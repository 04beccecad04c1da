"""Which contracts there are, and the instrument records by which the exchange tells of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

import polars as pl

from basislake.exchange import market
from basislake.exchange.market import MINUTE_MS, Contract, draw

Host: TypeAlias = Literal["www", "history"]
Record: TypeAlias = dict[str, object]
Truth: TypeAlias = Callable[[Contract, int, int], pl.DataFrame]

NEVER_MS = 32_503_708_800_000

_WEEKLY_LIFE = timedelta(days=14)
_QUARTER = timedelta(days=91)
_SHORTEST_LIFE = timedelta(days=1)
_FRIDAY = 4
_QUARTER_MONTHS = (3, 6, 9, 12)
_FIRST_TRADE_MINUTES = (4, 544)
_TICK_SIZES = {("BTC", "future"): 2.5, ("ETH", "future"): 0.25, ("BTC", "perpetual"): 0.5}
_SMALL_TICK = 0.05
_CONTRACT_SIZES = {"BTC": 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """An exchange's contracts and their truth.

    Attributes:
        seed: of the market.
        now_ms: the exchange's clock, UTC milliseconds, unless the server is given another.
        contracts: by name; those listed later than the clock says are not yet known to anyone.
        decoys: further raw records, in every list whatever was asked, told apart by content.
        truth: the final candles of a contract over `[start_ms, end_ms)`; by default the market
            of the seed.
    """

    seed: int
    now_ms: int
    contracts: Mapping[str, Contract]
    decoys: Sequence[Record] = ()
    truth: Truth | None = None

    def candles(self, instrument: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the final candles that open in `[start_ms, end_ms)`, as `market.candles` does.

        Raises:
            KeyError: there is no such contract.
        """
        contract = self.contracts[instrument]
        if self.truth is not None:
            return self.truth(contract, start_ms, end_ms)
        return market.candles(self.seed, contract, start_ms, end_ms)


def weekly_universe(
    seed: int,
    start: datetime,
    now: datetime,
    *,
    currencies: Sequence[str] = ("BTC", "ETH"),
    quarterlies: int = 1,
) -> Universe:
    """Make a universe of perpetuals, a future for every Friday, quarterlies, and decoys.

    Weeklies live 14 days, so two a coin are open at a time. A contract is the same whatever `now`
    is, so a later `now` continues the same market.

    Args:
        seed: of the market.
        start: when the exchange opened: nothing was listed before.
        now: the exchange's clock; contracts listed by then are in the universe, expired or not.
        currencies: the coins.
        quarterlies: how many quarterlies a coin has open at a time; each lives so many quarters.

    Raises:
        ValueError: a time lacks its time zone.
    """
    now_ms = milliseconds(now)
    contracts = [
        contract
        for coin in currencies
        for contract in _coin_contracts(seed, coin, start, now, quarterlies)
        if contract.is_listed(now_ms)
    ]
    decoys = _decoys(contracts, milliseconds(start), now_ms)
    by_name = {contract.name: contract for contract in contracts}
    return Universe(seed=seed, now_ms=now_ms, contracts=by_name, decoys=decoys)


def records(
    universe: Universe, currency: str, *, expired: bool, host: Host, now_ms: int
) -> list[Record]:
    """Return what `get_instruments` lists for futures.

    Args:
        universe: of which contracts.
        currency: a coin, or `any`.
        expired: False for the open ones. True for the expired ones: the last one on `www`, all on
            `history`.
        host: which of the exchange's hosts is asked.
        now_ms: the exchange's clock, UTC milliseconds.
    """
    listed = [
        contract
        for contract in universe.contracts.values()
        if contract.is_listed(now_ms)
        and contract.is_expired(now_ms) == expired
        and currency in (contract.base, "any")
    ]
    listed.sort(key=lambda contract: (contract.expires_ms or NEVER_MS, contract.name))
    if expired and host == "www":
        return [record(contract, now_ms) for contract in listed[-1:]]
    decoys = [decoy for decoy in universe.decoys if decoy["is_active"] is not expired]
    return [record(contract, now_ms) for contract in listed] + decoys


def record(contract: Contract, now_ms: int) -> Record:
    """Return a contract's record, with the fields of 2026."""
    is_active = not contract.is_expired(now_ms)
    coin = contract.base
    instrument_type = "reversed" if contract.settlement == coin else "linear"
    return {
        "tick_size_steps": [],
        "block_trade_tick_size": 0.01,
        "base_currency": coin,
        "quote_currency": contract.quote,
        "price_index": f"{coin}_{contract.quote}".lower(),
        "instrument_type": instrument_type,
        "future_type": instrument_type,
        "kind": "future",
        "max_leverage": 50 if contract.kind == "perpetual" else 25,
        "underlying_type": "crypto",
        "product_group": coin,
        "state": "open" if is_active else "closed",
        "expiration_timestamp": contract.expires_ms or NEVER_MS,
        "contract_size": contract.contract_size,
        "min_trade_amount": contract.contract_size,
        "instrument_id": int(100_000 + 900_000 * draw(contract.name)),
        "creation_timestamp": contract.listed_ms,
        "is_active": is_active,
        "lot_size": 1,
        "taker_commission": 0.00035,
        "maker_commission": 0.00015,
        "tick_size": contract.tick_size,
        "settlement_currency": contract.settlement,
        "counter_currency": contract.quote,
        "instrument_name": contract.name,
        "block_trade_commission": 0.00025,
        "block_trade_min_trade_amount": 200_000,
        "max_liquidation_commission": 0.01,
        "settlement_period": contract.settlement_period,
    }


def milliseconds(time: datetime) -> int:
    """Return a time as UTC milliseconds.

    Raises:
        ValueError: it has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone; give it one, such as datetime.UTC")
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def dated_name(coin: str, expiry: datetime) -> str:
    """Return a dated future's name, e.g. `BTC-7MAY21`: the day has no leading zero."""
    return f"{coin}-{expiry.day}{expiry:%b%y}".upper()


def inverse_contract(
    name: str, coin: str, listed_ms: int, expires_ms: int | None, first_trade_ms: int
) -> Contract:
    """Return a contract settled in its coin, with the tick and contract sizes of 2026."""
    kind: Literal["future", "perpetual"] = "perpetual" if expires_ms is None else "future"
    is_short = expires_ms is not None and expires_ms - listed_ms <= milliseconds_of(_WEEKLY_LIFE)
    dated_period: Literal["week", "month"] = "week" if is_short else "month"
    return Contract(
        name=name,
        base=coin,
        quote="USD",
        settlement=coin,
        kind=kind,
        listed_ms=listed_ms,
        expires_ms=expires_ms,
        first_trade_ms=first_trade_ms,
        tick_size=_TICK_SIZES.get((coin, kind), _SMALL_TICK),
        contract_size=_CONTRACT_SIZES.get(coin, 1.0),
        settlement_period="perpetual" if kind == "perpetual" else dated_period,
    )


def milliseconds_of(span: timedelta) -> int:
    """Return a length of time in milliseconds."""
    return span // timedelta(milliseconds=1)


def _coin_contracts(
    seed: int, coin: str, start: datetime, now: datetime, quarterlies: int
) -> Iterator[Contract]:
    yield _listed(seed, coin, f"{coin}-PERPETUAL", start, None)
    quarterly_life = _QUARTER * quarterlies
    for expiry in _fridays(start + _SHORTEST_LIFE, now + max(quarterly_life, _WEEKLY_LIFE)):
        life = quarterly_life if _is_quarter_end(expiry) else _WEEKLY_LIFE
        yield _listed(seed, coin, dated_name(coin, expiry), max(start, expiry - life), expiry)


def _listed(
    seed: int, coin: str, name: str, opening: datetime, expiry: datetime | None
) -> Contract:
    """A contract listed some seconds after an opening, first traded minutes or hours later."""
    opening_minute = -(-milliseconds(opening) // MINUTE_MS)
    listed_ms = opening_minute * MINUTE_MS + 1000 * int(9 + 50 * draw(seed, name, "listed"))
    fewest, most = _FIRST_TRADE_MINUTES
    minutes = fewest + int((most - fewest + 1) * draw(seed, name, "first trade") ** 3)
    first_trade_ms = (listed_ms // MINUTE_MS + minutes) * MINUTE_MS
    expires_ms = None if expiry is None else milliseconds(expiry)
    return inverse_contract(name, coin, listed_ms, expires_ms, first_trade_ms)


def _fridays(start: datetime, end: datetime) -> Iterator[datetime]:
    """All Fridays 08:00 UTC from the start to the end, both included."""
    day = start.astimezone(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    while day <= end:
        if day.weekday() == _FRIDAY and day >= start:
            yield day
        day += timedelta(days=1)


def _is_quarter_end(friday: datetime) -> bool:
    """Whether it is the last Friday of a quarter."""
    return friday.month in _QUARTER_MONTHS and (friday + timedelta(days=7)).month != friday.month


def _decoys(contracts: Sequence[Contract], start_ms: int, now_ms: int) -> list[Record]:
    """Records of what is no inverse BTC or ETH future, open and expired ones of each sort."""
    made = []
    for future in _one_open_and_one_expired(contracts, now_ms):
        base, dated = record(future, now_ms), future.name
        coin, date = dated.split("-")
        combo = {"instrument_name": f"{coin}-FS-{date}_PERP", "kind": "future_combo"}
        option = {"instrument_name": f"{dated}-50000-C", "kind": "option", "option_type": "call"}
        made += [base | combo, base | option | {"strike": 50_000.0}]
        made.append(base | {"instrument_name": f"{coin}_USDC-{date}"} | _linear(coin))
        made.append(base | _other_coin("SOL", date))
    perpetual = {"instrument_name": "BTC_USDC-PERPETUAL", "settlement_period": "perpetual"}
    lasting = inverse_contract("BTC-PERPETUAL", "BTC", start_ms, None, start_ms)
    return [*made, record(lasting, now_ms) | perpetual | _linear("BTC")]


def _one_open_and_one_expired(contracts: Sequence[Contract], now_ms: int) -> list[Contract]:
    futures = [contract for contract in contracts if contract.kind == "future"]
    by_state = {future.is_expired(now_ms): future for future in reversed(futures)}
    return list(by_state.values())


def _linear(coin: str) -> Record:
    return {
        "instrument_type": "linear",
        "future_type": "linear",
        "quote_currency": "USDC",
        "counter_currency": "USDC",
        "settlement_currency": "USDC",
        "price_index": f"{coin}_usdc".lower(),
        "contract_size": 0.0001,
        "min_trade_amount": 0.0001,
    }


def _other_coin(coin: str, date: str) -> Record:
    return {
        "instrument_name": f"{coin}-{date}",
        "base_currency": coin,
        "settlement_currency": coin,
        "product_group": coin,
        "price_index": f"{coin}_usd".lower(),
    }
