"""The datasets that basislake fetches: one module and one declaration for each.

A dataset declares the table of its rows, the time steps that they cover, the steps to store of each
instrument, and how to fetch and parse a window. Planning, locks, rate limit, retries, commits,
coverage and progress are the same for all of them.
"""

from collections.abc import Iterable, Mapping

from ingest.datasets.candles import CANDLES
from ingest.datasets.dataset import Dataset
from ingest.datasets.deliveries import DELIVERIES
from ingest.datasets.funding import FUNDING
from ingest.datasets.funding_totals import FUNDING_TOTALS
from ingest.datasets.settlements import SETTLEMENTS

# By name, in the order of fetching.
DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset for dataset in (CANDLES, FUNDING, FUNDING_TOTALS, DELIVERIES, SETTLEMENTS)
}
# Choices of --data.
CHOICES = tuple(dict.fromkeys(dataset.choice for dataset in DATASETS.values()))


def chosen(data: Iterable[str]) -> tuple[Dataset, ...]:
    """Return the datasets for some of `CHOICES`; all for an empty choice; pure."""
    choices = set(data) or set(CHOICES)
    return tuple(dataset for dataset in DATASETS.values() if dataset.choice in choices)
