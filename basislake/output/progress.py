"""Progress of long work on stderr."""

import time
from collections.abc import Callable

from basislake.output.screen import SCREEN
from basislake.output.units import duration

_REWRITTEN_EVERY_S = 0.1
_LINE_EVERY_S = 10.0


class Progress:
    """Progress on stderr: one line that is rewritten on a terminal, or a line at times in a log."""

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            unit: what is counted, in the plural.
            clock: seconds, never going back.
        """
        self._unit = unit
        self._clock = clock
        self._start_s = clock()
        self._last_s = self._start_s

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show `[done/total] rate, time left, note`."""
        now_s = self._clock()
        every_s = _REWRITTEN_EVERY_S if SCREEN.rewrites else _LINE_EVERY_S
        if done < total and now_s - self._last_s < every_s:
            return
        self._last_s = now_s
        seconds = now_s - self._start_s
        rate = done / seconds if seconds > 0 else 0.0
        left = f", {duration((total - done) / rate)} left" if rate and done < total else ""
        line = f"[{done}/{total}] {rate:.1f} {self._unit}/s{left}{', ' + note if note else ''}"
        SCREEN.show_progress(line, is_last=done == total)
        if done == total:
            self._start_s = now_s
