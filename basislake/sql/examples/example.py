"""An example query: a question and its SQL."""

from dataclasses import dataclass
from functools import partial
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Example:
    """One question in SQL.

    Attributes:
        name: on the command line, after the mark.
        title: the question, in a few words.
        expect: meaning of a row, and what to expect of the answer.
        sql: runs unchanged on any lake.
        has_rows: whether a sound lake of a few weeks gives rows.
    """

    name: str
    title: str
    expect: str
    sql: str
    has_rows: bool = True


def example(name: str, title: str, expect: str, sql: str, *, has_rows: bool = True) -> Example:
    """Return an example query; the indent of its SQL is removed."""
    return Example(name, title, expect, dedent(sql).strip(), has_rows)


# Of which a sound lake of a few weeks may give no rows.
may_be_empty = partial(example, has_rows=False)
