"""Makes the calls that test the assumptions about the exchange, and records the replies."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from ingest.assumptions.calls import FIRST, LISTS, OTHERS, Probe, subjects
from ingest.assumptions.evidence import UNREADABLE, Candidate, Evidence, Seen
from ingest.deribit.client import Exchange
from ingest.deribit.replies import HttpReply, read_answer, retry_after_s
from lake.errors import (
    ExchangeError,
    RejectedError,
    StoppedError,
    ThrottledError,
    TransientError,
    UnreachableError,
)

# The user waits for the answer; a call that fails for longer is inconclusive.
_MOST_RETRIES = 2
# Failed calls to a host, after which it is not called any more.
_MOST_UNANSWERED = 2
_CLOCK = Probe("clock", "get_time", lambda _known, _now_ms: {})


def ask_all(exchange: Exchange) -> Evidence:
    """Make all calls."""
    asking = _Asking(exchange)
    sent_s = time.time()
    asking.ask(_CLOCK)
    received_s = time.time()
    asking.saw_clock(round((sent_s + received_s) / 2 * 1000))
    for call in LISTS:
        asking.ask(call)
    asking.choose(
        Candidate(name, **facts)
        for seen in asking.known.calls.values()
        if isinstance(seen.result, dict) and UNREADABLE not in seen.result
        for name, facts in seen.result["instruments"].items()
    )
    for call in (*FIRST, *OTHERS) if asking.known.now_ms else ():
        asking.ask(call)
    return asking.known


def ask_first(exchange: Exchange, instruments: Iterable[Candidate], now_ms: int) -> Evidence:
    """Make the few calls that test assumptions whose failure would lose data unnoticed, at a time
    of the exchange's clock, for some of the instruments on its lists.
    """
    asking = _Asking(exchange)
    asking.known = replace(asking.known, now_ms=now_ms)
    asking.choose(instruments)
    for call in FIRST:
        asking.ask(call)
    return asking.known


class _Asking:
    """Makes calls one after the other.

    Attributes:
        known: the evidence so far.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.known = Evidence(exchange.name)
        self._exchange = exchange
        self._unanswered: Counter[str] = Counter()

    def saw_clock(self, here_ms: int) -> None:
        """Record the exchange's clock, and how far it is ahead of this machine's."""
        seen = self.known.calls["clock"]
        if isinstance(seen.result, int):
            self.known = replace(self.known, now_ms=seen.result, ahead_ms=seen.result - here_ms)

    def choose(self, instruments: Iterable[Candidate]) -> None:
        """Choose the instruments to call for."""
        # An instrument that has just expired may be on both lists.
        distinct = list({one.instrument: one for one in instruments}.values())
        if self.known.now_ms is not None and distinct:
            self.known = replace(self.known, subjects=subjects(distinct, self.known.now_ms))

    def ask(self, call: Probe) -> None:
        """Make a call, if it applies."""
        params = call.params(self.known, self.known.now_ms or 0)
        if params is None:
            return
        seen = self._made(call, Seen(call.host, call.method, params))
        self.known = replace(self.known, calls={**self.known.calls, call.name: seen})

    def _made(self, call: Probe, asked: Seen) -> Seen:
        if self._unanswered[call.host] >= _MOST_UNANSWERED:
            return replace(asked, failure=f"{call.host} was not called: earlier calls failed")
        try:
            return self._exchange.call(
                call.method,
                asked.params,
                lambda reply: self._seen(call, asked, reply),
                is_history=call.host == "history",
                most_retries=_MOST_RETRIES,
            )
        except StoppedError:
            raise
        except UnreachableError as exc:
            self._unanswered[call.host] = _MOST_UNANSWERED
            return replace(asked, failure=str(exc), is_unreachable=True)
        except ExchangeError as exc:
            self._unanswered[call.host] += isinstance(exc, TransientError)
            return replace(asked, failure=str(exc))

    def _seen(self, call: Probe, asked: Seen, reply: HttpReply) -> Seen:
        """Parse a reply; raises if a retry may help, or if all calls are refused."""
        try:
            answer = read_answer(reply)
        except RejectedError:
            return replace(asked, status=reply.status, error=_error(reply))
        except ThrottledError:
            refusal = {
                "status": reply.status,
                "code": _error(reply).get("code"),
                "retry_after": retry_after_s(reply.headers),
            }
            self.known = replace(self.known, refusals=(*self.known.refusals, refusal))
            raise
        at_ms = None if answer.at is None else round(answer.at.timestamp() * 1000)
        kept = call.keep(answer.result)
        return replace(asked, status=reply.status, at_ms=at_ms, result=kept)


def _error(reply: HttpReply) -> dict[str, Any]:
    """The exchange's error in a reply, if there is one."""
    try:
        message = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    error = message.get("error") if isinstance(message, dict) else None
    return error if isinstance(error, dict) else {}
