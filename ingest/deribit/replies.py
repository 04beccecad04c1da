"""Parses and checks replies of the exchange: bytes in, frames out; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import orjson
import polars as pl

from ingest.deribit.candle_arrays import CELLS, Columns, at_once, one_by_one
from lake.errors import (
    ClosedDoorError,
    ExchangeError,
    RejectedError,
    ThrottledError,
    TransientError,
)
from lake.tables import RAW_CANDLES
from lake.time.intervals import MINUTE, Span
from lake.time.steps import MINUTES

CHART = "get_tradingview_chart_data"

# Error codes by the reaction to them, from Deribit's table of RPC errors.
_THROTTLED_CODES = frozenset({10028, 10066})
_TRANSIENT_CODES = frozenset({10040, 10041, 10047, 11051, 11094, 13028, 13503, 13888})
_CLOSED_DOOR_CODES = frozenset({11056, 13025})
_TOO_MANY_REQUESTS = 429
_CALLERS_ERRORS, _SERVER_ERRORS = 400, 500
# Client errors that a retry may cure: request timeout, too early, too many requests.
_PASSING = frozenset({408, 425, _TOO_MANY_REQUESTS})
_SHOWN_CHARACTERS = 40

# Time after its close until a candle counts as final, by the exchange's clock: before that it may
# still change.
CLOSING_LAG = timedelta(seconds=5)

_LAST_YEAR = 2100

_OK = 200


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An HTTP reply.

    Attributes:
        status: of HTTP.
        body: its bytes.
        headers: by name.
        sender: the host, for messages.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    sender: str = "The exchange"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful reply.

    Attributes:
        result: the method's own result, unchecked.
        at: the exchange's clock when it answered, None if the reply has none.
    """

    result: Any
    at: datetime | None


@dataclass(frozen=True)
class Page:
    """The closed rows of one window.

    Attributes:
        frame: one row a minute, hour or other step, sorted, cells may be null; of candles: ts,
            open, high, low, close, volume, cost.
        duplicates: repeats of a row with the same values, dropped from the frame.
        asked: the closed part of the window; later steps are still to be fetched.
        covered: the steps that rows of the frame cover, None for candles.
    """

    frame: pl.DataFrame
    duplicates: int
    asked: Span
    covered: tuple[Span, ...] | None = None

    @cached_property
    def present(self) -> list[Span]:
        """The steps that rows of the frame cover, as maximal spans."""
        return MINUTES.spans(self.frame["ts"]) if self.covered is None else list(self.covered)


def read_answer(reply: HttpReply) -> Answer:
    """Parse a reply; the code in the body classifies an error before the HTTP status does.

    Raises:
        ThrottledError: called too often.
        TransientError: server error, maintenance, or a body that is not JSON-RPC.
        RejectedError: the exchange refuses this call for good.
        ClosedDoorError: the exchange, or a server in its place, refuses all calls.
    """
    wait_s, status = retry_after_s(reply.headers), reply.status
    try:
        message = orjson.loads(reply.body)
    except orjson.JSONDecodeError as exc:
        raise _unreadable(reply, wait_s) from exc
    if not isinstance(message, dict):
        raise _unreadable(reply, wait_s)
    if isinstance(message.get("error"), dict):
        raise _error(message["error"], status, wait_s)
    if "result" not in message or status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
        raise _unreadable(reply, wait_s)
    return Answer(message["result"], _clock(message.get("usOut")))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the reply asks to wait, None if it has no usable value."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def read_candles(reply: HttpReply, window: Span) -> Page:
    """Check a reply to `get_tradingview_chart_data` and turn it into a frame.

    Args:
        reply: to the call for this window.
        window: whole minutes, half-open.

    Raises:
        TransientError: the reply is not an answer to this window; none of it is used.
        ExchangeError: the reply is an error.
    """
    columns, at = _columns(reply)
    frame = _frame(columns, window)
    rows = frame.height
    if not _is_ascending(frame["ts"]):
        frame = frame.unique().sort("ts")
        if frame["ts"].n_unique() < frame.height:
            raise _malformed(window, "one minute appears twice with different values")
    repeats = rows - frame.height
    asked = _closed_part(window, at)
    if not asked.minutes:
        raise _malformed(window, "the exchange's clock is earlier than the window")
    if asked != window:
        frame = frame.filter(pl.col("ts") < asked.end)
    return Page(frame, repeats, asked)


def read_time(answer: Answer) -> datetime:
    """Check a result of `get_time` (milliseconds since 1970) and return it in UTC.

    Raises:
        TransientError: the result is not a time.
    """
    value = answer.result
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TransientError("The exchange's clock cannot be read: get_time returned no number.")
    time = _clock(value * 1000)
    if time is None or time.year > _LAST_YEAR:
        raise TransientError("The exchange's clock cannot be read: get_time is out of range.")
    return time


def closed_until(now: datetime) -> datetime:
    """The end of the last candle that is final at this time of the exchange's clock."""
    return (now - CLOSING_LAG).replace(second=0, microsecond=0)


def _closed_part(window: Span, at: datetime | None) -> Span:
    if at is None:
        return window
    return Span(window.start, max(window.start, min(window.end, closed_until(at))))


def _columns(reply: HttpReply) -> tuple[Columns, datetime | None]:
    """The arrays, and the exchange's clock if the reply has it."""
    plain = at_once(reply.body) if reply.status == _OK else None
    if plain is not None:
        return plain.columns, _clock(plain.us_out)
    answer = read_answer(reply)
    return one_by_one(answer.result), answer.at


def _frame(columns: Columns, window: Span) -> pl.DataFrame:
    """The candles as received, each in the window; built without a query, which is slower."""
    ticks = columns["ticks"]
    if ticks.null_count() or not (ticks % (MINUTE.total_seconds() * 1000) == 0).all():
        raise _malformed(window, "a tick is not at a full minute")
    first, last = window.start.timestamp() * 1000, (window.end - MINUTE).timestamp() * 1000
    if len(ticks) > MINUTES.longest and ticks.min() != first:
        raise _malformed(window, "the window was truncated")
    if not ticks.is_between(first, last).all():
        raise _malformed(window, "a tick is outside the window")
    stamps = (ticks * 1000).cast(pl.Int64).cast(RAW_CANDLES.polars_schema["ts"]).alias("ts")
    return pl.DataFrame([stamps, *(columns[name] for name in CELLS)])


def _is_ascending(times: pl.Series) -> bool:
    """Whether each time is later than the previous one."""
    return times.is_sorted() and times.set_sorted().n_unique() == len(times)


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
    detail = f"{message}{reason} (code {code}, HTTP {status})"
    if code in _CLOSED_DOOR_CODES:
        return ClosedDoorError(
            f"The exchange has switched this access off: {detail}. "
            "Stored data is safe. Try again later."
        )
    if code in _THROTTLED_CODES or status == _TOO_MANY_REQUESTS:
        return ThrottledError(f"The exchange was called too often: {detail}.", wait_s)
    if code in _TRANSIENT_CODES or status >= _SERVER_ERRORS:
        return TransientError(f"The exchange could not answer: {detail}", wait_s)
    return RejectedError(f"The exchange refuses the call: {detail}")


def _unreadable(reply: HttpReply, wait_s: float | None) -> ExchangeError:
    """The error of a reply without a usable body: a client error is final, unless its status is
    temporary.
    """
    status = reply.status
    if _CALLERS_ERRORS <= status < _SERVER_ERRORS and status not in _PASSING:
        kind = reply.headers.get("Content-Type", "").partition(";")[0]
        body = f" with a page of {kind[:_SHOWN_CHARACTERS]!r}" if kind else ""
        return ClosedDoorError(
            f"{reply.sender} refuses the call: HTTP {status}{body}, where the exchange's API would "
            "answer in JSON. Stored data is safe. Check that the address is right, and that this "
            "network may call the exchange."
        )
    error = ThrottledError if status == _TOO_MANY_REQUESTS else TransientError
    return error(f"{reply.sender} answered HTTP {status} without a usable body.", wait_s)


def _malformed(window: Span, what: str) -> TransientError:
    asked = f"{window.start:%Y-%m-%dT%H:%MZ} to {window.end:%Y-%m-%dT%H:%MZ}"
    return TransientError(f"basislake refuses the reply for {asked}: {what}.")
