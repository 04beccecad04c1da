"""All that is relied on of the exchange, in the order in which it is shown; pure."""

from ingest.assumptions import candles, carry, lists
from ingest.assumptions.check import Check, Judgement
from ingest.assumptions.evidence import Evidence

CHECKS: tuple[Check[Evidence], ...] = (*lists.CHECKS, *candles.CHECKS, *carry.CHECKS)
# Looked at before the first window of a lake.
FIRST: tuple[Check[Evidence], ...] = candles.FIRST


def judge(at: Evidence, checks: tuple[Check[Evidence], ...] = CHECKS) -> list[Judgement]:
    """Return what is found by each check."""
    return [check.outcome(at) for check in checks]
