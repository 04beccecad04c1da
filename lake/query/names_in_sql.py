"""The tables and views that a query can read; the others need not be opened for it."""

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from lake.query.views import VIEWS
from lake.tables import TABLES

if TYPE_CHECKING:
    import duckdb

ALL = frozenset({*TABLES, *(view.name for view in VIEWS)})

_WORD = re.compile(r"\w+")
_LITERAL = re.compile(r"'[^']*'")
# With these words a query lists tables, or computes the name of what it reads.
_OPEN_ENDED = re.compile(
    r"\b(?:information_schema|query|query_table|json_execute_serialized_sql"
    r"|(?:duckdb|pragma|pg|sqlite)_\w+)\b",
    re.IGNORECASE,
)
# DuckDB's parser reports these for SHOW, DESCRIBE and SUMMARIZE.
_SHOWS = "SHOW_REF"


def named(connection: "duckdb.DuckDBPyConnection", query: str) -> frozenset[str]:
    """Return the tables and views whose names occur in a query; it cannot read any other. A name
    with another meaning there, such as a column, is included as well.

    All names are returned if the text is not conclusive: if it is not a single SELECT, lists
    tables, or is not SQL.
    """
    ((parsed,),) = connection.execute("SELECT json_serialize_sql($1)", [query]).fetchall()
    is_single = len(json.loads(parsed).get("statements", ())) == 1
    if not is_single or _SHOWS in parsed or _OPEN_ENDED.search(query):
        return ALL
    return ALL & _words(query)


def with_sources(names: Collection[str]) -> frozenset[str]:
    """Return tables and views together with everything that the views read, directly or not."""
    found = set(names)
    # A view comes after its sources.
    for view in reversed(VIEWS):
        if view.name in found:
            found |= _words(_LITERAL.sub("", view.sql))
    return ALL & found


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
