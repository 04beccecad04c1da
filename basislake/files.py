"""Files that are replaced as a whole: a reader sees the old one or the new one, never a part."""

import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# A link in these, such as /dev/stdout, stands for something that is open already.
_OPENED = (Path("/dev"), Path("/proc"))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of the one at a path when the block ends.

    It is written beside it, with its permissions. A link keeps standing for what it stood for. What
    is no file, as a pipe or a device, is written to itself.

    Raises:
        OSError: it cannot be written; as where the block fails, what was there is as it was.
    """
    there = _mode(path)
    if there is not None and _is_stream(path, there):
        with path.open("wb") as sink:
            yield sink
        return
    target = path.resolve()
    beside = target.with_name(f".{uuid.uuid4().hex}.part")
    sink = beside.open("xb")
    try:
        with sink:
            if there is not None:
                beside.chmod(stat.S_IMODE(there))
            yield sink
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _is_stream(path: Path, mode: int) -> bool:
    is_opened = path.is_symlink() and any(map(path.absolute().is_relative_to, _OPENED))
    return is_opened or not stat.S_ISREG(mode)
