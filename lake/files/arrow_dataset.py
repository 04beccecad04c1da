"""Files of a table as an Arrow dataset. DuckDB reads a dataset from any store without an extension,
and from a folder of any name.
"""

import atexit
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
from deltalake.fs import DeltaStorageHandler

from lake.files.parquet import partition_of
from lake.location.urls import is_local
from lake.snapshot import Snapshot
from lake.table import Table

# Between two reads of an abandoned query Arrow has closed its files, and opens others at once.
_QUIET_S = 0.4
# With an open file Arrow decodes, which takes a while on a busy machine; or the query's answer was
# not read to its end, and no further read follows.
_QUIET_HELD_S = 3.0
_POLL_S = 0.02
_LONGEST_WAIT_S = 30.0


def dataset(snapshot: Snapshot, paths: Sequence[str]) -> ds.Dataset:
    """Return the rows of some files of a table as a dataset; nothing is read yet.

    Args:
        snapshot: of the table.
        paths: of the files, at least one, relative to the table's folder.
    """
    table = snapshot.table
    return ds.FileSystemDataset.from_paths(
        list(paths),
        schema=table.arrow_schema,
        format=ds.ParquetFileFormat(),
        filesystem=_filesystem(snapshot),
        partitions=[_known(table, path) for path in paths],
    )


def _filesystem(snapshot: Snapshot) -> pafs.FileSystem:
    if is_local(snapshot.uri):
        return pafs.SubTreeFileSystem(snapshot.uri, pafs.LocalFileSystem())
    # Otherwise Arrow requests the size of each file from the store, one after the other.
    sizes = {file.path: file.bytes for file in snapshot.files}
    return pafs.PyFileSystem(_Handler(snapshot.uri, snapshot.options, sizes))


def _known(table: Table, path: str) -> ds.Expression:
    """A filter that is true for every row of a file."""
    if table.partition is None:
        return ds.scalar(value=True)
    return ds.field(table.partition) == partition_of(table, path)


class _Handler(DeltaStorageHandler):
    """A store whose reads end when nobody uses it any more, or when the program ends.

    Arrow reads ahead in its own threads, even for a query that has finished; such a thread crashes
    the interpreter if it returns to it during shutdown. So the program waits for the threads when
    it ends. A thread that releases the store must not wait: it may be one of Arrow's.
    """

    def __init__(self, uri: str, options: Mapping[str, str], sizes: Mapping[str, int]) -> None:
        super().__init__(uri, dict(options), dict(sizes))
        self._reads = _Reads()
        atexit.register(self._reads.end)
        weakref.finalize(self, self._reads.abandon).atexit = False

    def open_input_file(self, path: str) -> pa.PythonFile:
        with self._reads:
            return pa.PythonFile(self._reads.held(_File(self._handler.open_input_file(path))))


class _Reads:
    """Tracks running reads, all reads ever started, and the files that Arrow has still open."""

    def __init__(self) -> None:
        # A file may be released at any point, even by a thread that has the lock.
        self._lock = threading.RLock()
        self._under_way = self._begun = self._held = 0
        self._is_over = self._is_abandoned = False

    def __enter__(self) -> None:
        with self._lock:
            self._begun += 1
            if self._is_over:
                raise OSError("the read was abandoned")
            self._under_way += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._under_way -= 1

    def held(self, file: "_File") -> "_File":
        """Return the file after registering it until nobody uses it any more."""
        with self._lock:
            self._held += 1
        file.reads = self
        weakref.finalize(file, self._let_go).atexit = False
        return file

    def _let_go(self) -> None:
        with self._lock:
            self._held -= 1
            self._forget_if_done()

    def abandon(self) -> None:
        """Refuse further reads: the store is released, and no file can be opened any more."""
        with self._lock:
            self._is_over = self._is_abandoned = True
            self._forget_if_done()

    @property
    def _is_done(self) -> bool:
        return self._is_abandoned and not self._held and not self._under_way

    def _forget_if_done(self) -> None:
        if self._is_done:
            atexit.unregister(self.end)

    def end(self) -> None:
        """Refuse further reads, and wait until the store and all files are released; or until no
        read has run or been tried for a while, a longer one while a file is open.
        """
        self._is_over = True
        started_s = quiet_since_s = time.monotonic()
        seen = self._begun
        while (now_s := time.monotonic()) - started_s < _LONGEST_WAIT_S:
            if self._is_done or not self._begun:
                return
            if self._under_way or seen != self._begun:
                seen, quiet_since_s = self._begun, now_s
            elif now_s - quiet_since_s > (_QUIET_HELD_S if self._held else _QUIET_S):
                return
            time.sleep(_POLL_S)


class _File:
    """An open file whose reads are counted."""

    reads: _Reads

    def __init__(self, file: Any) -> None:  # noqa: ANN401  (the library hides it)
        self._file = file

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._file, name)

    def read(self, count: int) -> bytes:
        with self.reads:
            found: bytes = self._file.read(count)
            return found
