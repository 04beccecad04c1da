"""DuckDB over the lake, offline: a view per table, over exactly the files of one version, and the
derived views on top.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import duckdb
import polars as pl

from lake import errors
from lake.errors import BasislakeError, GoneError, LakeError, UsageError
from lake.location.store_errors import masked, plain
from lake.query.duck_database import PREFIX, open_database
from lake.query.duck_rows import GONE, rows_sql
from lake.query.interruptible import interruptible
from lake.query.names_in_sql import ALL, named, with_sources
from lake.query.views import VIEWS
from lake.snapshot import Snapshot
from lake.tables import TABLES

Connection = duckdb.DuckDBPyConnection

# Polars type of DuckDB's HUGEINT.
_HUGE = pl.Decimal(38, 0)

# Errors of a query itself; others are of memory, of a disk, of files, or of DuckDB.
_OF_QUERY = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.NotSupportedError,
    duckdb.IntegrityError,
    duckdb.DependencyException,
    duckdb.PermissionException,
    duckdb.SequenceException,
    duckdb.TransactionException,
)
# An unreadable file is an invalid input, too; its path or address shows that.
_OF_LAKE = re.compile(rf"\b(?:{'|'.join(TABLES)})(?:/|://)[^'\"]*\.parquet")
# Text by which DuckDB's binding reports Ctrl-C.
_INTERRUPTED = "Query interrupted"
# The error of ours that a file raised when DuckDB read it; DuckDB's text ends with Python's.
_OURS = re.compile(
    r"Traceback \(most.*^(?:lake\.errors\.)?(UsageError|LakeError|DamagedError): ([^\n]+)",
    re.DOTALL | re.MULTILINE,
)
# DuckDB shows a line of the query below its message.
_LINE = "\n\nLINE "

# Opens the tables of some names, by name.
Opening = Callable[[Collection[str]], Mapping[str, Snapshot]]


def connect(
    opening: Opening,
    names: Collection[str] = ALL,
    *,
    extra: Mapping[str, pl.DataFrame] | None = None,
) -> Connection:
    """Return an in-memory connection with a view per table, and those of `lake.query.views`.

    The views read exactly the files of the snapshots: neither files that a commit has removed nor
    later commits. Times are in UTC. No DuckDB extension is needed or downloaded.


    Args:
        opening: opens tables of the lake.
        names: of the tables and views; the tables and views that these read are added.
        extra: further frames to query, by name.

    Raises:
        LakeError: the lake cannot be read.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(_without_views())
        _add_views(connection, opening, with_sources(names))
        for name, frame in (extra or {}).items():
            connection.register(name, frame)
        stack.pop_all()
        return connection


def answer(opening: Opening, query: str) -> pl.DataFrame:
    """Return the rows of one query over a lake; only tables that the query can read are opened.

    Args:
        opening: opens tables of the lake.
        query: see `rows`.

    Raises:
        UsageError, GoneError, LakeError: see `rows`.
    """
    with _without_views() as connection:
        with _explained("DuckDB cannot read the query"):
            (names,) = interruptible(connection, [partial(named, connection, query)])
        _add_views(connection, opening, with_sources(names))
        try:
            return rows(connection, query)
        except UsageError as exc:
            if names == ALL or not isinstance(exc.__cause__, duckdb.CatalogException):
                raise
        # DuckDB has run nothing yet. With all names in place it suggests similar ones.
        _add_views(connection, opening, ALL - with_sources(names))
        return rows(connection, query)


def _without_views() -> duckdb.DuckDBPyConnection:
    with _explained("DuckDB cannot open the lake"):
        return open_database()


def _add_views(
    connection: duckdb.DuckDBPyConnection, opening: Opening, names: Collection[str]
) -> None:
    snapshots = opening([name for name in TABLES if name in names])
    with _explained("DuckDB cannot open the lake"):
        works: list[Callable[[], object]] = [
            *(partial(_view, connection, snapshot) for snapshot in snapshots.values()),
            *(partial(connection.execute, view.ddl) for view in VIEWS if view.name in names),
        ]
        interruptible(connection, works)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours; `what` begins the sentence."""
    try:
        yield
    except (duckdb.Error, RuntimeError) as exc:
        if str(exc) == _INTERRUPTED:
            raise KeyboardInterrupt from exc
        raise _lake_error(what, exc) from exc


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text.

    Attributes:
        text: of this statement.
        gives_rows: whether it is a query, not a setting or a change.
    """

    text: str
    gives_rows: bool


def statements(connection: Connection, text: str) -> list[Statement]:
    """Split a text into statements, separated by semicolons; nothing is run.

    Raises:
        UsageError: DuckDB cannot parse the text.
    """
    with _refused():
        found = connection.extract_statements(text)
    return [
        Statement(
            one.query,
            # PIVOT becomes several statements.
            one.type == duckdb.StatementType.MULTI
            or one.expected_result_type == [duckdb.ExpectedResultType.QUERY_RESULT],
        )
        for one in found
    ]


def parsed(text: str) -> list[Statement]:
    """Return the statements of a text without a lake; see `statements`."""
    with _without_views() as connection:
        return statements(connection, text)


def rows(connection: Connection, query: str) -> pl.DataFrame:
    """Return the rows of a query; for another statement, DuckDB's reply.

    Sums of integers, 128 bits wide in DuckDB, are returned as 64-bit integers, and intervals as
    texts. Ctrl-C ends the query.

    Raises:
        UsageError: DuckDB refuses the query.
        GoneError: the query reads rows that were deleted.
        LakeError: the lake cannot be read, or memory or disk do not suffice.
    """
    with _refused():
        (found,) = interruptible(connection, [partial(_frame, connection, query)])
        return found.with_columns(_whole(found[name]) for name in found.columns)


@contextmanager
def _refused() -> Iterator[None]:
    """Turn errors of DuckDB or Polars about a query into ours; see `rows`."""
    try:
        yield
    except duckdb.Error as exc:
        _, is_gone, why = str(exc).partition(GONE)
        if is_gone:
            raise GoneError(why) from exc
        is_of_lake = _OF_LAKE.search(str(exc)) or _OURS.search(str(exc))
        if isinstance(exc, _OF_QUERY) and not is_of_lake:
            raise UsageError(f"DuckDB refuses the query: {masked(str(exc))}") from exc
        raise _lake_error("DuckDB cannot answer the query", exc) from exc
    except pl.exceptions.PolarsError as exc:
        raise UsageError(
            "A column of the answer has a type that cannot be shown; cast it to VARCHAR: "
            f"{str(exc).partition('Hint:')[0].strip()}"
        ) from exc


def _frame(connection: Connection, query: str) -> pl.DataFrame:
    relation = connection.sql(query)
    found: pl.DataFrame = _shown(relation).pl() if relation is not None else pl.DataFrame()
    return found


def _shown(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same rows, with intervals (months, days and time) as texts: Polars has no such type."""
    columns = zip(relation.columns, relation.types, strict=True)
    names = [name.replace('"', '""') for name, type_ in columns if str(type_) == "INTERVAL"]
    texts = ", ".join(f'CAST("{name}" AS VARCHAR) AS "{name}"' for name in names)
    return relation.project(f"* REPLACE ({texts})") if texts else relation


def _lake_error(what: str, error: Exception) -> BasislakeError:
    if ours := _OURS.search(str(error)):
        found: BasislakeError = getattr(errors, ours[1])(ours[2])
        return found
    message = plain(str(error).partition(_LINE)[0]).rstrip(".")
    # DuckDB often does not name the damaged file.
    hint = " If a file is damaged, `basislake fingerprint --verify` lists it."
    if PREFIX in message:
        hint = " DuckDB writes what does not fit into memory to the folder in TMPDIR."
    elif isinstance(error, duckdb.OutOfMemoryException | RuntimeError):
        hint = ""
    return LakeError(f"{what}: {message}. The lake is unchanged.{hint}")


def _whole(column: pl.Series) -> pl.Series:
    """128-bit integers as 64-bit ones; a column with a larger number, or of another type, as is."""
    if column.dtype != _HUGE:
        return column
    cast = column.cast(pl.Int64, strict=False)
    return cast if cast.null_count() == column.null_count() else column


def _view(connection: Connection, snapshot: Snapshot) -> None:
    rows = rows_sql(connection, snapshot)
    connection.execute(f"CREATE VIEW {snapshot.table.name} AS {rows}")
