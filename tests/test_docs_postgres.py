"""The page on PostgreSQL: its queries run as they stand, on what a load makes."""

import re
from pathlib import Path

import pytest

from tests.loading import Target

PAGE = (Path(__file__).parent.parent / "docs" / "postgres.md").read_text()
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# The small lake has neither gaps nor violations, nor a future of that name at that time.
MAY_BE_EMPTY = ("LAG(", "high < low", "12:00Z", "2019-06-01' ORDER")


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_page_runs_as_it_stands(target: Target, query: str) -> None:
    target.load()
    rows = target.query(query)
    assert rows or any(part in query for part in MAY_BE_EMPTY)


def test_the_page_holds_the_guides_queries() -> None:
    assert len(QUERIES) == 11
