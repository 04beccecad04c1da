"""Answer of each public method, as a function of its parameters and the exchange's clock; for a
candle call, the window of its answer.
"""

from basislake.simulator.calls import Question
from basislake.simulator.carry import MarketCarry
from basislake.simulator.carry_answers import ANSWERS, listed
from basislake.simulator.envelope import METHOD_NOT_FOUND
from basislake.simulator.pages import Window, cut_window
from basislake.simulator.refusals import RpcError, bad, text_param, whole_param
from basislake.simulator.universe import Universe, records

_CURRENCIES = ("BTC", "ETH", "SOL", "USDC", "USDT", "EURR", "any")
_KINDS = ("future", "option", "spot", "future_combo", "option_combo", "any")
_BOOLEANS = {"true": True, "false": False}
_VERSION = "1.2.26"


def answer(carry: MarketCarry, question: Question, now_ms: int) -> object:
    """Return the result of a method other than that of candles.

    Args:
        carry: funding, delivery prices and settlements of the exchange's universe.
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
            return _instruments(carry.universe, question, now_ms)
    if question.method in ANSWERS:
        return ANSWERS[question.method](carry, question, now_ms)
    raise RpcError(METHOD_NOT_FOUND, "Method not found")


def _instruments(universe: Universe, question: Question, now_ms: int) -> object:
    currency = question.params.get("currency", "any")
    if currency not in _CURRENCIES:
        raise bad("wrong format", "currency")
    kind = question.params.get("kind", "any")
    if kind not in _KINDS:
        raise bad("wrong format", "kind")
    expired = _BOOLEANS.get(question.params.get("expired", "false"))
    if expired is None:
        raise bad("wrong format", "expired")
    listed = records(universe, currency, expired=expired, host=question.host, now_ms=now_ms)
    return listed if kind in ("future", "any") else [r for r in listed if r["kind"] == kind]


def read_window(universe: Universe, question: Question, now_ms: int) -> Window:
    """Return the window of the answer to a candle call at a time (UTC ms).

    Raises:
        RpcError: a parameter is missing or bad, or the instrument is not known.
    """
    params = question.params
    contract = listed(universe, params, now_ms)
    start_ms = whole_param(params, "start_timestamp")
    end_ms = whole_param(params, "end_timestamp")
    if text_param(params, "resolution") != "1":
        # The exchange knows coarser ones; the simulated one serves minutes only.
        raise bad("unsupported resolution", "resolution")
    return cut_window(contract, start_ms, end_ms, now_ms)
