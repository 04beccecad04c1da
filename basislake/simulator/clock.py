"""Clock of the exchange, which a test or a rehearsal can set, advance and start."""

import threading
import time
from collections.abc import Callable

_END_OF_TIME_MS = 253_402_300_799_999
_HIGHEST_SPEED = 1e6


class Clock:
    """The exchange's time: stopped, or running from a start at a speed. Threads may share it."""

    def __init__(
        self, now_ms: int, *, speed: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Start at a time.

        Args:
            now_ms: the time, UTC milliseconds.
            speed: clock seconds per real second; 0 is stopped, 1 is real time.
            monotonic: real seconds, monotonic.
        """
        self._monotonic = monotonic
        self._speed = speed
        self._base_ms = now_ms
        self._base_s = monotonic()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Return the time, UTC milliseconds."""
        with self._lock:
            return self._now_ms()

    @property
    def speed(self) -> float:
        """Clock seconds per real second; 0 for a stopped clock."""
        return self._speed

    def set(self, now_ms: int) -> None:
        """Set the time, UTC milliseconds; keep the speed."""
        self.steer(now_ms=now_ms)

    def advance(self, seconds: float) -> None:
        """Advance the time, or turn it back by negative seconds; keep the speed."""
        self.steer(advance_s=seconds)

    def run(self, speed: float = 1.0) -> None:
        """Run from now on at a speed; 0 stops the clock."""
        self.steer(speed=speed)

    def steer(
        self, *, now_ms: int | None = None, advance_s: float = 0.0, speed: float | None = None
    ) -> None:
        """Do all three at once, in the order of the arguments; None changes nothing.

        Raises:
            ValueError: the time would be before 1970 or after 9999, or the speed is negative or
                above a million; then nothing changes.
        """
        with self._lock:
            new_ms = (self._now_ms() if now_ms is None else now_ms) + advance_s * 1000
            new_speed = self._speed if speed is None else speed
            if not 0 <= new_ms <= _END_OF_TIME_MS:
                raise ValueError(f"the time {new_ms:g} ms is not between 1970 and 9999")
            if not 0 <= new_speed <= _HIGHEST_SPEED:
                raise ValueError(f"the speed {new_speed:g} is not in [0, {_HIGHEST_SPEED:g}]")
            self._base_ms, self._base_s, self._speed = round(new_ms), self._monotonic(), new_speed

    def _now_ms(self) -> int:
        passed_s = (self._monotonic() - self._base_s) * self._speed if self._speed else 0.0
        return self._base_ms + int(passed_s * 1000)
