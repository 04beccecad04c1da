"""What became of a subject whose fetching has ended; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.backfill.subject_job import Job
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from lake.counted_words import counted
from lake.time.intervals import common
from lake.time.steps import STEPS


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome of a subject.

    Attributes:
        status: `complete`, `empty` (no row in the selected life) or `failed`.
        missing: steps after the first row that answers lacked more than once.
        reason: why steps have no answer, None if all have one.
        figures: for the log and for people: calls, retries, candles (of another dataset rows),
            missing, unanswered, and the reason if it failed.
    """

    status: str
    missing: int
    reason: str | None
    figures: Mapping[str, Any]


def conclusion(job: Job, why_not: str) -> Conclusion:
    """Return the outcome of a subject.

    Args:
        job: of the subject, with all its answers.
        why_not: the reason for steps that were not requested.
    """
    dataset, steps = DATASETS[job.subject.dataset], STEPS[job.subject.dataset]
    missing = steps.count(common(job.plan.wanted, job.coverage.missing()))
    unanswered = steps.count(job.unanswered())
    reason = None
    if unanswered:
        reason = f"no answer for {counted(unanswered, dataset.noun)}: {job.reason or why_not}"
    is_candles = dataset.name == CANDLES.name
    figures = {
        **({} if is_candles else {"dataset": dataset.name}),
        "calls": job.tally.calls,
        "retries": job.tally.retries,
        "candles" if is_candles else "rows": job.rows,
        "missing": missing,
        "unanswered": unanswered,
        **({"reason": reason} if reason else {}),
    }
    status = "failed" if unanswered else "empty" if job.is_empty else "complete"
    return Conclusion(status, missing, reason, figures)
