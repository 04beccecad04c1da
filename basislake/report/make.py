"""Creation of a report: facts, page, files."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from basislake.output.whole_files import replacing
from basislake.report.facts import FIGURES, Facts, gather, to_json
from basislake.report.page import page
from basislake.settings.database_target import Target
from lake import Lake
from lake.errors import UsageError

PAGE, JSON = "index.html", "report.json"


@dataclass(frozen=True, slots=True)
class Report:
    """The written report.

    Attributes:
        path: of the page.
        json_path: of the facts.
        bytes: of the page.
        seconds: duration.
        as_of: the newest batch in it, 0 for an empty lake.
        queries: number of figures, each with one query.
    """

    path: str
    json_path: str
    bytes: int
    seconds: float
    as_of: int
    queries: int


def make(
    lake: Lake,
    output: Path | None,
    made_at: datetime,
    loaded: Target | None,
    threads: int,
    report: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> tuple[Report, Facts]:
    """Write the report of a lake at one moment; return a summary and the facts.

    Args:
        lake: to read.
        output: folder of the two files, see `folder_of`.
        made_at: the time of the report, UTC.
        loaded: see `facts.gather`.
        threads: see `facts.gather`.
        report: see `facts.gather`.

    Raises:
        UsageError: there is no folder for it.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be read.
        OSError: the files cannot be written.
    """
    start_s = time.perf_counter()
    folder = folder_of(lake, output)
    facts = gather(lake, made_at, loaded, threads, report)
    text = page(facts).encode()
    write(folder / JSON, to_json(facts))
    write(folder / PAGE, text)
    paths = str(folder / PAGE), str(folder / JSON)
    seconds = time.perf_counter() - start_s
    return Report(*paths, len(text), seconds, facts.as_of, len(FIGURES)), facts


def folder_of(lake: Lake, output: Path | None) -> Path:
    """Return the folder of a lake's report: the given one, else `report` in the lake's folder.

    Raises:
        UsageError: the lake is in an object store, and no folder is given.
    """
    if output is None and not lake.is_local:
        raise UsageError(
            f"The lake at {lake.uri} is not on this machine's disk; give --output FOLDER for its "
            "report."
        )
    return output or Path(lake.uri) / "report"


def write(path: Path, data: bytes) -> None:
    """Write or replace a file atomically; create its folder if missing.

    Raises:
        OSError: it cannot be written; the old file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as sink:
        sink.write(data)
