"""Replies of the exchange, checked before they are believed; pure: bytes in, frames out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl

from ingest.windows import MAX_CANDLES_PER_CALL
from lake.errors import (
    ClosedDoorError,
    ExchangeError,
    RejectedError,
    ThrottledError,
    TransientError,
)
from lake.spans import MINUTE, Span
from lake.tables import RAW_CANDLES

# Error codes by what the caller can do, from Deribit's table of RPC errors.
_THROTTLED_CODES = frozenset({10028, 10066})
_TRANSIENT_CODES = frozenset({10040, 10041, 10047, 11051, 11094, 13028, 13503, 13888})
_CLOSED_DOOR_CODES = frozenset({11056, 13025})
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500

# A candle is believed final this long after it closed, by the exchange's clock: the last one is
# still forming, and the exchange takes a moment to settle it.
CLOSING_LAG = timedelta(seconds=5)

_LAST_YEAR = 2100

_CELLS = ("open", "high", "low", "close", "volume", "cost")
_ARRAYS = ("ticks", *_CELLS)
_NO_DATA = "no_data"
_STATUSES = ("ok", _NO_DATA)
_NUMBERS = frozenset({int, float, type(None)})


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over HTTP: the status, the body's bytes and the headers."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful reply.

    Attributes:
        result: the method's own result, unchecked.
        at: the exchange's clock when it answered, None where the reply does not say.
    """

    result: Any
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """The closed candles of one window.

    Attributes:
        frame: ts, open, high, low, close, volume, cost; one row a minute, sorted, floats, cells may
            be null.
        duplicates: repeats of a minute with the same values, dropped from the frame.
        asked: the window as far as it was closed; minutes past its end are still to be asked.
    """

    frame: pl.DataFrame
    duplicates: int
    asked: Span


def read_answer(reply: Reply) -> Answer:
    """Take a reply apart; errors are told by the code in the body before the HTTP status.

    Raises:
        ThrottledError: called too often.
        TransientError: server error, maintenance, or a body that is not JSON-RPC.
        RejectedError: the exchange refuses this call for good.
        ClosedDoorError: the exchange refuses all calls.
    """
    wait_s, status = retry_after_s(reply.headers), reply.status
    try:
        message = orjson.loads(reply.body)
    except orjson.JSONDecodeError as exc:
        raise _unreadable(status, wait_s) from exc
    if not isinstance(message, dict):
        raise _unreadable(status, wait_s)
    if isinstance(message.get("error"), dict):
        raise _error(message["error"], status, wait_s)
    if "result" not in message or status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
        raise _unreadable(status, wait_s)
    return Answer(message["result"], _clock(message.get("usOut")))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the reply asks to wait, None where it says nothing usable."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def read_candles(reply: Reply, window: Span) -> Page:
    """Check a reply to `get_tradingview_chart_data` and turn it into a frame.

    Args:
        reply: to the call for this window.
        window: whole minutes, half-open.

    Raises:
        TransientError: the reply has not the structure of an answer to this window; nothing of it
            is used.
        ExchangeError: the reply tells of an error.
    """
    answer = read_answer(reply)
    frame = _frame(_arrays(answer.result), window)
    rows = frame.height
    if not _is_ascending(frame["ts"]):
        frame = frame.unique().sort("ts")
        if frame["ts"].n_unique() < frame.height:
            raise _malformed(window, "one minute comes twice with different values")
    repeats = rows - frame.height
    asked = _closed_part(window, answer.at)
    if not asked.minutes:
        raise _malformed(window, "its clock says that the window is still to come")
    if asked != window:
        frame = frame.filter(pl.col("ts") < asked.end)
    return Page(frame, repeats, asked)


def read_time(answer: Answer) -> datetime:
    """Check a result of `get_time` (milliseconds since 1970) and return it in UTC.

    Raises:
        TransientError: the result is no time.
    """
    value = answer.result
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TransientError("The exchange's clock cannot be read: get_time gave no number.")
    time = _clock(value * 1000)
    if time is None or time.year > _LAST_YEAR:
        raise TransientError("The exchange's clock cannot be read: get_time is out of range.")
    return time


def closed_until(now: datetime) -> datetime:
    """The end of the last candle that is closed for good at this time of the exchange's clock."""
    return (now - CLOSING_LAG).replace(second=0, microsecond=0)


def _closed_part(window: Span, at: datetime | None) -> Span:
    if at is None:
        return window
    return Span(window.start, max(window.start, min(window.end, closed_until(at))))


def _arrays(result: object) -> dict[str, list[Any]]:
    if not isinstance(result, dict):
        raise TransientError("The exchange's reply holds no candle arrays.")
    arrays = {name: result.get(name) for name in _ARRAYS}
    for name, array in arrays.items():
        if not isinstance(array, list):
            raise TransientError(f"The exchange's reply holds no array {name!r}.")
        if not set(map(type, array)) <= _NUMBERS:
            raise TransientError(f"The exchange's array {name!r} holds a cell that is no number.")
    lengths = {len(array) for array in arrays.values() if array is not None}
    if len(lengths) != 1:
        raise TransientError("The exchange's seven candle arrays are not of one length.")
    status = result.get("status")
    if status not in _STATUSES or (status == _NO_DATA and lengths != {0}):
        raise TransientError(f"The exchange's reply has the status {str(status)[:20]!r}.")
    return {name: array for name, array in arrays.items() if array is not None}


def _frame(arrays: dict[str, list[Any]], window: Span) -> pl.DataFrame:
    """The candles as they came, each in the window; built without a query, which costs more."""
    ticks = pl.Series(arrays["ticks"], dtype=pl.Float64)
    if ticks.null_count() or not (ticks % (MINUTE.total_seconds() * 1000) == 0).all():
        raise _malformed(window, "a tick is not on the minute")
    first, last = window.start.timestamp() * 1000, (window.end - MINUTE).timestamp() * 1000
    if len(ticks) > MAX_CANDLES_PER_CALL and ticks.min() != first:
        raise _malformed(window, "the window came truncated")
    if not ticks.is_between(first, last).all():
        raise _malformed(window, "a tick is outside the window")
    types = RAW_CANDLES.polars_schema
    cells = [pl.Series(name, arrays[name], dtype=types[name]) for name in _CELLS]
    # A sum is finite only of finite cells, and quicker to look at.
    if not all(math.isfinite(cell.sum()) or cell.is_finite().all() for cell in cells):
        raise _malformed(window, "a cell is not finite")
    stamps = (ticks * 1000).cast(pl.Int64).cast(types["ts"]).alias("ts")
    return pl.DataFrame([stamps, *cells])


def _is_ascending(times: pl.Series) -> bool:
    """Whether each is later than the one before."""
    return times.is_sorted() and times.n_unique() == len(times)


def _clock(microseconds: object) -> datetime | None:
    if isinstance(microseconds, bool) or not isinstance(microseconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(microseconds / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _error(error: dict[str, Any], status: int, wait_s: float | None) -> ExchangeError:
    code, message = error.get("code"), str(error.get("message"))[:80]
    code = code if isinstance(code, int) else None
    data = error.get("data")
    reason = f": {str(data.get('reason'))[:80]}" if isinstance(data, dict) else ""
    told = f"{message}{reason} (code {code}, HTTP {status})"
    if code in _CLOSED_DOOR_CODES:
        return ClosedDoorError(
            f"The exchange has switched this access off: {told}. "
            "Stored data is safe; try again later."
        )
    if code in _THROTTLED_CODES or status == _TOO_MANY_REQUESTS:
        return ThrottledError(f"The exchange was called too often: {told}.", wait_s)
    if code in _TRANSIENT_CODES or status >= _SERVER_ERRORS:
        return TransientError(f"The exchange could not answer: {told}", wait_s)
    return RejectedError(f"The exchange refuses the call: {told}")


def _unreadable(status: int, wait_s: float | None) -> ExchangeError:
    kind = ThrottledError if status == _TOO_MANY_REQUESTS else TransientError
    return kind(f"The exchange answered HTTP {status} without a usable body.", wait_s)


def _malformed(window: Span, what: str) -> TransientError:
    asked = f"{window.start:%Y-%m-%dT%H:%MZ} to {window.end:%Y-%m-%dT%H:%MZ}"
    return TransientError(f"The reply for {asked} is refused: {what}.")
