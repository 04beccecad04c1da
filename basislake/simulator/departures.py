"""Permanent changes of the exchange (departures): one for each thing that a client relies on.

A departure is a set of faults that stay, in the calls that a client could notice it by.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from basislake.simulator import changes
from basislake.simulator.calls import CHART_METHOD
from basislake.simulator.fault_forms import AnyFault, Changed, Columns, Fault, reply

# The help text of the command lists departures, and loads no market for that.
if TYPE_CHECKING:
    from basislake.simulator.faults import FaultScript
    from basislake.simulator.market import Contract
    from basislake.simulator.universe import Universe

# The method, the fault, and the instrument, None for all instruments.
Order: TypeAlias = tuple[str, AnyFault, str | None]

_LISTS = "get_instruments"
_FUNDING = "get_funding_rate_history"
_TOTAL = "get_funding_rate_value"
_MINUTE_MS = 60_000
_FEWER_CANDLES, _FEWER_HOURS = 1_000, 500
_LATE_MINUTES = 3
_HALF_AN_HOUR_MS = 30 * _MINUTE_MS
# A name that no contract has: that of a day that no year has.
_UNKNOWN = "BTC-30FEB20"


@dataclass(frozen=True, slots=True)
class Departure:
    """A permanent change of the exchange.

    Attributes:
        name: as it is asked for.
        sentence: what becomes different.
        orders: the faults, for a universe's contracts.
    """

    name: str
    sentence: str
    orders: Callable[["Universe"], Iterator[Order]]


def depart(faults: "FaultScript", universe: "Universe", name: str) -> None:
    """Change the behaviour of an exchange permanently: add the departure to its faults."""
    for method, fault, instrument in DEPARTURES[name].orders(universe):
        faults.add(method, None, fault, instrument=instrument)


def _lists(change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> Callable[..., Any]:
    """A change of the lists: each record becomes any number of records."""
    return _answers(_LISTS, lambda records: [new for old in records for new in change(old)])


def _candles(
    of: Literal["perpetual", "open", "expired"],
    change: Callable[["Contract", int], Callable[[Columns], Columns]],
) -> Callable[..., Any]:
    """A change of the candles of perpetuals, of open futures, or of expired ones, made from each
    contract and the exchange's clock.
    """

    def orders(universe: "Universe") -> Iterator[Order]:
        now_ms = universe.now_ms
        for name, contract in universe.contracts.items():
            state = "expired" if contract.is_expired(now_ms) else "open"
            if of == (state if contract.expires_ms else "perpetual"):
                yield CHART_METHOD, Changed(change(contract, now_ms)), name

    return orders


def _answers(method: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """A change of all answers of a method."""
    return lambda _: iter([(method, Changed(change), None)])


def _without(records: Callable[[dict[str, Any]], bool]) -> Callable[..., Any]:
    return _lists(lambda record: [] if records(record) else [record])


def _late(_: "Contract", now_ms: int) -> Callable[[Columns], Columns]:
    newest = now_ms // _MINUTE_MS * _MINUTE_MS
    return changes.drop_minutes(*(newest - n * _MINUTE_MS for n in range(_LATE_MINUTES)))


def _only_traded(good: Columns) -> Columns:
    untraded = [
        tick for tick, volume in zip(good["ticks"], good["volume"], strict=True) if not volume
    ]
    return changes.drop_minutes(*untraded)(good)


def _filled(contract: "Contract", _: int) -> Callable[[Columns], Columns]:
    """An untraded candle in the minute before the first trade."""

    def change(good: Columns) -> Columns:
        if not good["ticks"] or good["ticks"][0] != contract.first_trade_ms:
            return good
        changed = changes.add_tick(contract.first_trade_ms - _MINUTE_MS)(good)
        zeros = {name: [0, *changed[name][1:]] for name in ("volume", "cost")}
        return changed | zeros

    return change


def _traded_on(contract: "Contract", _: int) -> Callable[[Columns], Columns]:
    """Trades after the expiry."""

    def change(good: Columns) -> Columns:
        after = [tick >= (contract.expires_ms or 0) for tick in good["ticks"]]
        sold = {
            name: [1.0 if late else value for late, value in zip(after, good[name], strict=True)]
            for name in ("volume", "cost")
        }
        return good | sold if any(after) else good

    return change


def _old_settlements(universe: "Universe") -> Iterator[Order]:
    for name, contract in universe.contracts.items():
        if contract.is_expired(universe.now_ms):
            fault = Changed(lambda _: {"settlements": []})
            yield "get_last_settlements_by_instrument", fault, name


_OTHER_REFUSAL = Fault(429, b'{"jsonrpc":"2.0","error":{"code":1,"message":"slow"}}')


def _half_hours(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"timestamp": row["timestamp"] + _HALF_AN_HOUR_MS} for row in rows]


def _dearer(prices: dict[str, Any]) -> dict[str, Any]:
    data = [row | {"delivery_price": row["delivery_price"] * 1.001} for row in prices["data"]]
    return prices | {"data": data}


_ALL = (
    Departure(
        "no-perpetuals",
        "the lists leave out perpetuals",
        _without(lambda record: str(record["instrument_name"]).endswith("-PERPETUAL")),
    ),
    Departure(
        "no-expired",
        "the lists leave out expired instruments",
        _without(lambda record: not record["is_active"]),
    ),
    Departure(
        "new-field", "records have an extra field", _lists(lambda record: [record | {"colour": 1}])
    ),
    Departure(
        "short-arrays",
        "one array of candles is one value shorter than the others",
        _answers(CHART_METHOD, changes.shorten_column()),
    ),
    Departure(
        "fewer-candles",
        f"only a perpetual's newest {_FEWER_CANDLES:,} candles are returned",
        _candles("perpetual", lambda _contract, _now: changes.keep_newest(_FEWER_CANDLES)),
    ),
    Departure(
        "without-end",
        "the last minute of the requested window is missing",
        _answers(CHART_METHOD, lambda good: changes.drop_minutes(*good["ticks"][-1:])(good)),
    ),
    Departure(
        "only-traded",
        "minutes of open futures without trades are left out",
        _candles("open", lambda _contract, _now: _only_traded),
    ),
    Departure(
        "filled-before",
        "a candle precedes the first trade",
        _candles("open", _filled),
    ),
    Departure("traded-on", "futures still trade after expiry", _candles("expired", _traded_on)),
    Departure(
        "late-candles",
        f"candles of perpetuals are returned {_LATE_MINUTES} minutes late",
        _candles("perpetual", _late),
    ),
    Departure(
        "no-old-candles",
        "no candles of expired futures are returned",
        _candles("expired", lambda _contract, _now: changes.no_data),
    ),
    Departure(
        "unknown-empty",
        "an unknown instrument gets an answer without an error",
        lambda _: iter([(CHART_METHOD, reply(changes.no_data({})), _UNKNOWN)]),
    ),
    Departure(
        "funding-without-end",
        "the last hour of funding is missing",
        _answers(_FUNDING, lambda r: r[:-1]),
    ),
    Departure(
        "fewer-hours",
        f"only the newest {_FEWER_HOURS} hours of funding are returned",
        _answers(_FUNDING, lambda rows: rows[-_FEWER_HOURS:]),
    ),
    Departure("half-hours", "funding is labelled by half hours", _answers(_FUNDING, _half_hours)),
    Departure(
        "other-totals",
        "totals of funding are not the sum of the hours",
        _answers(_TOTAL, lambda total: total + 1e-4),
    ),
    Departure(
        "other-prices",
        "delivery prices differ from those of settlements",
        _answers("get_delivery_prices", _dearer),
    ),
    Departure("no-old-settlements", "settlements of expired futures are missing", _old_settlements),
    Departure(
        "other-refusal",
        "calls for funding totals get a rate-limit refusal with an unknown error code",
        lambda _: iter([(_TOTAL, _OTHER_REFUSAL, None)]),
    ),
)

DEPARTURES: Mapping[str, Departure] = {each.name: each for each in _ALL}
