"""Contracts of a simulated market, and what the exchange lists of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import polars as pl

from basislake.simulator import market
from basislake.simulator.calls import Host
from basislake.simulator.contracts import (
    WEEKLY_LIFE,
    dated_name,
    fridays,
    is_quarter_end,
    listed_contract,
    milliseconds,
)
from basislake.simulator.market import Contract
from basislake.simulator.records import NEVER_MS, Record, aged, make_decoys, record

Truth: TypeAlias = Callable[[Contract, int, int], pl.DataFrame]

_QUARTER = timedelta(days=91)
_SHORTEST_LIFE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """An exchange's contracts and their truth.

    Attributes:
        seed: of the market.
        now_ms: the exchange's clock, UTC milliseconds, unless the server gets another clock.
        contracts: by name, including those that are listed only later.
        decoys: further raw records in every list, which a client must recognise by their content.
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
    until: datetime | None = None,
) -> Universe:
    """Make a universe of perpetuals, a future for every Friday, quarterlies, and decoys.

    Weeklies live 14 days, so two per coin are open at once. A contract does not depend on `now`, so
    a later `now` continues the same market.

    Args:
        seed: of the market.
        start: time at which the exchange opened.
        now: the exchange's clock; contracts listed by then are in the universe, expired or not.
        currencies: the coins.
        quarterlies: of each coin that are open at once; each lives this many quarters.
        until: contracts listed until then are included, for a clock that runs on from `now`; by
            default those listed by `now`.

    Raises:
        ValueError: a time lacks its time zone.
    """
    now_ms, last = milliseconds(now), until or now
    contracts = [
        contract
        for coin in currencies
        for contract in _coin_contracts(seed, coin, start, last, quarterlies)
        if contract.is_listed(milliseconds(last))
    ]
    return make_universe(seed, contracts, milliseconds(start), now_ms)


def make_universe(seed: int, contracts: Sequence[Contract], start_ms: int, now_ms: int) -> Universe:
    """Make a universe of contracts, with decoys derived from the listed ones.

    Args:
        seed: of the market.
        contracts: all, including those that are listed only later.
        start_ms: when the exchange opened, UTC milliseconds.
        now_ms: the exchange's clock, UTC milliseconds.
    """
    listed = [contract for contract in contracts if contract.is_listed(now_ms)]
    decoys = make_decoys(listed, start_ms, now_ms)
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
        host: the host of the call.
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
    decoys = [aged(decoy, now_ms) for decoy in universe.decoys]
    decoys = [decoy for decoy in decoys if decoy["is_active"] is not expired]
    return [record(contract, now_ms) for contract in listed] + decoys


def _coin_contracts(
    seed: int, coin: str, start: datetime, now: datetime, quarterlies: int
) -> Iterator[Contract]:
    yield listed_contract(seed, coin, f"{coin}-PERPETUAL", start, None)
    quarterly_life = _QUARTER * quarterlies
    for expiry in fridays(start + _SHORTEST_LIFE, now + max(quarterly_life, WEEKLY_LIFE)):
        life = quarterly_life if is_quarter_end(expiry) else WEEKLY_LIFE
        yield listed_contract(
            seed, coin, dated_name(coin, expiry), max(start, expiry - life), expiry
        )


def recent_universe(
    seed: int,
    now: datetime,
    weeks: int,
    quarterlies: int = 1,
    *,
    until: datetime | None = None,
) -> Universe:
    """Return a market of both coins that opened weeks before `now`, as of `weekly_universe`."""
    start = (now - timedelta(weeks=weeks)).replace(hour=8, minute=0, second=9, microsecond=0)
    return weekly_universe(seed, start, now, quarterlies=quarterlies, until=until)
