"""Small documents beside the tables: what a program notes down for people and for its next run.

They are no part of the data: losing them loses no row. One is replaced as a whole, so a reader sees
the old text or the new one.
"""

from contextlib import suppress
from pathlib import Path

import pyarrow.fs as pafs

from lake import files
from lake.guard import explained
from lake.store import Lake


def put(lake: Lake, path: str, text: str) -> None:
    """Write a document, in place of the one that is there.

    Args:
        lake: that it belongs to.
        path: relative to the lake, e.g. `runs/2024-04-05.json`; made of names that were checked.
        text: all of it.

    Raises:
        LakeError: the store cannot be written; the document is as it was.
    """
    with explained(f"{path} cannot be written at {lake.uri}"):
        store = files.filesystem(lake.uri, lake.options)
        data = text.encode()
        # Arrow can hand a write to this store only through a buffer that holds it.
        with store.open_output_stream(path, buffer_size=len(data) + 1) as sink:
            sink.write(data)


def texts(lake: Lake, folder: str, suffix: str, newest: int) -> dict[str, str]:
    """Return the documents of a folder by name, the last names first; none where there is no such
    folder.

    Args:
        lake: that they belong to.
        folder: relative to the lake.
        suffix: that the names end with.
        newest: at most so many.

    Raises:
        LakeError: the store cannot be read.
    """
    if files.is_absent(lake.uri):
        return {}
    with explained(f"{folder} cannot be read at {lake.uri}"):
        store = files.filesystem(lake.uri, lake.options)
        found = store.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        paths = sorted((f.path for f in found if f.path.endswith(suffix)), reverse=True)[:newest]
        return {path: _read(lake, store, path) for path in paths}


def prune(lake: Lake, folder: str, kept: int) -> None:
    """Delete the documents of a folder with the first names, until so many are left."""
    with explained(f"{folder} cannot be tidied at {lake.uri}"):
        store = files.filesystem(lake.uri, lake.options)
        found = store.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        names = sorted((info.path for info in found), reverse=True)
        for path in names[kept:]:
            # Another run may be tidying, too.
            with suppress(FileNotFoundError):
                store.delete_file(path)


def _read(lake: Lake, store: pafs.FileSystem, path: str) -> str:
    # Arrow asks for the size first, which is another one where the document was replaced since.
    if lake.is_local:
        data = (Path(lake.uri) / path).read_bytes()
    else:
        data = store.open_input_stream(path).read()
    return data.decode(errors="replace")
