"""Ways to damage a file of a lake, and where the damage is."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lake import Lake
from lake.table import Table


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """Of the same size, with other bytes within: it may be read still, and holds other rows."""
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) // 3 + 8):
        data[place] ^= 0xFF
    path.write_bytes(data)


def garbled(path: Path) -> None:
    """Of the same size, and half of it is noise."""
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4)
    path.write_bytes(data)


def footless(path: Path) -> None:
    """Of the same size, but without any readable structure."""
    data = bytearray(path.read_bytes())
    data[-8:-4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)


def removed(path: Path) -> None:
    path.unlink()


# After these it cannot be read.
DAMAGES: Mapping[str, Callable[[Path], None]] = {
    each.__name__: each for each in (truncated, emptied, garbled, footless, removed)
}


def file_of(lake: Lake, table: Table, partition: str | None = None) -> Path:
    """The newest file of a table on disk, or of one partition of it."""
    snapshot = lake.snapshot(table)
    files = snapshot.files if partition is None else snapshot.of(partition)
    return Path(snapshot.uri) / files[-1].path
