"""A gate in front of a simulated exchange's candles, with which a test stops a run at a point."""

import threading
from contextlib import AbstractContextManager

from basislake.simulator.calls import CHART_METHOD
from basislake.simulator.fault_forms import Changed, Columns
from basislake.simulator.server import SimulatedExchange


class Gate(AbstractContextManager["Gate"]):
    """Lets some candle calls be answered and holds others, until it is opened or the block ends."""

    def __init__(
        self, server: SimulatedExchange, answers: int, *, holds: int | None = None
    ) -> None:
        """Start in front of a server.

        Args:
            server: to protect; its faults are cleared by `clear`.
            answers: so many calls are answered as usual.
            holds: so many of the next calls are held; all of them by default.
        """
        self._held = range(answers, 2**62 if holds is None else answers + holds)
        self._lock = threading.Lock()
        self._opened = threading.Event()
        self._came = self._waiting = 0
        server.faults.add(CHART_METHOD, None, Changed(self._pass))

    @property
    def is_holding(self) -> bool:
        """Whether a call waits for its answer."""
        with self._lock:
            return self._waiting > 0

    def open(self) -> None:
        """Answer all calls from now on."""
        self._opened.set()

    def __exit__(self, *_: object) -> None:
        """Open it."""
        self.open()

    def _pass(self, good: Columns) -> Columns:
        with self._lock:
            is_held = self._came in self._held and not self._opened.is_set()
            self._came += 1
            self._waiting += is_held
        if is_held:
            self._opened.wait()
            with self._lock:
                self._waiting -= 1
        return good
