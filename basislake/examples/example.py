"""What an example is: a question, and its SQL."""

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Example:
    """One question in SQL.

    Attributes:
        name: what it is called on the command line, after the mark.
        title: the question, in a few words.
        expect: what a row is and what the answer should look like.
        sql: runs as it stands on any lake.
        has_rows: whether a sound lake of a few weeks answers with rows.
    """

    name: str
    title: str
    expect: str
    sql: str
    has_rows: bool = True


def example(name: str, title: str, expect: str, sql: str, *, has_rows: bool = True) -> Example:
    """Return an example whose SQL is indented as the code around it."""
    return Example(name, title, expect, dedent(sql).strip(), has_rows)
