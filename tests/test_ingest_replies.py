import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.deribit.replies import (
    HttpReply,
    Page,
    closed_until,
    read_answer,
    read_candles,
    read_time,
    retry_after_s,
)
from lake.errors import (
    ClosedDoorError,
    ExchangeError,
    RejectedError,
    ThrottledError,
    TransientError,
)
from lake.time.intervals import Span
from tests.market import RECORDINGS, needs_recordings
from tests.strategies import CELLS, T0, json_values, minute, span

WINDOW = span(0, 20)
MINUTE_MS = 60_000
LATER = minute(100_000)
T0_MS = int(T0.timestamp()) * 1000

Result = dict[str, Any]


def result(count: int = 3, start: int = 0) -> Result:
    ticks = [T0_MS + (start + i) * MINUTE_MS for i in range(count)]
    return {"status": "ok", "ticks": ticks, **{c: [100.5 + i for i in range(count)] for c in CELLS}}


def body(of: object, at: datetime = LATER) -> bytes:
    us = int(at.timestamp() * 1e6)
    return orjson.dumps({"jsonrpc": "2.0", "result": of, "usIn": us - 9, "usOut": us})


def ok(text: bytes) -> HttpReply:
    return HttpReply(200, text, {})


def page(of: object, window: Span = WINDOW, at: datetime = LATER) -> Page:
    return read_candles(ok(body(of, at)), window)


# What real JSON has: whole numbers and others side by side, and nulls.
cells = st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.data())
def test_a_good_reply_is_read_exactly_whatever_the_mix_of_numbers(data: st.DataObject) -> None:
    numbers = sorted(data.draw(st.sets(st.integers(0, 19))))
    sent: Result = {"status": "ok" if numbers else "no_data"}
    sent["ticks"] = [T0_MS + n * MINUTE_MS for n in numbers]
    row = st.lists(cells, min_size=len(numbers), max_size=len(numbers))
    sent |= {name: data.draw(row) for name in CELLS}
    read = page(sent)
    assert read.frame["ts"].to_list() == [minute(n) for n in numbers]
    for name in CELLS:
        assert read.frame[name].to_list() == sent[name]
        assert read.frame[name].dtype == pl.Float64
    assert (read.duplicates, read.asked) == (0, WINDOW)


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_order_and_repeats_do_not_matter_and_repeats_are_counted(
    order: list[int], repeats: list[int]
) -> None:
    sent = result(6)
    sent["cost"][2] = None
    places = [*order, *repeats]
    mixed = {k: v if k == "status" else [v[i] for i in places] for k, v in sent.items()}
    read = page(mixed)
    assert read.frame.equals(page(sent).frame)
    assert read.duplicates == len(repeats)


def put(name: str, place: int, value: object) -> Callable[[Result], object]:
    def change(of: Result) -> object:
        of[name][place] = value
        return of

    return change


def with_repeat(of: Result) -> object:
    return {k: v if k == "status" else [*v, v[0] + (k == "cost")] for k, v in of.items()}


MALFORMED: dict[str, Callable[[Result], object]] = {
    "an array is shorter": lambda of: of | {"close": of["close"][:-1]},
    "an array is longer": lambda of: of | {"ticks": [*of["ticks"], T0_MS + 9 * MINUTE_MS]},
    "an array is absent": lambda of: {k: v for k, v in of.items() if k != "cost"},
    "an array is null": lambda of: of | {"open": None},
    "an array is a text": lambda of: of | {"open": "abc"},
    "a tick is null": put("ticks", 1, None),
    "a tick is a text": put("ticks", 1, str(T0_MS)),
    "a tick is off the minute": put("ticks", 1, T0_MS + 61_000),
    "a tick is a millisecond off": put("ticks", 1, T0_MS + 60_001),
    "a tick is a fraction off": put("ticks", 1, T0_MS + 60_000.5),
    "a tick is before the window": put("ticks", 0, T0_MS - MINUTE_MS),
    "a tick is the end of the window": put("ticks", 2, T0_MS + 20 * MINUTE_MS),
    "a tick is far away": put("ticks", 2, 6e301),
    "a cell is a text": put("open", 0, "1.5"),
    "a cell is true": put("volume", 2, True),  # noqa: FBT003  (the value in question)
    "a cell is a list": put("volume", 2, [1.0]),
    "a minute comes twice with other values": with_repeat,
    "no_data comes with data": lambda of: of | {"status": "no_data"},
    "the status is absent": lambda of: {k: v for k, v in of.items() if k != "status"},
    "the status is unknown": lambda of: of | {"status": "error"},
    "the result is null": lambda _: None,
    "the result is a list": lambda of: [of],
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_reply_of_the_wrong_structure_is_refused(what: str) -> None:
    page(result())
    with pytest.raises(TransientError):
        page(MALFORMED[what](result()))


@given(st.sampled_from([*result()]), json_values.filter(lambda v: not isinstance(v, list)))
def test_a_reply_with_anything_in_place_of_an_array_is_refused(name: str, anything: object) -> None:
    # Numbers that orjson would not write are as good as any other here.
    text = json.dumps({"result": result() | {name: anything}}).encode()
    with pytest.raises(TransientError):
        read_candles(ok(text), WINDOW)


@given(st.data())
def test_a_changed_cell_is_read_or_refused_and_never_another_value(data: st.DataObject) -> None:
    sent = result()
    name, place = data.draw(st.sampled_from(["ticks", *CELLS])), data.draw(st.integers(0, 2))
    sent[name][place] = data.draw(st.none() | st.booleans() | st.text() | st.integers(0, 2**64 - 1))
    try:
        read = page(sent)
    except TransientError:
        return
    cell = sent[name][place]
    assert not isinstance(cell, str | bool)
    if name != "ticks":
        assert read.frame[name][place] == (None if cell is None else float(cell))


def test_a_truncated_window_is_refused() -> None:
    window = span(0, 5_000)
    assert page(result(5_000), window).frame.height == 5_000
    with pytest.raises(TransientError):
        page(result(5_001, start=1), window)
    with pytest.raises(TransientError, match="truncated"):
        page(result(5_001, start=-1), window)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        body(result()).replace(b"100.5", b"NaN"),
        body(result()).replace(b"100.5", b"Infinity"),
        body(result()).replace(b"100.5", b"-1e999"),
        body(result())[:-30],
        b"\xff\xfe" + body(result()),
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"jsonrpc": "2.0"}',
        b'{"error": "no object"}',
    ],
)
def test_a_body_that_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(TransientError):
        read_candles(ok(text), WINDOW)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_good_body_with_a_bad_http_status_is_not_believed(status: int) -> None:
    with pytest.raises(TransientError) as caught:
        read_answer(HttpReply(status, body(result()), {}))
    assert isinstance(caught.value, ThrottledError) == (status == 429)


def test_only_minutes_that_the_exchanges_clock_calls_closed_are_kept() -> None:
    at = minute(3) + timedelta(seconds=4.9)  # minute 2 has closed, and may still be settled
    read = page(result(4), at=at)
    assert read.frame["ts"].to_list() == [minute(0), minute(1)]
    assert read.asked == span(0, 2)
    assert page(result(4), at=minute(3) + timedelta(seconds=5)).asked == span(0, 3)
    with pytest.raises(TransientError, match="clock is earlier"):
        page(result(4), at=minute(-9))
    assert closed_until(minute(3) + timedelta(seconds=5)) == minute(3)


@pytest.mark.parametrize("clock", [None, "soon", True, 1e300])
def test_a_reply_that_does_not_tell_the_time_is_read_whole(clock: object) -> None:
    text = orjson.dumps({"result": result(), "usOut": clock})
    assert read_candles(ok(text), WINDOW).asked == WINDOW


THROTTLED = [10028, 10066]
TRANSIENT = [10040, 10041, 10047, 11051, 11094, 13028, 13503, 13888]
CLOSED_DOOR = [11056, 13025]


def error(code: object) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": "m", "data": {"reason": "r"}}})


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, ThrottledError) for code in THROTTLED),
        *((code, TransientError) for code in TRANSIENT),
        *((code, ClosedDoorError) for code in CLOSED_DOOR),
    ],
)
def test_a_known_error_code_counts_whatever_the_http_status(
    status: int, code: int, kind: type[ExchangeError]
) -> None:
    with pytest.raises(ExchangeError, match=rf"m: r \(code {code}, HTTP {status}\)") as caught:
        read_answer(HttpReply(status, error(code), {}))
    assert type(caught.value) is kind


@pytest.mark.parametrize("text", [b"", b"<html>", error(13888), error(-32602), error("odd")])
def test_http_429_means_called_too_often_whatever_the_body(text: bytes) -> None:
    with pytest.raises(ThrottledError) as caught:
        read_answer(HttpReply(429, text, {"Retry-After": "7"}))
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize("code", THROTTLED)
def test_who_called_too_often_is_told_how_long_to_wait(code: int) -> None:
    with pytest.raises(ThrottledError) as caught:
        read_candles(HttpReply(200, error(code), {"Retry-After": "2.5"}), WINDOW)
    assert caught.value.retry_after_s == 2.5


@pytest.mark.parametrize("code", [-32602, -32601, -32600, 13020, 13004, 10030])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, RejectedError), (200, RejectedError), (503, TransientError)],
)
def test_a_callers_error_is_final_unless_the_server_itself_fails(
    code: int, status: int, kind: type[ExchangeError]
) -> None:
    text = orjson.dumps({"error": {"code": code, "message": "Invalid params"}})
    with pytest.raises(kind):
        read_answer(HttpReply(status, text, {}))


@given(json_values, st.sampled_from([200, 302, 400, 403, 429, 500]))
def test_any_error_object_is_one_of_ours(error: object, status: int) -> None:
    for reply in ({"error": error}, {"error": {"code": error, "message": error, "data": error}}):
        with pytest.raises(ExchangeError):
            read_answer(HttpReply(status, json.dumps(reply).encode(), {}))


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_a_usable_wait_is_taken_from_the_reply(said: str, wait_s: float | None) -> None:
    assert retry_after_s({"Retry-After": said}) == wait_s
    with pytest.raises(TransientError) as caught:
        read_answer(HttpReply(503, b"", {"Retry-After": said}))
    assert caught.value.retry_after_s == wait_s


def test_the_clock_is_read_in_milliseconds_and_nonsense_refused() -> None:
    text = orjson.dumps({"result": T0_MS})
    assert read_time(read_answer(ok(text))) == T0
    nonsense: list[object] = [None, "1", True, [], 10**18, -(10**18), 1e300]
    for wrong in nonsense:
        with pytest.raises(TransientError):
            read_time(read_answer(ok(orjson.dumps({"result": wrong}))))


@needs_recordings
def test_the_recorded_reply_is_read_cell_by_cell() -> None:
    start = datetime(2025, 12, 23, 9, 51, tzinfo=UTC)
    name = "get_tradingview_chart_data_BTC-PERPETUAL_2025-12-23.json"
    reply = ok((RECORDINGS / name).read_bytes())
    answer = read_answer(reply)
    assert answer.at is not None
    assert answer.at.replace(microsecond=0) == datetime(2025, 12, 23, 10, 51, 26, tzinfo=UTC)
    read = read_candles(reply, Span(start, start + timedelta(minutes=5)))
    assert read.frame.height == 5
    first = (start, 87451.0, 87456.5, 87451.0, 87456.5, 2.94375216, 257490.0)
    assert read.frame.row(0) == first
    assert read.frame["cost"].to_list() == [257490.0, 250000.0, 20200.0, 8370.0, 8910.0]
