"""Which tables and views a query can read, so that the others need not be opened for it."""

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from lake.tables import TABLES
from lake.views import VIEWS

if TYPE_CHECKING:
    import duckdb

ALL = frozenset({*TABLES, *(view.name for view in VIEWS)})

_WORD = re.compile(r"\w+")
_LITERAL = re.compile(r"'[^']*'")
# With these a query lists what there is, or works out the name of what it reads.
_OPEN_ENDED = re.compile(
    r"\b(?:information_schema|query|query_table|json_execute_serialized_sql"
    r"|(?:duckdb|pragma|pg|sqlite)_\w+)\b",
    re.IGNORECASE,
)
# What DuckDB's parser makes of SHOW, DESCRIBE and SUMMARIZE.
_SHOWS = "SHOW_REF"


def named(connection: "duckdb.DuckDBPyConnection", query: str) -> frozenset[str]:
    """Return the tables and views whose names are in a query; what is not among them it cannot
    read. A name that means something else there, such as a column, counts as well.

    All of them, where the text does not tell: what is not a single SELECT, or lists what there is,
    or is no SQL.
    """
    ((parsed,),) = connection.execute("SELECT json_serialize_sql($1)", [query]).fetchall()
    is_single = len(json.loads(parsed).get("statements", ())) == 1
    if not is_single or _SHOWS in parsed or _OPEN_ENDED.search(query):
        return ALL
    return ALL & _words(query)


def with_sources(names: Collection[str]) -> frozenset[str]:
    """Return tables and views together with all that the views read, directly or through others."""
    found = set(names)
    # A view comes after those that it reads.
    for view in reversed(VIEWS):
        if view.name in found:
            found |= _words(_LITERAL.sub("", view.sql))
    return ALL & found


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
