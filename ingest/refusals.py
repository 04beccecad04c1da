"""When to say that the exchange refuses calls since there are too many, and when that is over."""

import math
from dataclasses import dataclass

from ingest.pace import RECOVERY_S, Pace, rate_at

# A refusal is worth another line where the pace that calls go on with has fallen to this part of
# what was said last.
_FALLEN = 0.75


@dataclass(slots=True)
class Refusals:
    """What was said of refusals; used under the lock of a pace.

    Attributes:
        said: calls a second that were said to go on after a refusal; None where the full rate is
            in use, as far as was said.
    """

    said: float | None = None

    def refused(self, pace: Pace, now: float, most: float) -> str:
        """Return what to say of a refusal, "" where nothing is new.

        Args:
            pace: after it.
            now: seconds.
            most: the user's limit in calls a second, 0 for none.
        """
        rate = rate_at(pace, now, most)
        if self.said is not None and rate > _FALLEN * self.said:
            return ""
        self.said = rate
        if math.isinf(rate):
            return "Rate limited: the exchange refuses calls."
        if rate == most:
            return f"Rate limited: the exchange refused a call; the rate stays {most:g} calls/s."
        full = f" of {most:g}" if most else ""
        return f"Rate limited: the exchange refuses calls; going on with {rate:.1f}{full} calls/s."

    def allowed(self, pace: Pace, now: float, most: float) -> str:
        """Return what to say as calls go on: that the full rate is back, once, and that after a
        while without a refusal.
        """
        if self.said is None or now - pace.refused_at < RECOVERY_S:
            return ""
        rate, full = rate_at(pace, now, most), most or pace.refused_rate
        if rate < full:
            return ""
        had_fallen = not most or self.said < most
        self.said = None
        return f"Full rate again: {full:g} calls/s." if had_fallen else ""
