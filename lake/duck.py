"""DuckDB over the lake, offline: a view per table, of exactly the files of one version each, and
the derived views over them.
"""

import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb
import polars as pl

from lake.duck_rows import GONE, rows_sql
from lake.errors import GoneError, LakeError, UsageError
from lake.named import ALL, named, with_sources
from lake.snapshot import Snapshot
from lake.store_errors import masked, plain
from lake.tables import TABLES
from lake.views import VIEWS

Connection = duckdb.DuckDBPyConnection

# What Arrow makes of DuckDB's HUGEINT.
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
# A file that cannot be read is an invalid input, too; its path tells, or the name of an Arrow
# dataset.
_OF_LAKE = re.compile(rf"/(?:{'|'.join(TABLES)})/[^'\"]*\.parquet|stream registered as '")
_POLL_S = 0.05
# So DuckDB's binding says that Ctrl-C was pressed.
_INTERRUPTED = "Query interrupted"
# Names the files that hold what does not fit into memory.
_SPILLED = "basislake-duckdb-"
# DuckDB shows a line of ours below what it says.
_LINE = "\n\nLINE "

# Opens the tables of some names, by name.
Opening = Callable[[Collection[str]], Mapping[str, Snapshot]]


def connect(
    opening: Opening,
    names: Collection[str] = ALL,
    *,
    beside: Mapping[str, pl.DataFrame] | None = None,
) -> Connection:
    """Return an in-memory connection with a view per table, and those of `lake.views`.

    The views read exactly the files of the snapshots: files that a commit has removed are never
    read, and later commits do not show. Times are in UTC. No DuckDB extension is needed or
    downloaded.

    Args:
        opening: opens tables of the lake.
        names: of the tables and views to have, together with what those views read.
        beside: further frames to ask, by name.

    Raises:
        LakeError: the lake cannot be read.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(_without_views())
        _add_views(connection, opening, with_sources(names))
        for name, frame in (beside or {}).items():
            connection.register(name, frame)
        stack.pop_all()
        return connection


def answer(opening: Opening, query: str) -> pl.DataFrame:
    """Return the rows of one query over a lake; only tables that it can read are opened.

    Args:
        opening: opens tables of the lake.
        query: see `rows`.

    Raises:
        UsageError, GoneError, LakeError: see `rows`.
    """
    with _without_views() as connection:
        names = named(connection, query)
        _add_views(connection, opening, with_sources(names))
        try:
            return rows(connection, query)
        except UsageError as exc:
            if names == ALL or not isinstance(exc.__cause__, duckdb.CatalogException):
                raise
        # DuckDB has run nothing yet. With all names there it suggests the similar ones.
        _add_views(connection, opening, ALL - with_sources(names))
        return rows(connection, query)


def _without_views() -> duckdb.DuckDBPyConnection:
    with _explained("DuckDB cannot open the lake"), ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect(config={"temp_directory": _spill_folder()}))
        connection.execute("SET TimeZone = 'UTC'")
        # It would go to stdout, among the results, where Python has no script of its own to run.
        connection.execute("SET enable_progress_bar = false")
        stack.pop_all()
        return connection


def _add_views(
    connection: duckdb.DuckDBPyConnection, opening: Opening, names: Collection[str]
) -> None:
    snapshots = opening([name for name in TABLES if name in names])
    with _explained("DuckDB cannot open the lake"):
        for snapshot in snapshots.values():
            _view(connection, snapshot)
        for view in VIEWS:
            if view.name in names:
                connection.execute(view.ddl)


def _spill_folder() -> str:
    """A folder for what does not fit into memory, which DuckDB makes when it needs it and removes;
    its own choice is the working folder, which may not be writable.
    """
    return str(Path(tempfile.gettempdir()) / f"{_SPILLED}{uuid4().hex}")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours; `what` begins the sentence."""
    try:
        yield
    except duckdb.Error as exc:
        raise _lake_error(what, exc) from exc
    except RuntimeError as exc:
        if str(exc) == _INTERRUPTED:
            raise KeyboardInterrupt from exc
        raise _lake_error(what, exc) from exc


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text.

    Attributes:
        text: it alone.
        gives_rows: whether it is a question, as opposed to a setting or a change.
    """

    text: str
    gives_rows: bool


def statements(connection: Connection, text: str) -> list[Statement]:
    """Return the statements of a text, which are separated by semicolons; nothing is run.

    Raises:
        UsageError: DuckDB cannot read it.
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
    """Return the rows of a query; of a statement that is none, what DuckDB says of it.

    Sums of whole numbers, which DuckDB counts in 128 bits, come back as whole numbers of 64, and
    intervals as texts. Ctrl-C ends the query.

    Raises:
        UsageError: DuckDB refuses the query.
        GoneError: it reads rows that cannot be had any more.
        LakeError: the lake cannot be read, or memory or disk do not suffice.
    """
    with _refused():
        found = _asked(connection, query)
        return found.with_columns(_whole(found[name]) for name in found.columns)


@contextmanager
def _refused() -> Iterator[None]:
    """Turn what DuckDB or Polars say of a query into our errors; see `rows`."""
    try:
        yield
    except duckdb.Error as exc:
        _, is_gone, why = str(exc).partition(GONE)
        if is_gone:
            raise GoneError(why) from exc
        if isinstance(exc, _OF_QUERY) and not _OF_LAKE.search(str(exc)):
            raise UsageError(f"DuckDB refuses the query: {masked(str(exc))}") from exc
        raise _lake_error("DuckDB cannot answer the query", exc) from exc
    except pl.exceptions.PolarsError as exc:
        raise UsageError(
            "A column of the answer has a type that cannot be shown; cast it to VARCHAR: "
            f"{str(exc).partition('Hint:')[0].strip()}"
        ) from exc


def _asked(connection: Connection, query: str) -> pl.DataFrame:
    """The rows, asked for in a thread of their own: Ctrl-C is heeded only between two steps of the
    interpreter, and a query is one. It may wake a thread of DuckDB's instead of this one, which
    therefore looks up now and then.
    """
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_frame, connection, query)
        try:
            while not running.done():
                wait([running], _POLL_S)
            return running.result()
        except BaseException:
            # Once is not enough where the query has not begun.
            while not running.done():
                connection.interrupt()
                wait([running], _POLL_S)
            raise


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


def _lake_error(what: str, error: Exception) -> LakeError:
    told = plain(str(error).partition(_LINE)[0]).rstrip(".")
    # Of a file that makes no sense DuckDB often does not name the file.
    hint = " Where a file is damaged, `basislake fingerprint --verify` names it."
    if _SPILLED in told:
        hint = " What does not fit into memory goes to the folder that TMPDIR names."
    elif isinstance(error, duckdb.OutOfMemoryException | RuntimeError):
        hint = ""
    return LakeError(f"{what}: {told}. The lake is unchanged.{hint}")


def _whole(column: pl.Series) -> pl.Series:
    """Numbers of 128 bits as such of 64; as they are where one is larger, and other columns."""
    if column.dtype != _HUGE:
        return column
    cast = column.cast(pl.Int64, strict=False)
    return cast if cast.null_count() == column.null_count() else column


def _view(connection: Connection, snapshot: Snapshot) -> None:
    rows = rows_sql(connection, snapshot)
    connection.execute(f"CREATE VIEW {snapshot.table.name} AS {rows}")
