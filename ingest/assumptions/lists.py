"""Assumptions about the hosts and the lists of instruments; pure."""

from typing import Any

from ingest.assumptions.check import Check, CheckResult, UnseenError, differs, ok
from ingest.assumptions.evidence import UNREADABLE, Evidence
from ingest.deribit.instrument_records import COINS

# The fields of a future's record in September 2026, and those that it had in earlier years.
FIELDS_NOW = frozenset(
    {
        "base_currency",
        "base_currency_uuid",
        "block_trade_commission",
        "block_trade_min_trade_amount",
        "block_trade_tick_size",
        "contract_size",
        "counter_currency",
        "creation_timestamp",
        "expiration_timestamp",
        "future_type",
        "index_id",
        "instrument_id",
        "instrument_name",
        "instrument_type",
        "is_active",
        "kind",
        "lot_size",
        "maker_commission",
        "max_leverage",
        "max_liquidation_commission",
        "max_non_default_leverage",
        "min_trade_amount",
        "price_index",
        "product_group",
        "quote_currency",
        "quote_currency_uuid",
        "settlement_currency",
        "settlement_period",
        "state",
        "taker_commission",
        "tick_size",
        "tick_size_steps",
        "underlying_type",
    }
)
_FIELDS_BEFORE = frozenset({"rfq"})
_SHOWN = 3


def _hosts(at: Evidence) -> CheckResult:
    away = {seen.failure.rstrip("."): None for seen in at.calls.values() if seen.is_unreachable}
    if away:
        return differs("; ".join(away))
    closed = {seen.host for seen in at.calls.values()} - {
        seen.host for seen in at.calls.values() if not seen.failure
    }
    if closed:
        failure = next(seen.failure for seen in at.calls.values() if seen.host in closed)
        return differs(f"{' and '.join(sorted(closed))}: {failure}".rstrip("."))
    return ok("both answer in JSON-RPC")


def _active(at: Evidence) -> CheckResult:
    lists = _lists(at, "active")
    lacking = [
        f"{coin}-PERPETUAL"
        for coin, one in lists.items()
        if f"{coin}-PERPETUAL" not in one["instruments"]
    ]
    if lacking:
        return differs(f"the lists do not hold {' and '.join(lacking)}")
    return _readable(lists)


def _expired(at: Evidence) -> CheckResult:
    lists = _lists(at, "expired")
    empty = [coin for coin, one in lists.items() if not one["instruments"]]
    if empty:
        return differs(f"no expired future of {' and '.join(empty)} is listed")
    return _readable(lists)


def _fields(at: Evidence) -> CheckResult:
    lists = _lists(at, "active")
    own = [one for one in lists.values() if one["instruments"]]
    if not own:
        raise UnseenError("the lists hold no record of ours")
    seen = {field for one in own for field in one["fields"]}
    always = {
        field
        for field in seen
        if all(one["fields"].get(field, 0) >= len(one["instruments"]) for one in own)
    }
    new, gone = sorted(seen - FIELDS_NOW - _FIELDS_BEFORE), sorted(FIELDS_NOW - always)
    if new or gone:
        parts = [f"new: {_named(new)}"] if new else []
        return differs("; ".join([*parts, *([f"missing: {_named(gone)}"] if gone else [])]))
    return ok(f"the {len(FIELDS_NOW)} fields of 2026")


def _lists(at: Evidence, kind: str) -> dict[str, dict[str, Any]]:
    """The lists of a kind, by coin."""
    found = {coin: at.result(f"{kind}-{coin}") for coin in COINS}
    return {
        coin: one if UNREADABLE not in one else {"instruments": {}, "refused": [], "fields": {}}
        for coin, one in found.items()
    }


def _readable(lists: dict[str, dict[str, Any]]) -> CheckResult:
    refused = [
        f"{name}: {reason}"
        for one in lists.values()
        for name, reason in one["refused"][: one["refused_futures"]]
    ]
    if refused:
        return differs(f"records that cannot be read: {_named(refused)}")
    counts = (f"{len(one['instruments'])} of {coin}" for coin, one in lists.items())
    return ok(f"{' and '.join(counts)}, all readable")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


CHECKS = (
    Check(
        name="hosts",
        relied_on="www and history can be reached and answer in JSON-RPC",
        then="Nothing can be fetched; stored data is safe. Check the network and proxies.",
        costs_data=True,
        look=_hosts,
    ),
    Check(
        name="active-lists",
        relied_on="www lists the open BTC and ETH futures, and both perpetuals",
        then="Discovery reports the list or the record as failed; the lake keeps its instruments.",
        costs_data=True,
        look=_active,
    ),
    Check(
        name="expired-lists",
        relied_on="history lists every expired BTC and ETH future",
        then="Discovery reports the list or the record as failed; the lake keeps its instruments.",
        costs_data=True,
        look=_expired,
    ),
    Check(
        name="fields",
        relied_on="records have the fields that were recorded in 2026",
        then="basislake ignores new fields. A missing tick size or contract size is null; without "
        "name, kind, listing or expiry it refuses and reports the record.",
        costs_data=False,
        look=_fields,
    ),
)
