"""Control over HTTP: a rehearsal in another process reads the counters, and sets the clock and the
probabilities of faults.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import orjson

from basislake.simulator.clock import Clock
from basislake.simulator.contracts import milliseconds
from basislake.simulator.counters import Tally
from basislake.simulator.fault_forms import JSON
from basislake.simulator.faults import FaultScript
from basislake.simulator.wire import Reply, Request

CONTROL_PREFIX = "/control/"

_SEED = "seed"


@dataclass(frozen=True, slots=True)
class Control:
    """State that can be read and set over HTTP.

    Attributes:
        tally: the counters, at `counters`.
        clock: the exchange's time, at `clock`.
        faults: the faults, at `faults`.
    """

    tally: Tally
    clock: Clock
    faults: FaultScript

    def answer(self, request: Request) -> Reply:
        """Answer a request below `/control/`. GET reads; POST sets, and returns the new state."""
        path, _, query = request.target.partition("?")
        setters = {"counters": self._forget, "clock": self._set_clock, "faults": self._set_faults}
        readers = {"counters": self._counters, "clock": self._time, "faults": self._rates}
        thing = path.removeprefix(CONTROL_PREFIX)
        if thing not in readers:
            return _reply(404, {"error": f"there is no {thing!r}; there are {', '.join(readers)}"})
        if request.verb not in ("GET", "POST"):
            return _reply(405, {"error": f"{request.verb} is neither GET nor POST"})
        if request.verb == "POST":
            try:
                setters[thing](dict(parse_qsl(query, keep_blank_values=True)))
            except ValueError as error:
                return _reply(400, {"error": str(error)})
        return _reply(200, readers[thing]())

    def _counters(self) -> object:
        return asdict(self.tally.counters)

    def _forget(self, query: dict[str, str]) -> None:
        _refuse_others(query)
        self.tally.forget()

    def _time(self) -> object:
        now_ms = self.clock()
        time = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return {"now_ms": now_ms, "now": time, "speed": self.clock.speed}

    def _set_clock(self, query: dict[str, str]) -> None:
        now, seconds, speed = (query.pop(name, None) for name in ("now", "advance_s", "speed"))
        _refuse_others(query)
        self.clock.steer(
            now_ms=None if now is None else _time_ms(now),
            advance_s=0.0 if seconds is None else float(seconds),
            speed=None if speed is None else float(speed),
        )

    def _rates(self) -> object:
        rates = self.faults.rates
        return {"rates": rates.probabilities, _SEED: rates.seed}

    def _set_faults(self, query: dict[str, str]) -> None:
        if not query:
            self.faults.clear()
            return
        seed = int(query.pop(_SEED, "0"))
        self.faults.set_rates({name: float(number) for name, number in query.items()}, seed)


def _time_ms(text: str) -> int:
    """A time as UTC milliseconds, parsed from milliseconds or from ISO 8601 with a zone."""
    if text.isascii() and text.isdecimal():
        return int(text)
    # In a query, a plus sign is a space.
    return milliseconds(datetime.fromisoformat(text.replace(" ", "+")))


def _refuse_others(query: dict[str, str]) -> None:
    if query:
        raise ValueError(f"there is no parameter {next(iter(query))!r}")


def _reply(status: int, content: object) -> Reply:
    return Reply(status, JSON, (orjson.dumps(content) + b"\n",))
