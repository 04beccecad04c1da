"""Files of a table for DuckDB, from any store without an extension, and from a folder of any
name.
"""

import atexit
import threading
import weakref
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import duckdb
import pyarrow.fs as pafs
from deltalake.fs import DeltaStorageHandler
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from lake.library_errors import reading
from lake.location.urls import is_local
from lake.query import duck_database
from lake.snapshot import Snapshot

# A file of a table never changes.
_WRITTEN = datetime(1970, 1, 1, tzinfo=UTC)


def files_for(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> "DuckFiles":
    """Return the files of a table after making their addresses known to a connection.

    Args:
        connection: to a database that `duck_database.open_database` has opened.
        snapshot: of the table.
    """
    files = DuckFiles(snapshot)
    connection.register_filesystem(files)
    at_exit = partial(_end_threads, duck_database.name_of(connection))
    atexit.register(at_exit)
    # The database keeps the files, whatever keeps the database.
    weakref.finalize(files, atexit.unregister, at_exit).atexit = False
    return files


def _end_threads(name: str) -> None:
    """End the threads of a database when the program ends. For a result that is not fetched to its
    end they read on, and would crash the interpreter by calling it after its end.
    """
    # A user can forbid it.
    with suppress(duckdb.Error):
        duck_database.join(name).execute("SET threads = 1; SET async_threads = 0")


class DuckFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files of one version of a table, at addresses like `candles://instrument=X/NAME`.

    So DuckDB sees nothing of the folders above, which it would take for patterns or columns.

    Attributes:
        protocol: the table's name.
    """

    # Otherwise the library keeps every instance.
    cachable = False

    def __init__(self, snapshot: Snapshot) -> None:
        """Prepare to read; nothing is read yet."""
        super().__init__()
        self._snapshot = snapshot
        self.protocol = snapshot.table.name
        # Without these, each file costs a call that returns its size.
        self._sizes = {file.path: file.bytes for file in snapshot.files}
        if is_local(snapshot.uri):
            self._store = pafs.SubTreeFileSystem(snapshot.uri, pafs.LocalFileSystem())
        else:
            handler = DeltaStorageHandler(snapshot.uri, dict(snapshot.options), self._sizes)
            self._store = pafs.PyFileSystem(handler)

    def addresses(self, paths: Iterable[str]) -> list[str]:
        """Return the addresses of files at paths in the table's folder."""
        return [f"{self.protocol}://{path}" for path in paths]

    def open(self, path: str, *_: object, **__: object) -> "_File":
        """Open a file for reading.

        Raises:
            LakeError: the file cannot be opened. Reads and seeks of the file raise it, too.
        """
        return _File(self, self._path(path))

    def opened(self, path: str) -> Any:  # noqa: ANN401  (the library has no types)
        """Open a file at a path in the table's folder, for one thread."""
        return self._store.open_input_file(path)

    def reading(self, path: str) -> AbstractContextManager[None]:
        """Turn errors of reading a file into ours."""
        table = self._snapshot
        return reading(table.table, table.uri, [path], table.options)

    def glob(self, path: str, **_: object) -> list[str]:
        """Return the address itself: no character of it is a pattern."""
        return [path]

    def exists(self, path: str, **_: object) -> bool:
        """Whether this version of the table has the file."""
        return self._path(path) in self._sizes

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """The size of a file, in bytes."""
        return {"name": path, "size": self._sizes[self._path(path)], "type": "file"}

    def modified(self, _path: str) -> datetime:
        """The same time for every file, since none ever changes."""
        return _WRITTEN

    def _path(self, address: str) -> str:
        return address.removeprefix(f"{self.protocol}://")


class _File:
    """A file that several threads read at once, each at a position of its own.

    Not a `threading.local`: what these threads keep there ends with each call.
    """

    def __init__(self, files: DuckFiles, path: str) -> None:
        self._all = files
        self._path = path
        self._files: dict[int, Any] = {}
        self.tell()

    def seek(self, position: int, whence: int = 0) -> int:
        with self._all.reading(self._path):
            found: int = self._own.seek(position, whence)
            return found

    def read(self, count: int = -1) -> bytes:
        with self._all.reading(self._path):
            found: bytes = self._own.read(count)
            return found

    def tell(self) -> int:
        with self._all.reading(self._path):
            found: int = self._own.tell()
            return found

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    @property
    def _own(self) -> Any:  # noqa: ANN401  (the library has no types)
        thread = threading.get_ident()
        if thread not in self._files:
            self._files[thread] = self._all.opened(self._path)
        return self._files[thread]
