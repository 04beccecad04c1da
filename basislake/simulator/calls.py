"""Calls of methods, parsed from the target of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

Host: TypeAlias = Literal["www", "history"]

CHART_METHOD = "get_tradingview_chart_data"
HISTORY_PREFIX = "/history"
METHODS_PATH = "/api/v2/public/"


class Call(NamedTuple):
    """A received call; times as requested, UTC ms, None if absent or unreadable."""

    method: str
    instrument: str | None
    start_ms: int | None
    end_ms: int | None

    def holds(self, minute_ms: int) -> bool:
        """Whether the requested window, both ends included, contains the candle of a minute.

        Args:
            minute_ms: the candle's opening, UTC milliseconds.
        """
        if self.start_ms is None or self.end_ms is None:
            return False
        return self.start_ms < minute_ms + 60_000 and minute_ms <= self.end_ms


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a method, with all its parameters.

    Attributes:
        method: its name, without `public/`.
        host: which host was asked.
        params: as in the query, not decoded further.
    """

    method: str
    host: Host
    params: Mapping[str, str]

    @property
    def identity(self) -> tuple[str, ...]:
        """Key that equal calls to the same host share."""
        return (self.method, self.host, *(f"{k}={v}" for k, v in sorted(self.params.items())))

    def call(self) -> Call:
        """Return the part that is recorded."""
        start, end = (self.params.get(f"{side}_timestamp", "") for side in ("start", "end"))
        return Call(self.method, self.params.get("instrument_name"), _whole(start), _whole(end))


def read_question(target: str) -> Question | None:
    """Return the call in a request's target; None if it is not of a public method."""
    path, _, query = target.partition("?")
    is_history = path.startswith(HISTORY_PREFIX + "/")
    host: Host = "history" if is_history else "www"
    path = path.removeprefix(HISTORY_PREFIX) if is_history else path
    if not path.startswith(METHODS_PATH):
        return None
    return Question(path.removeprefix(METHODS_PATH), host, dict(parse_qsl(query)))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None
