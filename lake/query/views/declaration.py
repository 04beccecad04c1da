"""The declaration of a derived view: its meaning, formula, columns and SQL, each written once."""

from dataclasses import dataclass
from typing import NamedTuple

from lake.table import Column, Table, Type


class Parameter(NamedTuple):
    """A value that a view needs in its call.

    Attributes:
        name: as the SQL of the view writes it.
        meaning: one phrase for the user.
        example: as written in a query, quoted if it is a text.
    """

    name: str
    meaning: str
    example: str


@dataclass(frozen=True, slots=True)
class View:
    """One derived view: a question over the tables that has a name.

    Attributes:
        name: in DuckDB.
        meaning: one sentence.
        formula: how a row is computed, and what is left out.
        source: where its numbers come from, and the convention that it follows.
        columns: in order.
        sql: a SELECT over the tables and the views declared before this one.
        parameters: a view with parameters is called like a function; DuckDB calls it a table
            macro.
    """

    name: str
    meaning: str
    formula: str
    source: str
    columns: tuple[Column, ...]
    sql: str
    parameters: tuple[Parameter, ...] = ()

    @property
    def ddl(self) -> str:
        """The statement that creates the view."""
        if self.parameters:
            names = ", ".join(parameter.name for parameter in self.parameters)
            return f"CREATE MACRO {self.name}({names}) AS TABLE {self.sql}"
        return f"CREATE VIEW {self.name} AS {self.sql}"

    @property
    def call(self) -> str:
        """The text after FROM, with an example of each parameter."""
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(parameter.example for parameter in self.parameters)})"


def columns_of(table: Table, *names: str) -> tuple[Column, ...]:
    """Return columns that a view passes on from a table, in the order given."""
    declared = {column.name: column for column in table.columns}
    return tuple(declared[name] for name in names)


def optional(name: str, meaning: str, unit: str = "", kind: Type = Type.FLOAT) -> Column:
    """Return a column that may be null."""
    return Column(name, kind, meaning, unit, nullable=True)
