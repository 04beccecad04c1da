"""What each public method answers, as a function of its parameters and the exchange's clock."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from basislake.exchange.envelope import INVALID_PARAMS, METHOD_NOT_FOUND
from basislake.exchange.market import CANDLE_SCHEMA, MINUTE_MS, Contract, forming
from basislake.exchange.universe import Host, Universe, records

MOST_CANDLES = 5001
CHART_METHOD = "get_tradingview_chart_data"

_CURRENCIES = ("BTC", "ETH", "SOL", "USDC", "USDT", "EURR", "any")
_KINDS = ("future", "option", "spot", "future_combo", "option_combo", "any")
_BOOLEANS = {"true": True, "false": False}
_VERSION = "1.2.26"


class RpcError(Exception):
    """A call that the exchange refuses.

    Attributes:
        code: JSON-RPC's or Deribit's error code.
        message: its short name.
        data: what is wrong with the call, as the exchange tells it.
    """

    def __init__(self, code: int, message: str, data: Mapping[str, str] | None = None) -> None:
        """Name the error."""
        super().__init__(f"{code} {message} {data or ''}".strip())
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a method.

    Attributes:
        method: its name, without `public/`.
        host: which host was asked.
        params: as they stand in the query, not decoded any further.
    """

    method: str
    host: Host
    params: Mapping[str, str]


def answer(universe: Universe, question: Question, now_ms: int) -> object:
    """Return a method's result.

    Args:
        universe: of which exchange.
        question: the call.
        now_ms: the exchange's clock, UTC milliseconds.

    Raises:
        RpcError: the method is unknown, or a parameter is missing or bad.
    """
    match question.method:
        case "get_time":
            return now_ms
        case "test":
            return {"version": _VERSION}
        case "get_instruments":
            return _instruments(universe, question, now_ms)
        case "get_tradingview_chart_data":
            return _chart(universe, question.params, now_ms)
    raise RpcError(METHOD_NOT_FOUND, "Method not found")


def _instruments(universe: Universe, question: Question, now_ms: int) -> object:
    currency = question.params.get("currency", "any")
    if currency not in _CURRENCIES:
        raise _bad("wrong format", "currency")
    kind = question.params.get("kind", "any")
    if kind not in _KINDS:
        raise _bad("wrong format", "kind")
    expired = _BOOLEANS.get(question.params.get("expired", "false"))
    if expired is None:
        raise _bad("wrong format", "expired")
    listed = records(universe, currency, expired=expired, host=question.host, now_ms=now_ms)
    return listed if kind in ("future", "any") else [r for r in listed if r["kind"] == kind]


def _chart(universe: Universe, params: Mapping[str, str], now_ms: int) -> object:
    name = _text(params, "instrument_name")
    start_ms = _milliseconds(params, "start_timestamp")
    end_ms = _milliseconds(params, "end_timestamp")
    if _text(params, "resolution") != "1":
        # The exchange knows coarser ones; the simulated one serves minutes only.
        raise _bad("unsupported resolution", "resolution")
    contract = universe.contracts.get(name)
    if contract is None or not contract.is_listed(now_ms):
        raise _bad("instrument not found", "instrument_name")
    return _columns(_served(universe, contract, start_ms, end_ms, now_ms))


def _served(
    universe: Universe, contract: Contract, start_ms: int, end_ms: int, now_ms: int
) -> pl.DataFrame:
    """The newest 5,001 candles of a range with both ends; the last one may still be forming."""
    now = now_ms // MINUTE_MS
    last = min(end_ms // MINUTE_MS, now)
    first = max(start_ms // MINUTE_MS, last - MOST_CANDLES + 1)
    found = universe.candles(contract.name, first * MINUTE_MS, (last + 1) * MINUTE_MS)
    if not found.height or found["ticks"][-1] < now * MINUTE_MS or contract.is_expired(now_ms):
        return found
    return pl.concat([found.head(-1), forming(found.tail(1), contract)])


def _columns(found: pl.DataFrame) -> dict[str, object]:
    """The result's columns; as on the exchange, one array mixes whole numbers and floats."""
    lists = {name: found[name].to_list() for name in CANDLE_SCHEMA}
    lists["cost"] = [int(cost) if cost.is_integer() else cost for cost in lists["cost"]]
    lists["volume"] = [volume or 0 for volume in lists["volume"]]
    return {"status": "ok" if found.height else "no_data", **lists}


def _text(params: Mapping[str, str], name: str) -> str:
    value = params.get(name)
    if not value:
        raise _bad("value is required", name)
    return value


def _milliseconds(params: Mapping[str, str], name: str) -> int:
    value = _text(params, name)
    if not (value.isascii() and value.isdecimal()):
        raise _bad("wrong format", name)
    return int(value)


def _bad(reason: str, param: str) -> RpcError:
    return RpcError(INVALID_PARAMS, "Invalid params", {"reason": reason, "param": param})
