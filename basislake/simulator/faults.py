"""Script of faults: those that a test ordered one by one, and those drawn by probability."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from basislake.simulator.calls import Call, Question
from basislake.simulator.fault_forms import AnyFault, Changed
from basislake.simulator.fault_probabilities import Rates


@dataclass(frozen=True, slots=True)
class Met:
    """Faults of one call.

    Attributes:
        fault: one fault, or None.
        standing: permanent changes of the good answer, made before the fault.
    """

    fault: AnyFault | None = None
    standing: tuple[Changed, ...] = ()


@dataclass(slots=True)
class _Order:
    method: str
    times: int | None
    fault: AnyFault
    instrument: str | None
    minute_ms: int | None

    @property
    def stands(self) -> bool:
        """Whether it changes every answer, so that further faults apply to the changed one."""
        return self.times is None and isinstance(self.fault, Changed)

    def meets(self, call: Call) -> bool:
        return (
            self.method == call.method
            and self.instrument in (None, call.instrument)
            and (self.minute_ms is None or call.holds(self.minute_ms))
        )


class FaultScript:
    """Faults that the server applies to its answers.

    A call has one fault: the first that was ordered for it, or else one drawn by probability.
    Permanent changes are made in addition. Threads may share it.
    """

    def __init__(self) -> None:
        """Start with no faults."""
        self._orders: list[_Order] = []
        self._rates = Rates({})
        self._asked: Counter[tuple[str, ...]] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def at_rates(cls, probabilities: Mapping[str, float], seed: int = 0) -> Self:
        """Start with faults by rate, as `set_rates` does."""
        script = cls()
        script.set_rates(probabilities, seed)
        return script

    @property
    def rates(self) -> Rates:
        """The faults by rate."""
        return self._rates

    def set_rates(self, probabilities: Mapping[str, float], seed: int = 0) -> None:
        """Draw faults by new probabilities from now on; ordered faults stay.

        The fault of a call depends on the seed, on its parameters, and on the number of equal calls
        since, so a retry gets a new draw, and the order of calls does not matter.

        Args:
            probabilities: by the names in `named_faults.KINDS`.
            seed: of the draws.

        Raises:
            ValueError: a kind is unknown, or a probability or their sum is out of range.
        """
        rates = Rates(probabilities, seed)
        with self._lock:
            self._rates = rates
            self._asked.clear()

    def add(
        self,
        method: str,
        times: int | None,
        fault: AnyFault,
        *,
        instrument: str | None = None,
        minute_ms: int | None = None,
    ) -> None:
        """Order a fault for the next answers. Earlier orders come first.

        Args:
            method: the method whose calls shall fail, without `public/`.
            times: how many calls; None for all from now on.
            fault: what goes wrong.
            instrument: only calls about this instrument; None for any.
            minute_ms: only calls whose window, both ends included, contains the candle that opens
                then, UTC milliseconds; None for any.
        """
        with self._lock:
            self._orders.append(_Order(method, times, fault, instrument, minute_ms))

    def clear(self) -> None:
        """Forget all faults, ordered ones and those by rate."""
        with self._lock:
            self._orders.clear()
            self._rates = Rates({})
            self._asked.clear()

    def meet(self, question: Question, now_ms: int) -> Met:
        """Return the faults of a call at a time (UTC ms), and count them as served."""
        with self._lock:
            if not self._orders and not self._rates.probabilities:
                return Met()
            call = question.call()
            met = [order for order in self._orders if order.meets(call)]
            standing = [order.fault for order in met if order.stands]
            lost = self._rates.lost_minutes(call, now_ms)
            changes = tuple(change for change in (*standing, lost) if isinstance(change, Changed))
            ordered = next((order for order in met if not order.stands), None)
            fault = self._serve(ordered) if ordered else self._draw(question)
            return Met(fault, changes)

    def _serve(self, order: _Order) -> AnyFault:
        if order.times is not None:
            order.times -= 1
            if order.times <= 0:
                self._orders = [other for other in self._orders if other is not order]
        return order.fault

    def _draw(self, question: Question) -> AnyFault | None:
        if not self._rates.probabilities:
            return None
        before = self._asked[question.identity]
        self._asked[question.identity] += 1
        return self._rates.fault(question, before)
