"""The term of a contract, by its expiry."""

import csv
from datetime import datetime
from pathlib import Path

import pytest

from lake.contract_terms import term_of

EXPIRED = Path(__file__).parent.parent.parent / "shared/expired_futures.tsv"


@pytest.mark.parametrize(
    ("expires_at", "term"),
    [
        (None, "perpetual"),
        ("2019-06-28T08:00Z", "quarterly"),
        ("2021-12-31T08:00Z", "quarterly"),
        ("2024-03-29T08:00Z", "quarterly"),
        ("2026-09-25T08:00Z", "quarterly"),
        ("2021-08-27T08:00Z", "monthly"),
        ("2024-02-23T08:00Z", "monthly"),
        ("2025-01-31T08:00Z", "monthly"),
        ("2016-07-15T15:00Z", "weekly"),
        ("2021-04-02T08:00Z", "weekly"),
        ("2024-03-22T08:00Z", "weekly"),
        ("2026-09-21T08:00Z", "daily"),
        ("2026-09-30T08:00Z", "daily"),
        # Friday in UTC, whatever the day where the time was written.
        ("2024-03-29T22:00-10:00", "daily"),
        ("2024-03-28T22:00-10:00", "quarterly"),
    ],
)
def test_the_term_follows_from_the_day_of_the_expiry(expires_at: str | None, term: str) -> None:
    assert term_of(expires_at and datetime.fromisoformat(expires_at)) == term  # type: ignore[arg-type]


@pytest.mark.skipif(not EXPIRED.exists(), reason="the list of names is not in this repository")
def test_the_term_of_every_name_on_record() -> None:
    with EXPIRED.open() as file:
        listed = list(csv.DictReader(file, delimiter="\t"))
    terms = {"W": "weekly", "M": "monthly", "Q": "quarterly"}
    found = {row["name"]: term_of(datetime.fromisoformat(row["expiry_utc"])) for row in listed}
    assert len(found) == 522
    assert found == {row["name"]: terms[row["type"]] for row in listed}
