"""Rules of contracts: names, dates of listing and expiry, and contract terms."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from basislake.simulator.market import MINUTE_MS, Contract
from basislake.simulator.noise import draw

WEEKLY_LIFE = timedelta(days=14)

_FRIDAY = 4
_QUARTER_MONTHS = (3, 6, 9, 12)
_FIRST_TRADE_MINUTES = (4, 544)
_TICK_SIZES = {("BTC", "future"): 2.5, ("ETH", "future"): 0.25, ("BTC", "perpetual"): 0.5}
_SMALL_TICK = 0.05
_CONTRACT_SIZES = {"BTC": 10.0}


def milliseconds(time: datetime) -> int:
    """Return a time as UTC milliseconds.

    Raises:
        ValueError: it has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone; give it one, such as datetime.UTC")
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def milliseconds_of(span: timedelta) -> int:
    """Return a length of time in milliseconds."""
    return span // timedelta(milliseconds=1)


def dated_name(coin: str, expiry: datetime) -> str:
    """Return a dated future's name, e.g. `BTC-7MAY21`: the day has no leading zero."""
    return f"{coin}-{expiry.day}{expiry:%b%y}".upper()


def inverse_contract(
    name: str, coin: str, listed_ms: int, expires_ms: int | None, first_trade_ms: int
) -> Contract:
    """Return a contract settled in its coin, with the tick and contract sizes of 2026."""
    kind: Literal["future", "perpetual"] = "perpetual" if expires_ms is None else "future"
    is_short = expires_ms is not None and expires_ms - listed_ms <= milliseconds_of(WEEKLY_LIFE)
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


def listed_contract(
    seed: int, coin: str, name: str, opening: datetime, expiry: datetime | None
) -> Contract:
    """Return a contract that is listed seconds after an opening, and trades minutes or hours later.

    Args:
        seed: of the market.
        coin: the coin, e.g. `BTC`.
        name: the contract's name.
        opening: time of the opening.
        expiry: when it expires, on the minute; None for a perpetual.
    """
    opening_minute = -(-milliseconds(opening) // MINUTE_MS)
    listed_ms = opening_minute * MINUTE_MS + 1000 * int(9 + 50 * draw(seed, name, "listed"))
    fewest, most = _FIRST_TRADE_MINUTES
    minutes = fewest + int((most - fewest + 1) * draw(seed, name, "first trade") ** 3)
    first_trade_ms = (listed_ms // MINUTE_MS + minutes) * MINUTE_MS
    expires_ms = None if expiry is None else milliseconds(expiry)
    return inverse_contract(name, coin, listed_ms, expires_ms, first_trade_ms)


def fridays(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield all Fridays 08:00 UTC from the start to the end, both included."""
    day = start.astimezone(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    while day <= end:
        if day.weekday() == _FRIDAY and day >= start:
            yield day
        day += timedelta(days=1)


def is_month_end(friday: datetime) -> bool:
    """Whether it is the last Friday of a month."""
    return (friday + timedelta(days=7)).month != friday.month


def is_quarter_end(friday: datetime) -> bool:
    """Whether it is the last Friday of a quarter."""
    return friday.month in _QUARTER_MONTHS and is_month_end(friday)
