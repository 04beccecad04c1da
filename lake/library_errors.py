"""Turns errors of the libraries that read and write the lake into ours."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError

from lake.errors import ConflictError, DamagedError, LakeError, UsageError
from lake.files.polars_scan import scan_paths
from lake.location.store_errors import is_of_setting, plain
from lake.location.urls import is_local
from lake.table import Table
from lake.tables import CURATED

_FROM_BACKUP = "`basislake restore` restores it from a backup of this version"


def _of_libraries() -> tuple[type[BaseException], ...]:
    """Errors that the libraries raise; evaluated only after an error, because reading a lake on
    disk needs no Arrow.
    """
    import pyarrow as pa  # noqa: PLC0415

    return (DeltaError, OSError, pl.exceptions.PolarsError, pa.ArrowException)


def _of_reading() -> tuple[type[BaseException], ...]:
    """Errors that they raise if a file cannot be read. On malformed bytes one may panic, or find
    invalid text.
    """
    import pyarrow as pa  # noqa: PLC0415  (likewise)

    polars = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
    return (OSError, ValueError, pa.ArrowException, *polars)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the errors of the libraries into ours; `what` begins the sentence."""
    try:
        yield
    except CommitFailedError as exc:
        raise ConflictError(f"{what}: another writer was faster. Run the command again.") from exc
    except _of_libraries() as exc:
        kind = UsageError if is_of_setting(str(exc)) else LakeError
        raise kind(f"{what}: {plain(str(exc)).rstrip('.')}.") from exc


@contextmanager
def reading(
    table: Table, uri: str, paths: Collection[str], options: Mapping[str, str]
) -> Iterator[None]:
    """Turn the errors of reading files of a table into ours, which name the file.

    Args:
        table: the declaration.
        uri: the table's folder.
        paths: of the files to read, relative to the table's folder.
        options: storage options of the object store.

    Raises:
        DamagedError: a file is missing or cannot be decoded.
        LakeError: the store does not answer, or refuses.
    """
    what = f"{table.name} cannot be read at {uri}"
    try:
        yield
    except _of_reading() as exc:
        message = plain(str(exc)).rstrip(".")
        if is_of_setting(str(exc)):
            raise UsageError(f"{what}: {message}.") from exc
        path = _unreadable(table, uri, paths, options) if _is_damage(exc, uri) else None
        if path is None:
            raise LakeError(f"{what}: {message}. Reading changed nothing.") from exc
        cure = "`basislake build --full` builds it again" if table in CURATED else _FROM_BACKUP
        raise DamagedError(
            f"{what}: {path} is damaged or missing ({message}). Reading changed nothing. "
            f"{cure}; `basislake fingerprint --verify` lists every damaged file."
        ) from exc


def _is_damage(error: BaseException, uri: str) -> bool:
    """Whether reading again cannot help; false if a store or a disk does not answer."""
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        # Arrow raises this for malformed bytes; an error of the system has a number.
        return is_local(uri) and error.errno is None
    return not isinstance(error, MemoryError)


def _unreadable(
    table: Table, uri: str, paths: Collection[str], options: Mapping[str, str]
) -> str | None:
    """The path of the first file that cannot be read, since not every library names it; None if
    all can be read now.
    """
    if len(set(paths)) == 1:
        return next(iter(paths))
    for path in dict.fromkeys(paths):
        try:
            scan_paths(table, uri, [path], options).collect()
        except _of_reading():
            return path
    return None
