"""What a backfill did, dataset by dataset, in the words of each; pure."""

from ingest.backfill.results import Counts, Result
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.datasets.dataset import Dataset
from lake.counted_words import counted


def selected(result: Result) -> list[tuple[Dataset, Counts]]:
    """Return the datasets of which anything was selected, with their figures."""
    return [(DATASETS[name], counts) for name, counts in result.by_dataset() if counts.instruments]


def completeness(dataset: Dataset, counts: Counts) -> str:
    """Return how many are complete, such as `2 of 2 perpetuals complete`."""
    return f"{counts.complete:,} of {counted(counts.instruments, *dataset.whose)} complete"


def rows(dataset: Dataset, count: int) -> str:
    """Return a number of rows, such as `5 candles` or `5 rows of funding`."""
    if dataset.name == CANDLES.name:
        return counted(count, "candle")
    return f"{counted(count, 'row')} of {dataset.words}"


def complete_of(dataset: Dataset, counts: Counts) -> str:
    """Return how many are complete, next to other datasets, such as `2 of 2 perpetuals of
    funding`; of candles without that.
    """
    of = "" if dataset.name == CANDLES.name else f" of {dataset.words}"
    return f"{counts.complete:,} of {counted(counts.instruments, *dataset.whose)}{of}"


def written_of(result: Result) -> str:
    """Return which rows are new to the lake, of the datasets that have some."""
    candles = counted(result.candles_written, "new candle")
    others = [
        rows(DATASETS[name], c.rows_written)
        for name, c in result.datasets.items()
        if c.rows_written
    ]
    return ", ".join([*([candles] if result.candles_written or not others else []), *others])


def stopped(result: Result, given_up: int, lost: int) -> str:
    """Return a sentence about a run that ended early.

    Args:
        result: of the run.
        given_up: calls in flight that were abandoned.
        lost: answered windows whose rows may not be stored.
    """
    saved = f"saved: {written_of(result)}, everything that arrived"
    if lost:
        saved = (
            f"saved: {written_of(result)}; {counted(lost, 'more window')} may not be saved; the "
            "next backfill asks for them again"
        )
    abandoned = f" and {given_up} abandoned" if given_up else ""
    complete = ", ".join(complete_of(*one) for one in selected(result)) or "nothing"
    return (
        f"Stopped after {counted(result.all_calls, 'call')}{abandoned}; {saved}; "
        f"complete: {complete}."
    )
