"""The page on PostgreSQL: its queries run unchanged after a load."""

import re
from pathlib import Path

import pytest

from lake.errors import LoadError
from tests.loading import Target

DOCS = Path(__file__).parent.parent / "docs"
PAGE, MIGRATING = ((DOCS / f"{name}.md").read_text() for name in ("postgres", "migrating"))
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# The small lake has neither gaps nor violations, nor a future of that name at that time.
EMPTY = ("LAG(", "high < low", "12:00Z", "2019-06-01' ORDER", "carry_daily")


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_page_runs_as_it_stands(target: Target, query: str) -> None:
    target.load()
    assert bool(target.query(query)) != any(part in query for part in EMPTY)


def test_the_page_holds_the_guides_queries() -> None:
    assert len(QUERIES) == 12


def test_the_guides_script_of_the_materialized_view_harms_no_row_and_leaves_what_the_page_finds(
    target: Target,
) -> None:
    target.load()
    before = target.rows("futures_basis_spread")
    target.execute(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS futures_basis_spread AS SELECT 1 AS instrument",
        "CREATE INDEX IF NOT EXISTS idx_spread_instrument ON futures_basis_spread (instrument)",
    )
    with pytest.raises(LoadError, match='"futures_basis_spread" is not a materialized view'):
        target.execute("REFRESH MATERIALIZED VIEW futures_basis_spread")
    assert target.rows("futures_basis_spread") == before
    (query,) = re.findall(
        r"^```sql\n(SELECT indexname.*?)^```", MIGRATING, re.MULTILINE | re.DOTALL
    )
    own = f"{query} AND schemaname = '{target.schema}'"
    assert [name for name, _ in target.query(own)] == ["idx_spread_instrument"]
    assert target.load().rows_loaded == 0
    assert target.compare().equal
    target.execute("DROP INDEX idx_spread_instrument")
    assert not target.query(own)
