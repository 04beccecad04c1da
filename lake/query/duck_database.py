"""DuckDB's databases in memory, each with a name of its own, so that it can be joined again as long
as anything of it exists: a connection, a cursor, or a result that is not fetched to its end.
"""

import tempfile
from pathlib import Path
from uuid import uuid4

import duckdb

# How the names of the databases, and of the folders to which they spill, begin.
PREFIX = "basislake-duckdb-"


def open_database() -> duckdb.DuckDBPyConnection:
    """Return a connection to a new database, with times in UTC.

    It spills to a folder of its name, which DuckDB creates and removes; DuckDB's default is the
    working folder, which may not be writable.
    """
    name = f"{PREFIX}{uuid4().hex}"
    connection = join(name)
    folder = str(Path(tempfile.gettempdir()) / name).replace("'", "''")
    connection.execute(f"SET temp_directory = '{folder}'")
    connection.execute("SET TimeZone = 'UTC'")
    # If Python runs no script, DuckDB writes the progress bar to stdout, into the results.
    connection.execute("SET enable_progress_bar = false")
    return connection


def join(name: str) -> duckdb.DuckDBPyConnection:
    """Return a connection to the database of this name; to a new one if there is none."""
    return duckdb.connect(f":memory:{name}")


def name_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the name of a database; nobody has changed its settings yet."""
    ((folder,),) = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    return Path(folder).name
