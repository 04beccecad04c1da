"""The evidence: replies to all calls as plain values, stored in a file and judged from it; pure.

`shortening.py` shortens long replies before: the stored values are the ones judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from ingest.assumptions.check import UnseenError
from ingest.deribit.replies import CHART

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

BARS = "bars"
UNREADABLE = "unreadable"


class Bar(NamedTuple):
    """A candle as received; `tick` is UTC milliseconds."""

    tick: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    cost: float


@dataclass(frozen=True, slots=True)
class Candles:
    """A reply of candles.

    Attributes:
        start_ms: of the requested range, UTC milliseconds.
        end_ms: of the requested range, UTC milliseconds.
        count: of the received candles.
        gaps: steps between neighbours that are not one minute.
        bars: the candles, of a long reply the first and the last ones.
        at_ms: the exchange's clock when it answered, None if the reply has none.
    """

    start_ms: int
    end_ms: int
    count: int
    gaps: int
    bars: tuple[Bar, ...]
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The outcome of a call.

    Attributes:
        host: `www` or `history`.
        method: of the call.
        params: of the call.
        status: of HTTP, None without a reply.
        at_ms: the exchange's clock when it answered.
        result: shortened if it was long.
        error: the exchange's own, with code, message and data.
        failure: why there is no usable answer, a sentence.
        is_unreachable: whether there was no connection at all.
    """

    host: str
    method: str
    params: Mapping[str, Any]
    status: int | None = None
    at_ms: int | None = None
    result: Any = None
    error: Mapping[str, Any] | None = None
    failure: str = ""
    is_unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instrument to call for.

    Attributes:
        instrument: its name.
        listed_ms: creation, UTC milliseconds.
        expires_ms: expiry, UTC milliseconds; None for a perpetual.
        price_index: see `ingest.deribit.instrument_records`.
    """

    instrument: str
    listed_ms: int
    expires_ms: int | None
    price_index: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The outcomes of all calls.

    Attributes:
        exchange: which exchange, see `ingest.deribit.hosts`.
        now_ms: the exchange's clock, None if unknown.
        ahead_ms: how far it was ahead of this machine's clock.
        subjects: the instruments that were called for, by their part.
        calls: outcomes, by the name of the call.
        refusals: replies of calls that the rate limit refused: status, code, retry_after.
    """

    exchange: str
    now_ms: int | None = None
    ahead_ms: int | None = None
    subjects: Mapping[str, Candidate] = field(default_factory=dict)
    calls: Mapping[str, Seen] = field(default_factory=dict)
    refusals: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Create it from the values that `as_json` returned.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, OverflowError: the values are
                malformed.
        """
        subjects = {name: Candidate(**one) for name, one in values["subjects"].items()}
        times = [values["now_ms"] or 0]
        times += [
            time for one in subjects.values() for time in (one.listed_ms, one.expires_ms or 0)
        ]
        for time_ms in times:
            moment(time_ms)  # raises unless it is a time
        return cls(
            exchange=str(values["exchange"]),
            now_ms=values["now_ms"],
            ahead_ms=values["ahead_ms"],
            subjects=subjects,
            calls={name: Seen(**one) for name, one in values["calls"].items()},
            refusals=tuple(dict(one) for one in values["refusals"]),
        )

    def seen(self, name: str) -> Seen:
        """Return the outcome of a call: a result or an error of the exchange.

        Raises:
            UnseenError: the call was not made, or got no usable answer.
        """
        seen = self.calls.get(name)
        if seen is None:
            raise UnseenError("the exchange lists no instrument that would show it")
        if seen.failure:
            raise UnseenError(seen.failure)
        return seen

    def result(self, name: str) -> Any:  # noqa: ANN401  (whatever JSON holds)
        """Return the result of a call.

        Raises:
            UnseenError: there is no result.
        """
        seen = self.seen(name)
        if seen.error is not None:
            raise UnseenError(f"the exchange refuses the call: {refusal(seen.error)}")
        return seen.result

    def candles(self, name: str) -> Candles:
        """Return the candles of a call.

        Raises:
            UnseenError: there are none, or the reply is not one of candles.
        """
        result, seen = self.result(name), self.calls[name]
        if UNREADABLE in result:
            raise UnseenError(f"the reply of candles cannot be read: {result[UNREADABLE]}")
        return Candles(
            seen.params["start_timestamp"],
            seen.params["end_timestamp"],
            result["count"],
            result["gaps"],
            tuple(Bar(*bar) for bar in result[BARS]),
            seen.at_ms,
        )

    def candle_calls(self) -> Iterator[Seen]:
        """Return the outcomes of the calls for candles that have a result."""
        for seen in self.calls.values():
            if seen.method == CHART and seen.result is not None:
                yield seen

    def subject(self, part: str) -> Candidate:
        """Return the instrument of a part.

        Raises:
            UnseenError: the exchange lists none.
        """
        if part not in self.subjects:
            raise UnseenError("the exchange lists no instrument that would show it")
        return self.subjects[part]


def refusal(error: Mapping[str, Any]) -> str:
    """Return an error of the exchange in words."""
    data = error.get("data")
    reason = f": {data.get('reason')}" if isinstance(data, dict) else ""
    return f"{str(error.get('message'))[:80]}{reason[:80]} (code {error.get('code')})"


def moment(time_ms: float) -> str:
    """Return a time for people, to the minute."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}Z"
