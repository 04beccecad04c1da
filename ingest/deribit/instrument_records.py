"""Parses instrument records of `get_instruments`: ours, left out, or refused; pure.

The fields of a record have changed over the years, so only name, kind, creation and expiry are
required. A missing field follows from the form of the name: `BTC-28JUN19` is the inverse contract
in USD, settled in BTC; linear contracts are named `BTC_USDC-...`.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lake.contract_terms import term_of

COINS = ("BTC", "ETH")
QUOTE = "USD"

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_NAME = re.compile(rf"({'|'.join(COINS)})-(PERPETUAL|[1-9][0-9]?(?:{_MONTHS})[0-9]{{2}})")
_COULD_BE_DATED = re.compile(
    rf"\s*({'|'.join(COINS)})[-_ ]?\d{{1,2}}[A-Z]{{3}}\d{{2,4}}\s*", re.IGNORECASE
)
_INDEX_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")

# Deribit opened in 2016; no dated future has lived longer than about 15 months.
_EARLIEST = datetime(2016, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_LONGEST_LIFE = timedelta(days=3 * 366)
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Instrument:
    """A dated inverse future or an inverse perpetual, as its record describes it; the attributes
    are the columns of the table `instruments`.
    """

    instrument: str
    kind: str
    base: str
    quote: str
    settlement: str
    contract_type: str
    listed_at: datetime
    expires_at: datetime | None
    tick_size: float | None
    contract_size: float | None
    active: bool
    price_index: str
    term: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A sound record outside of basislake's market.

    Attributes:
        name: the record's name, shortened and escaped for display; never stored.
        reason: one phrase.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused(LeftOut):
    """A record that cannot be read.

    Attributes:
        could_be_dated: whether the name could be a dated BTC or ETH future, so that data may be
            missing.
    """

    could_be_dated: bool


@dataclass(frozen=True, slots=True)
class ParsedRecords:
    """The records in replies of `get_instruments`.

    Attributes:
        instruments: of basislake's market, by name.
        left_out: other sound records.
        refused: records that cannot be read.
    """

    instruments: dict[str, Instrument]
    left_out: list[LeftOut]
    refused: list[Refused]


class _UnreadableError(Exception):
    """The record cannot be read; the message is the reason."""


class _OutOfScopeError(Exception):
    """The record is sound but outside of basislake's market; the message is the reason."""


def read_records(records: Iterable[object]) -> ParsedRecords:
    """Sort records into ours, left out and refused.

    The same instrument twice (a contract that has just expired is on both lists) is one: the later
    record is used. If their dates differ, both are refused.
    """
    listing = ParsedRecords({}, [], [])
    disputed: set[str] = set()
    for record in records:
        try:
            instrument = read_record(record)
        except _OutOfScopeError as exc:
            listing.left_out.append(LeftOut(_name(record), str(exc)))
        except _UnreadableError as exc:
            listing.refused.append(_refused(record, str(exc)))
        else:
            known = listing.instruments.setdefault(instrument.instrument, instrument)
            if _life(known) != _life(instrument):
                disputed.add(instrument.instrument)
            listing.instruments[instrument.instrument] = instrument
    for name in sorted(disputed):
        del listing.instruments[name]
        could_be_dated = bool(_COULD_BE_DATED.fullmatch(name))
        listing.refused.append(Refused(name, "two records disagree on its dates", could_be_dated))
    return listing


def read_record(record: object) -> Instrument:
    """Parse one record.

    Raises:
        _OutOfScopeError: a sound record of something that is not an inverse BTC or ETH future.
        _UnreadableError: the record is malformed or contradicts itself.
    """
    if not isinstance(record, Mapping):
        raise _UnreadableError("the record is not an object")
    _check_scope(record)
    name = record.get("instrument_name")
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise _UnreadableError("the name is not that of a BTC or ETH future")
    base = match[1]
    if (record.get("base_currency") or base) != base:
        raise _UnreadableError("the name and the base currency disagree")
    if (record.get("settlement_currency") or base) != base:
        raise _OutOfScopeError("settled in another currency")
    is_perpetual = match[2] == "PERPETUAL"
    if ((record.get("settlement_period") or match[2].lower()) == "perpetual") != is_perpetual:
        raise _UnreadableError("the name and the settlement period disagree")
    listed_at = _time(record, "creation_timestamp")
    expires_at = None if is_perpetual else _expiry(record, listed_at)
    active = record.get("is_active", record.get("state") == "open")
    return Instrument(
        instrument=match[0],
        kind="perpetual" if is_perpetual else "future",
        base=base,
        quote=QUOTE,
        settlement=base,
        contract_type="inverse",
        listed_at=listed_at,
        expires_at=expires_at,
        tick_size=_size(record, "tick_size"),
        contract_size=_size(record, "contract_size"),
        active=active is True,
        price_index=_price_index(record, base),
        term=term_of(expires_at),
    )


def _check_scope(record: Mapping[Any, Any]) -> None:
    kind = record.get("kind")
    base = record.get("base_currency")
    if isinstance(kind, str) and kind != "future":
        raise _OutOfScopeError(f"kind {_shown(kind)}")
    if kind != "future":
        raise _UnreadableError("the kind is absent")
    if isinstance(base, str) and base not in COINS:
        raise _OutOfScopeError("another base coin")
    type_ = record.get("instrument_type") or record.get("future_type") or "reversed"
    if isinstance(type_, str) and type_ != "reversed":
        raise _OutOfScopeError(f"{_shown(type_)} contract")
    quote = record.get("quote_currency", QUOTE)
    settlement = record.get("settlement_currency")
    if isinstance(quote, str) and quote != QUOTE:
        raise _OutOfScopeError("another quote currency")
    for value in (type_, quote, settlement, base):
        if value is not None and not isinstance(value, str):
            raise _UnreadableError("a currency or type is not a text")


def _expiry(record: Mapping[Any, Any], listed_at: datetime) -> datetime:
    field = "expiration_timestamp" if "expiration_timestamp" in record else "expiry"
    expires_at = _time(record, field)
    if not listed_at < expires_at <= listed_at + _LONGEST_LIFE:
        raise _UnreadableError("it expires before it is listed, or years after")
    return expires_at


def _time(record: Mapping[Any, Any], field: str) -> datetime:
    value = record.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise _UnreadableError(f"{field} is not a time in milliseconds")
    milliseconds = int(value)
    if not _EARLIEST.timestamp() * 1000 <= milliseconds < _LATEST.timestamp() * 1000:
        raise _UnreadableError(f"{field} is out of range")
    return datetime.fromtimestamp(milliseconds // 1000, UTC) + timedelta(
        milliseconds=milliseconds % 1000
    )


def _size(record: Mapping[Any, Any], field: str) -> float | None:
    value = record.get(field)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= sys.float_info.max:
        raise _UnreadableError(f"{field} is not a positive number")
    return float(value)


def _price_index(record: Mapping[Any, Any], base: str) -> str:
    """The index's name; records before 2022 lack it, so it is the coin's index in USD."""
    value = record.get("price_index")
    if value is None:
        return f"{base}_{QUOTE}".lower()
    if not isinstance(value, str) or not _INDEX_NAME.fullmatch(value):
        raise _UnreadableError("price_index is not the name of an index")
    return value


def _life(instrument: Instrument) -> tuple[datetime, datetime | None]:
    return instrument.listed_at, instrument.expires_at


def _refused(record: object, reason: str) -> Refused:
    name = record.get("instrument_name") if isinstance(record, Mapping) else None
    could_be_dated = isinstance(name, str) and bool(_COULD_BE_DATED.fullmatch(name))
    return Refused(_name(record), reason, could_be_dated=could_be_dated)


def _name(record: object) -> str:
    name = record.get("instrument_name") if isinstance(record, Mapping) else None
    return _shown(name) if isinstance(name, str) else "(no name)"


def _shown(text: str) -> str:
    escaped = text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= _SHOWN_CHARACTERS else escaped[:_SHOWN_CHARACTERS] + "..."
