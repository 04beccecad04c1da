"""Creation of a report: facts, page, files."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from basislake.report.facts import FIGURES, Facts, gather, to_json
from basislake.report.files import place, write
from basislake.report.lake_facts import Loaded
from basislake.report.page import page
from lake import Lake


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
    loaded: Loaded | None,
    threads: int,
    report: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> tuple[Report, Facts]:
    """Write the report of a lake at one moment; return a summary and the facts.

    Args:
        lake: to read.
        output: folder of the two files, see `files.place`.
        made_at: the time of the report, UTC.
        loaded: address of the database, or None.
        threads: see `facts.gather`.
        report: see `facts.gather`.

    Raises:
        UsageError: there is no folder for it.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be read.
        OSError: the files cannot be written.
    """
    start_s = time.perf_counter()
    at = place(lake, output)
    facts = gather(lake, made_at, loaded, threads, report)
    text = page(facts).encode()
    write(at.json, to_json(facts))
    write(at.page, text)
    seconds = time.perf_counter() - start_s
    return Report(str(at.page), str(at.json), len(text), seconds, facts.as_of, len(FIGURES)), facts
