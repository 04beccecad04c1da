"""Instrument records of the exchange, with decoys among them."""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import NAMESPACE_DNS, uuid5

from basislake.simulator.contracts import inverse_contract
from basislake.simulator.market import Contract
from basislake.simulator.noise import draw

Record: TypeAlias = dict[str, object]

NEVER_MS = 32_503_708_800_000


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
        "max_non_default_leverage": 5.0,
        "base_currency_uuid": str(uuid5(NAMESPACE_DNS, coin)),
        "quote_currency_uuid": str(uuid5(NAMESPACE_DNS, contract.quote)),
        "index_id": int(1_000_000 + 1000 * draw(coin, contract.quote)),
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


def make_decoys(contracts: Sequence[Contract], start_ms: int, now_ms: int) -> list[Record]:
    """Return records that are not inverse BTC or ETH futures, open and expired ones of each kind.

    Args:
        contracts: the listed ones.
        start_ms: when the exchange opened, UTC milliseconds.
        now_ms: the exchange's clock, UTC milliseconds.
    """
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


def aged(decoy: Record, now_ms: int) -> Record:
    """Return a decoy as of a time, UTC milliseconds; decoys expire, too."""
    expiry_ms = decoy["expiration_timestamp"]
    is_active = not isinstance(expiry_ms, int) or expiry_ms > now_ms
    return decoy | {"is_active": is_active, "state": "open" if is_active else "closed"}


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
