"""Assumptions about funding, deliveries, settlements and refusals by the rate limit; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ingest.assumptions.calls import has_settlements
from ingest.assumptions.check import Check, CheckResult, UnseenError, differs, ok
from ingest.assumptions.evidence import HOUR_MS, UNREADABLE, Evidence, moment
from lake.query.views.proofs import PRICE_TOLERANCE, TOTAL_TOLERANCE
from lake.time.steps import HOURS

_NEWEST = 744
_TOO_MANY = (10028, 10066)


def _ends(at: Evidence) -> CheckResult:
    found, start_ms, end_ms = _hours(at, "hours")
    times = {row["timestamp"] for row in found["rows"]}
    if not times & set(range(start_ms, end_ms + 1, HOUR_MS)):
        raise UnseenError("no row of a full hour came")
    asked = f"{moment(start_ms)} to {moment(end_ms)[-6:]}"
    phrase = f"{asked} was answered with {found['count']} hours"
    if end_ms not in times:
        return differs(f"{phrase}, without its end")
    if start_ms in times:
        return differs(f"{phrase}, with its start", is_harmless=True)
    return ok(phrase)


def _rows(at: Evidence) -> CheckResult:
    found, _, end_ms = _hours(at, "many-hours")
    phrase = f"{found['count']} hours of {_asked(at, 'many-hours')}"
    # Another check covers whether the end itself is in the answer.
    is_newest = bool(found["last"]) and found["last"] >= end_ms - HOUR_MS
    if found["count"] < HOURS.longest:
        return differs(phrase)
    is_as_known = is_newest and found["count"] in (_NEWEST - 1, _NEWEST)
    return ok(f"the newest {phrase}") if is_as_known else differs(phrase, is_harmless=True)


def _full_hours(at: Evidence) -> CheckResult:
    found, _, _ = _hours(at, "hours")
    if found["off_hour"]:
        return differs(f"{found['off_hour']} of {found['count']} rows are not of a full hour")
    if found["gaps"]:
        return differs(f"{found['gaps']} of {found['count']} rows do not follow the hour before")
    return ok(f"{found['count']} rows, an hour apart")


def _total(at: Evidence) -> CheckResult:
    found, start_ms, _ = _hours(at, "month")
    total = at.result("total")
    if isinstance(total, bool) or not isinstance(total, int | float):
        return differs(f"the total is {str(total)[:40]!r}, no number")
    if found["count"] != _asked(at, "month") or found["gaps"]:
        raise UnseenError(f"{found['count']} of {_asked(at, 'month')} hours of the month came")
    difference = abs(total - found["sum_interest_1h"])
    phrase = f"{moment(start_ms)[:7]}: total {total:.4%}, difference {difference:.1g}"
    return ok(phrase) if difference <= TOTAL_TOLERANCE else differs(phrase)


def _delivery(at: Evidence) -> CheckResult:
    settled = _delivery_of(at.result("delivered"))
    prices = at.result("deliveries")
    if settled is None or not isinstance(prices, Mapping):
        raise UnseenError(f"no delivery of {at.subject('recent').instrument} came")
    day = f"{datetime.fromtimestamp(settled['timestamp'] / 1000, UTC):%Y-%m-%d}"
    price = {row.get("date"): row.get("delivery_price") for row in prices.get("data", ())}.get(day)
    if price is None:
        raise UnseenError(f"no delivery price of {day} came")
    own = settled["index_price"]
    phrase = f"{at.subject('recent').instrument}: {own} settled, {price} delivery price of {day}"
    return ok(phrase) if abs(own - price) <= PRICE_TOLERANCE * price else differs(phrase)


def _old(at: Evidence) -> CheckResult:
    name = at.subject("oldest").instrument
    seen = at.seen("old")
    if seen.error is None and _delivery_of(seen.result):
        return ok(f"{name}: {len(seen.result['settlements'])} rows, its delivery among them")
    of_coin = at.result("old-of-coin")
    names = {row.get("instrument_name") for row in of_coin.get("settlements", ())}
    if name in names:
        return differs(f"{name}: only on the list of its coin", is_harmless=True)
    return differs(f"{name}: no settlements")


def _refusals(at: Evidence) -> CheckResult:
    if not at.refusals:
        raise UnseenError("no call was refused")
    seen = at.refusals[0]
    wait = seen["retry_after"]
    phrase = f"HTTP {seen['status']}, code {seen['code']}, " + (
        "no Retry-After" if wait is None else f"Retry-After {wait:g} s"
    )
    return ok(phrase) if seen["code"] in _TOO_MANY else differs(phrase)


def _hours(at: Evidence, name: str) -> tuple[dict[str, Any], int, int]:
    """The hours of a call, and its requested range, UTC milliseconds."""
    found: dict[str, Any] = at.result(name)
    if UNREADABLE in found:
        raise UnseenError(f"the reply of funding cannot be read: {found[UNREADABLE]}")
    params = at.calls[name].params
    return found, params["start_timestamp"], params["end_timestamp"]


def _asked(at: Evidence, name: str) -> int:
    params = at.calls[name].params
    hours: int = (params["end_timestamp"] - params["start_timestamp"]) // HOUR_MS
    return hours


def _delivery_of(result: object) -> dict[str, Any] | None:
    """The row of a delivery in a result of settlements."""
    if not isinstance(result, Mapping) or not has_settlements(result):
        return None
    return next((row for row in result["settlements"] if row.get("type") == "delivery"), None)


CHECKS = (
    Check(
        name="funding-ends",
        relied_on="the answer to a window of funding includes its end but not its start",
        then="basislake drops rows at the start. Without the end, it would record an hour of each "
        "window as missing.",
        costs_data=True,
        look=_ends,
    ),
    Check(
        name="funding-rows",
        relied_on=f"of more than {_NEWEST} hours a call returns the newest {_NEWEST}",
        then=f"Windows have {HOURS.longest} hours. If fewer came, basislake would record the rest "
        "of each window as missing.",
        costs_data=True,
        look=_rows,
    ),
    Check(
        name="funding-hours",
        relied_on="a row of funding is labelled by the end of a full hour",
        then="basislake refuses a reply with other times and retries, then records the window as "
        "failed.",
        costs_data=True,
        look=_full_hours,
    ),
    Check(
        name="funding-total",
        relied_on="the exchange's total of a month is the sum of its hours",
        then="basislake stores both, and the view funding_proof lists the months that differ.",
        costs_data=True,
        look=_total,
    ),
    Check(
        name="delivery-price",
        relied_on="a future is delivered at the delivery price of its index on that day",
        then="basislake stores both, and the view delivery_proof lists the futures that differ.",
        costs_data=True,
        look=_delivery,
    ),
    Check(
        name="old-settlements",
        relied_on="settlements of a future that expired years ago are served by its name",
        then="basislake filters its rows from the list of its coin, which takes more calls.",
        costs_data=True,
        look=_old,
    ),
    Check(
        name="rate-refusal",
        relied_on="a refusal by the rate limit has code 10028 or 10066",
        then="basislake also treats HTTP 429 as a refusal: all commands wait and slow down. "
        "Nothing is lost.",
        costs_data=False,
        look=_refusals,
    ),
)
