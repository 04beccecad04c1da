"""Answers of the methods for funding, delivery prices and settlements."""

import base64
import binascii
from collections.abc import Callable, Mapping

from basislake.simulator.calls import Question
from basislake.simulator.carry import MarketCarry, Row, place
from basislake.simulator.market import Contract
from basislake.simulator.refusals import NOT_SERVED, RpcError, bad, text_param, whole_param
from basislake.simulator.universe import Universe

# If there are more, the exchange silently returns only the newest.
MOST_FUNDING_ROWS = 744
MOST_ROWS = 1000
_DEFAULT_DELIVERIES = 10
_DEFAULT_SETTLEMENTS = 20
_TYPES = ("settlement", "delivery", "bankruptcy")

Answer = Callable[[MarketCarry, Question, int], object]


def funding_history(carry: MarketCarry, question: Question, now_ms: int) -> object:
    """`get_funding_rate_history`: the start is exclusive, the end inclusive."""
    name, start_ms, end_ms = _span(carry.universe, question, now_ms)
    return carry.funding(name, start_ms, min(end_ms, now_ms))[-MOST_FUNDING_ROWS:]


def funding_value(carry: MarketCarry, question: Question, now_ms: int) -> object:
    """`get_funding_rate_value`: one number."""
    name, start_ms, end_ms = _span(carry.universe, question, now_ms)
    return carry.total(name, start_ms, min(end_ms, now_ms))


def delivery_prices(carry: MarketCarry, question: Question, now_ms: int) -> object:
    """`get_delivery_prices`: newest first, by offset."""
    index_name = text_param(question.params, "index_name")
    days = carry.days(index_name, now_ms)
    if not days:
        raise bad("wrong format", "index_name")
    offset = _number(question.params, "offset", 0, None)
    count = _number(question.params, "count", _DEFAULT_DELIVERIES, MOST_ROWS)
    page = [carry.delivery(index_name, day) for day in days[offset : offset + count]]
    return {"data": page, "records_total": len(days)}


def settlements_by_instrument(carry: MarketCarry, question: Question, now_ms: int) -> object:
    """`get_last_settlements_by_instrument`: newest first, by continuation."""
    _refuse_history(question)
    name = listed(carry.universe, question.params, now_ms).name
    return _settlements(carry.settlements(name, now_ms), question)


def settlements_by_currency(carry: MarketCarry, question: Question, now_ms: int) -> object:
    """`get_last_settlements_by_currency`: those of all instruments, options too."""
    _refuse_history(question)
    coin = text_param(question.params, "currency")
    if coin not in {contract.base for contract in carry.universe.contracts.values()}:
        raise bad("wrong format", "currency")
    return _settlements(carry.settlements_of_coin(coin, now_ms), question)


ANSWERS: Mapping[str, Answer] = {
    "get_funding_rate_history": funding_history,
    "get_funding_rate_value": funding_value,
    "get_delivery_prices": delivery_prices,
    "get_last_settlements_by_instrument": settlements_by_instrument,
    "get_last_settlements_by_currency": settlements_by_currency,
}


def _settlements(rows: list[Row], question: Question) -> object:
    params = question.params
    count = _number(params, "count", _DEFAULT_SETTLEMENTS, MOST_ROWS)
    if "type" in params:
        if params["type"] not in _TYPES:
            raise bad("wrong format", "type")
        rows = [row for row in rows if row["type"] == params["type"]]
    if "search_start_timestamp" in params:
        latest_ms = whole_param(params, "search_start_timestamp")
        rows = [row for row in rows if place(row)[0] <= latest_ms]
    if "continuation" in params:
        before = _read_continuation(params["continuation"])
        rows = [row for row in rows if place(row) < before]
    page = rows[:count]
    answer: dict[str, object] = {"settlements": page}
    return (
        answer
        if len(page) == len(rows)
        else answer | {"continuation": continuation_after(page[-1])}
    )


def continuation_after(last: Row) -> str:
    """Return the continuation token for the settlements after one."""
    time_ms, name = place(last)
    return base64.urlsafe_b64encode(f"{time_ms}/{name}".encode()).decode()


def _read_continuation(text: str) -> tuple[int, str]:
    try:
        time_ms, _, name = base64.urlsafe_b64decode(text).decode().partition("/")
        return int(time_ms), name
    except (binascii.Error, ValueError) as exc:
        raise bad("wrong format", "continuation") from exc


def _span(universe: Universe, question: Question, now_ms: int) -> tuple[str, int, int]:
    """The perpetual and the span of a call."""
    contract = listed(universe, question.params, now_ms)
    if contract.kind != "perpetual":
        raise bad("instrument is not perpetual", "instrument_name")
    params = question.params
    return (
        contract.name,
        whole_param(params, "start_timestamp"),
        whole_param(params, "end_timestamp"),
    )


def listed(universe: Universe, params: Mapping[str, str], now_ms: int) -> Contract:
    """Return the contract that a call names.

    Raises:
        RpcError: it names none, or one that is not listed yet.
    """
    contract = universe.contracts.get(text_param(params, "instrument_name"))
    if contract is None or not contract.is_listed(now_ms):
        raise bad("instrument not found", "instrument_name")
    return contract


def _refuse_history(question: Question) -> None:
    """The host of expired instruments has no settlements."""
    if question.host == "history":
        raise RpcError(NOT_SERVED, "method_not_served")


def _number(params: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    if name not in params:
        return default
    value = whole_param(params, name)
    if most is not None and not 0 < value <= most:
        raise bad(f"must be between 1 and {most}", name)
    return value
