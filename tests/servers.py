"""Data of an embedded PostgreSQL, created once a test run, and copies of it for servers."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from load.embedded.server import embedded

# Puts a copy into a folder that is not there yet.
Data = Callable[[Path], None]

# A server of a test need not survive a crash of the machine. It must survive being killed, so what
# is committed is handed to the system.
_HASTE = """
fsync = off
full_page_writes = off
"""


def make_data(folder: Path) -> Path:
    """Have the product make the data, as it would for a lake, in a new folder of this one."""
    data = folder / "data"
    with embedded(data):
        pass
    with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_HASTE)
    return data


def copy_data(data: Path, folder: Path) -> None:
    """Copy them with their owner and rights."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(data), str(folder)], check=True)  # noqa: S607


def pid_of(folder: Path) -> int:
    """The process of the server that runs, or ran last, in a folder."""
    return int((folder / "postmaster.pid").read_text().split()[0])
