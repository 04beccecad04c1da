"""All assumptions about the exchange, in the order in which they are shown; pure."""

from ingest.assumptions import candles, carry, lists
from ingest.assumptions.check import Check, Judgement
from ingest.assumptions.evidence import Evidence

CHECKS: tuple[Check[Evidence], ...] = (*lists.CHECKS, *candles.CHECKS, *carry.CHECKS)
# Checked before the first window of a lake.
FIRST: tuple[Check[Evidence], ...] = candles.FIRST


def judge(at: Evidence, checks: tuple[Check[Evidence], ...] = CHECKS) -> list[Judgement]:
    """Return the judgement of each check."""
    return [check.outcome(at) for check in checks]
