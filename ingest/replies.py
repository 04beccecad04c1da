"""Replies of the exchange, checked before they are believed; pure: bytes in, frames out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl

from ingest.windows import MAX_CANDLES_PER_CALL
from lake.errors import ClosedDoorError, ExchangeError, RejectedError, TransientError
from lake.spans import MINUTE, Span
from lake.tables import RAW_CANDLES

# Error codes by what the caller can do, from Deribit's table of RPC errors.
_TRANSIENT_CODES = frozenset({10028, 10066, 10040, 10041, 10047, 11051, 11094, 13028, 13503, 13888})
_CLOSED_DOOR_CODES = frozenset({11056, 13025})
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500

# A candle is believed final this long after it closed, by the exchange's clock: the last one is
# still forming, and the exchange takes a moment to settle it.
CLOSING_LAG = timedelta(seconds=5)

_LAST_YEAR = 2100

_CELLS = ("open", "high", "low", "close", "volume", "cost")
_NUMBERS = frozenset({int, float, type(None)})


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


def read_answer(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Take a reply apart; errors are told by the code in the body before the HTTP status.

    Raises:
        TransientError: throttled, server error, maintenance, or a body that is not JSON-RPC.
        RejectedError: the exchange refuses this call for good.
        ClosedDoorError: the exchange refuses all calls.
    """
    wait_s = retry_after_s(headers)
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise _unreadable(status, wait_s) from exc
    if not isinstance(reply, dict):
        raise _unreadable(status, wait_s)
    if isinstance(reply.get("error"), dict):
        raise _error(reply["error"], status, wait_s)
    if "result" not in reply or status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
        raise _unreadable(status, wait_s)
    return Answer(reply["result"], _clock(reply.get("usOut")))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the reply asks to wait, None where it says nothing usable."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def read_page(answer: Answer, window: Span) -> Page:
    """Check a result of `get_tradingview_chart_data` and turn it into a frame.

    Args:
        answer: to the call for this window.
        window: whole minutes, half-open.

    Raises:
        TransientError: the reply has not the structure of an answer to this window; nothing of it
            is used.
    """
    arrays = _arrays(answer.result)
    frame = _frame(arrays, window)
    rows = frame.height
    frame = frame.unique(maintain_order=True)
    if frame["ts"].n_unique() < frame.height:
        raise _malformed(window, "one minute comes twice with different values")
    asked = _closed_part(window, answer.at)
    if not asked.minutes:
        raise _malformed(window, "its clock says that the window is still to come")
    return Page(frame.filter(pl.col("ts") < asked.end), rows - frame.height, asked)


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
    arrays = {name: result.get(name) for name in ("ticks", *_CELLS)}
    for name, array in arrays.items():
        if not isinstance(array, list):
            raise TransientError(f"The exchange's reply holds no array {name!r}.")
        if not set(map(type, array)) <= _NUMBERS:
            raise TransientError(f"The exchange's array {name!r} holds a cell that is no number.")
    lengths = {len(array) for array in arrays.values() if array is not None}
    if len(lengths) != 1:
        raise TransientError("The exchange's seven candle arrays are not of one length.")
    status = result.get("status")
    if status not in ("ok", "no_data") or (status == "no_data" and lengths != {0}):
        raise TransientError(f"The exchange's reply has the status {str(status)[:20]!r}.")
    return {name: array for name, array in arrays.items() if array is not None}


def _frame(arrays: dict[str, list[Any]], window: Span) -> pl.DataFrame:
    columns = {name: pl.Series(arrays[name], dtype=pl.Float64) for name in ("ticks", *_CELLS)}
    frame = pl.DataFrame(columns)
    ticks = frame["ticks"]
    if ticks.null_count() or not (ticks % (MINUTE.total_seconds() * 1000) == 0).all():
        raise _malformed(window, "a tick is not on the minute")
    first, last = window.start.timestamp() * 1000, (window.end - MINUTE).timestamp() * 1000
    if len(ticks) > MAX_CANDLES_PER_CALL and ticks.min() != first:
        raise _malformed(window, "the window came truncated")
    if not ticks.is_between(first, last).all():
        raise _malformed(window, "a tick is outside the window")
    if not all(frame[name].is_finite().all() for name in _CELLS):
        raise _malformed(window, "a cell is not finite")
    stamp = pl.from_epoch(pl.col("ticks").cast(pl.Int64), time_unit="ms")
    stamp = stamp.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("ts")
    types = RAW_CANDLES.polars_schema
    return frame.select(stamp, *(pl.col(name).cast(types[name]) for name in _CELLS)).sort("ts")


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
    if code in _TRANSIENT_CODES or status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
        return TransientError(f"The exchange could not answer: {told}", wait_s)
    return RejectedError(f"The exchange refuses the call: {told}")


def _unreadable(status: int, wait_s: float | None) -> ExchangeError:
    return TransientError(f"The exchange answered HTTP {status} without a usable body.", wait_s)


def _malformed(window: Span, what: str) -> TransientError:
    asked = f"{window.start:%Y-%m-%dT%H:%MZ} to {window.end:%Y-%m-%dT%H:%MZ}"
    return TransientError(f"The reply for {asked} is refused: {what}.")
