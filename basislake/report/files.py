"""Files of a report, replaced atomically: a reader sees the old file or the new one."""

from dataclasses import dataclass
from pathlib import Path

from basislake.output.whole_files import replacing
from lake import Lake
from lake.errors import UsageError

PAGE, JSON = "index.html", "report.json"
FOLDER = "report"


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a report.

    Attributes:
        folder: of its two files.
    """

    folder: Path

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / PAGE

    @property
    def json(self) -> Path:
        """The facts."""
        return self.folder / JSON


def place(lake: Lake, output: Path | None) -> Place:
    """Return the place of a lake's report.

    Args:
        lake: to report on.
        output: a folder, by default `report` in a lake on this machine's disk.

    Raises:
        UsageError: the lake is in an object store, and no folder is given.
    """
    if output is None and not lake.is_local:
        raise UsageError(
            f"The lake at {lake.uri} is not on this machine's disk; give --output FOLDER for its "
            "report."
        )
    return Place(output or Path(lake.uri) / FOLDER)


def write(path: Path, data: bytes) -> None:
    """Write or replace a file; create its folder if missing.

    Raises:
        OSError: it cannot be written; the old file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as sink:
        sink.write(data)
