"""Metadata of a file that is known without opening it."""

from datetime import datetime

import pytest

from lake.files.parquet import DataFile
from lake.time.intervals import Span
from tests.strategies import minute, span


def file(first: datetime | None, last: datetime | None) -> DataFile:
    return DataFile("A.parquet", None, 1, 1, first, last)


@pytest.mark.parametrize(
    ("asked", "is_met"),
    [
        (span(0, 10), False),
        (span(0, 11), True),
        (span(12, 13), True),
        (span(20, 21), True),
        (span(21, 30), False),
        (span(0, 30), True),
    ],
)
def test_a_file_may_hold_rows_from_its_first_minute_to_its_last(asked: Span, is_met: bool) -> None:  # noqa: FBT001
    assert file(minute(10), minute(20)).may_hold(asked) is is_met


def test_a_file_of_unknown_range_may_hold_anything() -> None:
    assert file(None, None).may_hold(span(0, 1))
    assert file(minute(5), None).may_hold(span(0, 1))
