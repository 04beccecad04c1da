"""Completion in the shell of `sql`: tables, views, columns, example queries and words of SQL."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from basislake.sql.examples import EXAMPLES, MARK
from lake.query.views import VIEWS, View
from lake.table import Table
from lake.tables import TABLES

_WORD = re.compile(rf"({MARK}[\w-]*|\w+)$")
_KEYWORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP", "BY", "ORDER", "LIMIT", "HAVING", "QUALIFY", "JOIN"),
    *("LEFT", "USING", "ON", "AS", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL"),
    *("DISTINCT", "CASE", "WHEN", "THEN", "ELSE", "END", "WITH", "UNION", "ALL", "DESC", "ASC"),
    *("FILTER", "OVER", "PARTITION", "INTERVAL", "DESCRIBE", "SUMMARIZE", "EXPLAIN", "COPY", "TO"),
    *("count", "sum", "avg", "min", "max", "median", "arg_max", "date_trunc"),
)


class QueryCompleter(Completer):
    """Completes the word before the cursor, and shows the meaning of each column."""

    def __init__(self) -> None:
        """Collect the declared tables and views."""
        declared: tuple[Table | View, ...] = (*TABLES.values(), *VIEWS)
        self._columns: Mapping[str, Mapping[str, str]] = {
            each.name: {column.name: column.meaning for column in each.columns} for each in declared
        }
        self._rows = {table.name: table.row for table in TABLES.values()}
        self._rows |= {view.name: view.meaning for view in VIEWS}

    def get_completions(self, document: Document, _: CompleteEvent) -> Iterator[Completion]:
        """Return the candidates that begin with the word before the cursor."""
        found = _WORD.search(document.text_before_cursor)
        if found is None:
            return
        word = found[0]
        for name, meaning in chain(*self._candidates(word, document.text)):
            if name.lower().startswith(word.lower()):
                yield Completion(name, -len(word), display_meta=meaning)

    def _candidates(self, word: str, text: str) -> Iterator[Iterable[tuple[str, str]]]:
        """Names with their meaning; only columns of the tables in the text, if it names one."""
        if word.startswith(MARK):
            yield ((MARK + example.name, example.title) for example in EXAMPLES)
            return
        named = [name for name in self._columns if re.search(rf"\b{name}\b", text)]
        found: dict[str, str] = {}
        for name in named or self._columns:
            found |= self._columns[name]
        yield found.items()
        yield self._rows.items()
        yield ((keyword, "") for keyword in _KEYWORDS)
