"""Messages about refusals by the rate limit, when they begin and when they are over."""

import math
from dataclasses import dataclass

from ingest.rate_limit.allowance import Terms
from ingest.rate_limit.policy import RateState, is_settled, rate_at

# A refusal is worth another message if the rate has fallen to this part of the last reported
# rate.
_FALLEN = 0.75


@dataclass(slots=True)
class Refusals:
    """The messages about refusals so far; used under the lock of a state.

    Attributes:
        said: calls a second in the last message about a refusal; None if the last message
            reported the full rate.
        is_found: whether a message reported the permitted rate.
    """

    said: float | None = None
    is_found: bool = False

    def refused(self, state: RateState, terms: Terms) -> str:
        """Return the message for a refusal, "" if there is nothing new."""
        rate = rate_at(state, terms)
        if self.said is not None and rate > _FALLEN * self.said:
            return ""
        self.said, self.is_found = rate, False
        what = "refuses calls" if self._has_fallen(terms) else "refused a call"
        full = "" if math.isinf(terms.most) else f" of {terms.most:g}"
        return f"Rate limited: the exchange {what}; continuing at {rate:.1f}{full} calls/s."

    def allowed(self, state: RateState, terms: Terms) -> str:
        """Return the message for granted calls, once each: that the full rate is back, or the rate
        that the exchange permits.
        """
        if self.said is None or not is_settled(state):
            return ""
        rate = rate_at(state, terms)
        full = state.target if math.isinf(terms.most) else terms.most
        if rate >= full:
            has_fallen = self._has_fallen(terms)
            self.said = None
            return f"Full rate again: {full:g} calls/s." if has_fallen else ""
        if self.is_found:
            return ""
        self.said, self.is_found = rate, True
        return f"Rate found: the exchange permits about {rate:.1f} of {full:g} calls/s."

    def _has_fallen(self, terms: Terms) -> bool:
        return math.isinf(terms.most) or (self.said or 0.0) <= _FALLEN * terms.most
