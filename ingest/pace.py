"""How fast to call: pure waits between attempts, and one small class that spaces the calls."""

import threading
import time
from collections.abc import Callable

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0

# Without an account Deribit publishes no allowance; users hold 15 to 20 calls a second. Five is a
# polite default that nobody was seen to be refused at.
DEFAULT_CALLS_PER_SECOND = 5.0


def wait_before_retry_s(attempt: int, asked_s: float | None, jitter: float) -> float:
    """Seconds to wait after a failed attempt.

    What the exchange asked for, up to `LONGEST_WAIT_S`; else `FIRST_WAIT_S` x 2^(attempt - 1), up
    to the same, times 1 + jitter/2 so that threads do not come back at once.

    Args:
        attempt: how many attempts have failed, from 1.
        asked_s: the reply's `Retry-After`, None where absent.
        jitter: between 0 and 1, drawn anew each time.
    """
    if asked_s is not None:
        return min(asked_s, LONGEST_WAIT_S)
    growing = FIRST_WAIT_S * 2.0 ** min(attempt - 1, 16)
    return min(growing, LONGEST_WAIT_S) * (1 + jitter / 2)


class Pace:
    """Spaces calls evenly, for all threads together."""

    def __init__(
        self,
        calls_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start with the first call free.

        Args:
            calls_per_second: 0 means no limit.
            clock: seconds, never going back.
            sleep: waits for some seconds.
        """
        self._spacing_s = 1 / calls_per_second if calls_per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_s = 0.0

    def wait(self) -> None:
        """Wait until the next call may be made."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_s)
            self._next_s = turn + self._spacing_s
        if turn > now:
            self._sleep(turn - now)
