"""Atomic replacement of files: a reader sees the old file or the new one, never a mixture."""

import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# A link in these folders, such as /dev/stdout, refers to a stream that is already open.
_OPENED = (Path("/dev"), Path("/proc"))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces the one at a path when the block ends.

    The new file is written in the same folder, with the permissions of the old one. If the path is
    a link, the file that it points to is replaced. A pipe or a device is written directly.

    Raises:
        OSError: it cannot be written; then, and if the block fails, the old file is unchanged.
    """
    there = _mode(path)
    if there is not None and _is_stream(path, there):
        with path.open("wb") as sink:
            yield sink
        return
    target = path.resolve()
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    sink = part.open("xb")
    try:
        with sink:
            if there is not None:
                part.chmod(stat.S_IMODE(there))
            yield sink
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _is_stream(path: Path, mode: int) -> bool:
    is_opened = path.is_symlink() and any(map(path.absolute().is_relative_to, _OPENED))
    return is_opened or not stat.S_ISREG(mode)
