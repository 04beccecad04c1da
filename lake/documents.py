"""Small documents next to the tables: notes of a program for people and for its next run.

They are not part of the data: losing them loses no row. A document is replaced as a whole, so a
reader sees the old text or the new one.
"""

from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from lake.files import parquet
from lake.lake import Lake
from lake.library_errors import explained


def put(lake: Lake, path: str, text: str) -> None:
    """Write a document, replacing an existing one.

    Args:
        lake: to write to.
        path: relative to the lake, e.g. `runs/2024-04-05.json`; built of validated names.
        text: the whole document.

    Raises:
        LakeError: the store cannot be written; the document is unchanged.
    """
    with explained(f"{path} cannot be written at {lake.uri}"):
        store = parquet.filesystem(lake.uri, lake.options)
        parquet.put(store, path, text.encode())


def texts(lake: Lake, folder: str, names: str, newest: int) -> dict[str, str]:
    """Return the newest documents of a folder by name, in descending order of names; none if there
    is no such folder.

    Args:
        lake: to read.
        folder: relative to the lake.
        names: of the documents, as a pattern such as `*.json`.
        newest: maximal number of documents.

    Raises:
        LakeError: the store cannot be read.
    """
    with explained(f"{folder} cannot be read at {lake.uri}"):
        # On disk without Arrow, which is slow to load and asks for the size first: that size is
        # wrong if the document is replaced meanwhile.
        store = None if lake.is_local else parquet.filesystem(lake.uri, lake.options)
        found = parquet.listed(store, folder) if store else _on_disk(lake, folder)
        paths = _last_first(found, folder, names)[:newest]
        data = {
            path: parquet.get(store, path) if store else Path(lake.uri, path).read_bytes()
            for path in paths
        }
    return {path: text.decode(errors="replace") for path, text in data.items()}


def prune(lake: Lake, folder: str, kept: int, names: str = "*") -> None:
    """Delete documents of a folder whose names match a pattern, in ascending order of names, until
    a number of them is left.
    """
    with explained(f"old files of {folder} cannot be deleted at {lake.uri}"):
        store = parquet.filesystem(lake.uri, lake.options)
        for path in _last_first(parquet.listed(store, folder), folder, names)[kept:]:
            # Another run may be deleting, too.
            with suppress(FileNotFoundError):
                store.delete_file(path)


def _last_first(paths: Iterable[str], folder: str, names: str) -> list[str]:
    return sorted((path for path in paths if fnmatchcase(path, f"{folder}/{names}")), reverse=True)


def _on_disk(lake: Lake, folder: str) -> list[str]:
    with suppress(FileNotFoundError):
        return [f"{folder}/{path.name}" for path in Path(lake.uri, folder).iterdir()]
    return []
