"""What a run that followed the market did so far."""

from dataclasses import dataclass, field
from typing import Any

from ingest.backfill.results import Result
from ingest.follow_schedule import Lag


@dataclass(slots=True)
class Followed:
    """What a run that followed the market did.

    Attributes:
        run: its name among the records of runs.
        rounds: that asked for something.
        candles_written: rows new to the lake.
        rows_written: rows of other data that are new to the lake, by dataset.
        calls: for all data, retries included.
        retries: calls made again after a transient failure.
        builds: of the curated tables.
        maintenances: maintenance runs.
        new: instruments that were discovered.
        ended: number of instruments that expired and are complete.
        failed: instruments that had no answer in the last round, with the reason.
        outages: times when the exchange or the lake could not be reached.
        lag: the last known one.
        log: the file with a line for each round.
    """

    run: str = ""
    rounds: int = 0
    candles_written: int = 0
    rows_written: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    retries: int = 0
    builds: int = 0
    maintenances: int = 0
    new: list[str] = field(default_factory=list)
    ended: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    outages: int = 0
    lag: Lag | None = None
    log: str | None = None

    def add(self, result: Result) -> dict[str, Any]:
        """Count a round, and return its figures for the log."""
        retries = sum(counts.retries for _, counts in result.by_dataset())
        # In one statement and first: an interruption may come at any line.
        self.rounds, self.calls, self.retries, self.candles_written = (
            self.rounds + 1,
            self.calls + result.all_calls,
            self.retries + retries,
            self.candles_written + result.candles_written,
        )
        for name, counts in result.datasets.items():
            self.rows_written[name] = self.rows_written.get(name, 0) + counts.rows_written
        self.failed = [
            {"instrument": str(subject), "reason": reason}
            for subject, reason in result.all_failed.items()
        ]
        lag_s = self.lag.seconds if self.lag else None
        return {
            "calls": result.all_calls,
            "retries": retries,
            "candles": result.candles_written,
            "rows": result.rows_written - result.candles_written,
            "failed": len(result.all_failed),
            "elsewhere": len(result.all_left),
            "lag_seconds": None if lag_s is None else round(lag_s),
        }
