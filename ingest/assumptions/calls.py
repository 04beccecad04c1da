"""The about twenty calls that test the assumptions about the exchange, each declared once; pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from ingest.assumptions import shortening
from ingest.assumptions.evidence import HOUR_MS, MINUTE_MS, Candidate, Evidence
from ingest.deribit.instrument_records import COINS
from ingest.deribit.replies import CHART

Host: TypeAlias = Literal["www", "history"]
# Computes the parameters from the evidence so far; None if the call does not apply.
Params: TypeAlias = Callable[[Evidence, int], dict[str, Any] | None]

UNKNOWN_NAME = "BTC-30FEB20"
_LISTS = "get_instruments"
_FUNDING = "get_funding_rate_history"
_OF_INSTRUMENT = "get_last_settlements_by_instrument"

_DAY_MS = 24 * HOUR_MS
# Candles of futures that expired since then were seen on www, and settlements back to it.
_SINCE_MS = round(datetime(2019, 1, 1, tzinfo=UTC).timestamp() * 1000)
# More than the exchange sends; the last of these minutes ended a while ago.
_MANY_MINUTES, _MANY_HOURS = 6_000, 800
# A future's first candle may be nine hours after its listing.
_FIRST_TRADE_MS = 12 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Probe:
    """A call.

    Attributes:
        name: in the evidence.
        method: without `public/`.
        params: see `Params`.
        keep: shortens the result.
        host: to call.
    """

    name: str
    method: str
    params: Params
    keep: Callable[[object], Any] = shortening.whole
    host: Host = "www"


def subjects(instruments: Iterable[Candidate], now_ms: int) -> dict[str, Candidate]:
    """Choose the instruments to call for, by their part.

    Args:
        instruments: on the lists.
        now_ms: the exchange's clock.

    Returns:
        `perpetual`: BTC's. `quiet`: the next future to expire of those that have traded for a
        while. `young`: the last listed of those. `recent`: the future that expired last. `oldest`:
        the first that expired since 2019.
    """
    # BTC first, then by name, so that the choice does not depend on the order of a list.
    known = sorted(instruments, key=lambda one: (one.instrument[:3] != "BTC", one.instrument))
    coin = [one for one in known if one.instrument[:3] == known[0].instrument[:3]]
    dated = [(one.expires_ms, one) for one in coin if one.expires_ms is not None]
    traded = [
        (expires_ms, one)
        for expires_ms, one in dated
        if one.listed_ms < now_ms - _DAY_MS and expires_ms > now_ms
    ]
    expired = [(expires_ms, one) for expires_ms, one in dated if expires_ms < now_ms - HOUR_MS]
    found = {
        "perpetual": next((one for one in known if one.expires_ms is None), None),
        "quiet": _first(sorted(traded, key=itemgetter(0))),
        "young": _first(sorted(traded, key=lambda pair: -pair[1].listed_ms)),
        "recent": _first(sorted(expired, key=itemgetter(0))[::-1]),
        "oldest": _first(sorted(expired, key=lambda pair: (pair[0] < _SINCE_MS, pair[0]))),
    }
    return {part: one for part, one in found.items() if one is not None}


def _first(pairs: list[tuple[int, Candidate]]) -> Candidate | None:
    return pairs[0][1] if pairs else None


def _chart(part: str, window: Callable[[Candidate, int], tuple[int, int] | None]) -> Params:
    def params(known: Evidence, now_ms: int) -> dict[str, Any] | None:
        subject = known.subjects.get(part)
        found = window(subject, now_ms // MINUTE_MS * MINUTE_MS) if subject else None
        return _window(subject.instrument, *found) if subject and found else None

    return params


def _window(instrument: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    return {
        "instrument_name": instrument,
        "start_timestamp": start_ms,
        "end_timestamp": end_ms,
        "resolution": "1",
    }


def _most(subject: Candidate, minute_ms: int) -> tuple[int, int] | None:
    end_ms = minute_ms - HOUR_MS
    start_ms = end_ms - _MANY_MINUTES * MINUTE_MS
    return (start_ms, end_ms) if subject.listed_ms + _FIRST_TRADE_MS < start_ms else None


def _quiet(_: Candidate, minute_ms: int) -> tuple[int, int]:
    return minute_ms - 3 * HOUR_MS, minute_ms - HOUR_MS


def _first_trade(subject: Candidate, _: int) -> tuple[int, int]:
    listed_ms = subject.listed_ms // MINUTE_MS * MINUTE_MS
    return listed_ms - 10 * MINUTE_MS, listed_ms + 600 * MINUTE_MS


def _expiry(subject: Candidate, _: int) -> tuple[int, int]:
    expires_ms = subject.expires_ms or 0
    return expires_ms - HOUR_MS, expires_ms + HOUR_MS


def _newest(_: Candidate, minute_ms: int) -> tuple[int, int]:
    return minute_ms - 5 * MINUTE_MS, minute_ms


def _hours(count: int) -> Params:
    """Hours that ended more than an hour ago."""

    def params(known: Evidence, now_ms: int) -> dict[str, Any] | None:
        end_ms = now_ms // HOUR_MS * HOUR_MS - HOUR_MS
        return _funding(known, end_ms - count * HOUR_MS, end_ms)

    return params


def _month(known: Evidence, now_ms: int) -> dict[str, Any] | None:
    """The last whole calendar month."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    end = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (end - timedelta(days=1)).replace(day=1)
    return _funding(known, *(round(time.timestamp() * 1000) for time in (start, end)))


def _funding(known: Evidence, start_ms: int, end_ms: int) -> dict[str, Any] | None:
    perpetual = known.subjects.get("perpetual")
    if perpetual is None or perpetual.listed_ms + _FIRST_TRADE_MS > start_ms:
        return None
    return {
        "instrument_name": perpetual.instrument,
        "start_timestamp": start_ms,
        "end_timestamp": end_ms,
    }


def _settled(part: str) -> Params:
    def params(known: Evidence, _: int) -> dict[str, Any] | None:
        subject = known.subjects.get(part)
        return {"instrument_name": subject.instrument, "count": 10} if subject else None

    return params


def _deliveries(known: Evidence, now_ms: int) -> dict[str, Any] | None:
    recent = known.subjects.get("recent")
    if recent is None or recent.expires_ms is None:
        return None
    days = (now_ms - recent.expires_ms) // _DAY_MS
    return {"index_name": recent.price_index, "offset": 0, "count": min(days + 5, 1000)}


def _of_coin(known: Evidence, _: int) -> dict[str, Any] | None:
    """The list of the coin, if that of the instrument is empty."""
    oldest, seen = known.subjects.get("oldest"), known.calls.get("old")
    if oldest is None or seen is None or has_settlements(seen.result):
        return None
    return {
        "currency": oldest.instrument.partition("-")[0],
        "type": "delivery",
        "count": 100,
        "search_start_timestamp": (oldest.expires_ms or 0) + HOUR_MS,
    }


def has_settlements(result: object) -> bool:
    """Whether a result of settlements has any."""
    return isinstance(result, Mapping) and bool(result.get("settlements"))


def _list(coin: str, *, is_expired: bool) -> Params:
    wanted = {"currency": coin, "kind": "future", "expired": str(is_expired).lower()}
    return lambda _known, _now_ms: dict(wanted)


LISTS = (
    *(Probe(f"active-{c}", _LISTS, _list(c, is_expired=False), shortening.listed) for c in COINS),
    *(
        Probe(f"expired-{c}", _LISTS, _list(c, is_expired=True), shortening.listed, "history")
        for c in COINS
    ),
)
# These calls show failures that would lose or corrupt data unnoticed.
FIRST = (
    Probe("most", CHART, _chart("perpetual", _most), shortening.candles),
    Probe("expiry", CHART, _chart("oldest", _expiry), shortening.candles),
)
OTHERS = (
    Probe("quiet", CHART, _chart("quiet", _quiet), shortening.candles),
    Probe("first", CHART, _chart("young", _first_trade), shortening.candles),
    Probe("newest", CHART, _chart("perpetual", _newest), shortening.candles),
    Probe(
        "unknown",
        CHART,
        lambda _, now_ms: _window(UNKNOWN_NAME, now_ms - HOUR_MS, now_ms),
        shortening.candles,
    ),
    Probe("hours", _FUNDING, _hours(6), shortening.hours),
    Probe("many-hours", _FUNDING, _hours(_MANY_HOURS), shortening.hours),
    Probe("month", _FUNDING, _month, shortening.hours),
    Probe("total", "get_funding_rate_value", _month),
    Probe("deliveries", "get_delivery_prices", _deliveries),
    Probe("delivered", _OF_INSTRUMENT, _settled("recent")),
    Probe("old", _OF_INSTRUMENT, _settled("oldest")),
    Probe("old-of-coin", "get_last_settlements_by_currency", _of_coin),
)
