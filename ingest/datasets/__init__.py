"""What is fetched: one module for each dataset, one declaration in each.

A dataset says which table its rows go to, which steps of time its rows cover, what should be stored
of each instrument, and how a window is asked for and read. Planning, locks, rate limit, retries,
commits, coverage and progress are the same for all of them.
"""

from collections.abc import Iterable, Mapping

from ingest.datasets.candles import CANDLES
from ingest.datasets.dataset import Dataset
from ingest.datasets.deliveries import DELIVERIES
from ingest.datasets.funding import FUNDING
from ingest.datasets.funding_totals import FUNDING_TOTALS
from ingest.datasets.settlements import SETTLEMENTS

# By name, in the order in which they are asked for.
DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset for dataset in (CANDLES, FUNDING, FUNDING_TOTALS, DELIVERIES, SETTLEMENTS)
}
# What --data can choose.
CHOICES = tuple(dict.fromkeys(dataset.choice for dataset in DATASETS.values()))


def chosen(data: Iterable[str]) -> tuple[Dataset, ...]:
    """Return the datasets of some of `CHOICES`; all where there are none; pure."""
    choices = set(data) or set(CHOICES)
    return tuple(dataset for dataset in DATASETS.values() if dataset.choice in choices)
