"""Faults by probability: the fault of a call, drawn by a seed."""

from collections.abc import Mapping

from basislake.simulator.calls import CHART_METHOD, Call, Question
from basislake.simulator.changes import drop_minutes
from basislake.simulator.fault_forms import AnyFault, Changed
from basislake.simulator.market import MINUTE_MS
from basislake.simulator.named_faults import KINDS, LOST_MINUTE
from basislake.simulator.noise import draw

_DAY_MS = 1440 * MINUTE_MS
# An answer has at most 5,001 candles, so at most those of 5 days.
_MOST_DAYS = 5
_ROUNDING = 1e-9


class Rates:
    """Probabilities of named faults, and the seed of the draws.

    Attributes:
        probabilities: by kind; per call, but per instrument and day for lost minutes.
        seed: of the draws.
    """

    def __init__(self, probabilities: Mapping[str, float], seed: int = 0) -> None:
        """Check them.

        Args:
            probabilities: by kind, each in [0, 1], together at most 1.
            seed: of the draws.

        Raises:
            ValueError: a kind is unknown, or a probability or their sum is out of range.
        """
        unknown = sorted(set(probabilities) - set(KINDS))
        if unknown:
            raise ValueError(f"There is no fault {unknown[0]!r}; there are {', '.join(KINDS)}")
        for name, probability in probabilities.items():
            if not 0 <= probability <= 1:
                raise ValueError(f"The probability of {name} is {probability:g}, not in [0, 1]")
        # In the registry's order, so that the order of the options does not matter.
        self.probabilities = {name: probabilities[name] for name in KINDS if name in probabilities}
        self.seed = seed
        self._lost = self.probabilities.get(LOST_MINUTE, 0.0)
        if sum(self.probabilities.values()) - self._lost > 1 + _ROUNDING:
            raise ValueError("The sum of the probabilities is above 1, but a call has one fault")

    def fault(self, question: Question, asked_before: int) -> AnyFault | None:
        """Return the fault of a call, or None.

        Args:
            question: the call.
            asked_before: how often the same call came before; each repeat gets a new draw.
        """
        words = (self.seed, *question.identity, asked_before)
        left = draw("fault", *words)
        for name, probability in self.probabilities.items():
            kind = KINDS[name]
            if kind.make is None:
                continue
            if left < probability:
                if kind.of_candles and question.method != CHART_METHOD:
                    return None
                return kind.make(question.call(), draw("where", *words))
            left -= probability
        return None

    def lost_minutes(self, call: Call, now_ms: int) -> Changed | None:
        """Return the change that removes lost minutes from a candle call's answer.

        Args:
            call: any call.
            now_ms: the exchange's clock, UTC milliseconds; nothing later is answered.
        """
        is_asked = call.method == CHART_METHOD and self._lost
        if not is_asked or call.start_ms is None or call.end_ms is None:
            return None
        last = min(call.end_ms, now_ms) // _DAY_MS
        first = max(call.start_ms // _DAY_MS, last - _MOST_DAYS)
        days = range(first, last + 1)
        lost = [
            self._lost_minute_ms(call.instrument, day) for day in days if self._loses(call, day)
        ]
        return Changed(drop_minutes(*lost), LOST_MINUTE) if lost else None

    def _loses(self, call: Call, day: int) -> bool:
        return draw("loses", self.seed, call.instrument, day) < self._lost

    def _lost_minute_ms(self, instrument: str | None, day: int) -> int:
        minute = int(1440 * draw("lost", self.seed, instrument, day))
        return day * _DAY_MS + minute * MINUTE_MS
