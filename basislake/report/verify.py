"""Verification of an existing report: runs every query again, and names the differences."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from basislake import PROGRAM
from basislake.pipeline.build_as_of import opened
from basislake.report.facts import FIGURES, Facts, Rows, answers, from_json
from basislake.report.figures import Figure
from basislake.report.make import JSON, PAGE, folder_of
from basislake.report.page import facts_in, page
from basislake.settings.database_target import Target
from lake import Lake
from lake.counted_words import counted
from lake.errors import LakeError

# Figures about the database, which has no older versions.
_OF_DATABASE = {"parity", "database-storage"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure that differs from the report, or cannot be compared.

    Attributes:
        figure: its name; `page` for the page around the figures.
        reason: what differs, or why the figure cannot be compared.
    """

    figure: str
    reason: str


@dataclass(slots=True)
class Verified:
    """Result of the verification of a report.

    Attributes:
        path: of the page.
        as_of: the newest batch of the lake that the report was built from.
        queries: number of queries that ran again.
        differing: figures whose rows differ now.
        open: figures that can no longer be compared, for a legitimate reason.
        seconds: duration of the verification.
    """

    path: str
    as_of: int
    queries: int = 0
    differing: list[Finding] = field(default_factory=list)
    open: list[Finding] = field(default_factory=list)
    seconds: float = 0.0


def verify(
    lake: Lake,
    output: Path | None,
    loaded: Target | None,
    threads: int,
    report: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> Verified:
    """Run each figure's query on the lake as of the batch that the report was built from, and
    compare all rows.

    Also compare both files of the report with each other, and the page with the facts embedded in
    it. Run only queries that this program declares, never one that is only in a file.

    Args:
        lake: to read.
        output: folder of the report, see `make.folder_of`.
        loaded: see `facts.gather`.
        threads: see `facts.gather`.
        report: see `facts.gather`.

    Raises:
        UsageError: there is no folder for it.
        LakeError: there is no report, or the lake cannot be read, or has no such batch.
        LoadError: the database cannot be read.
    """
    start_s = time.perf_counter()
    folder = folder_of(lake, output)
    facts, text = _read(folder)
    path = str(folder / PAGE)
    found = Verified(path, facts.as_of)
    shown = from_json(facts_in(text) or "", path)
    # The page of another version of the program may look different.
    if facts.program == PROGRAM and shown == facts and not _is_page_of(facts, text):
        reason = "the page does not match the facts in it; run `basislake report` again"
        found.differing.append(Finding("page", reason))
    with opened(lake, facts.as_of or None, facts.built) as still:
        made_at = datetime.fromisoformat(facts.made_at)
        asked = answers(still, made_at, loaded, threads)
        for done, (figure, rows) in enumerate(asked, 1):
            report(done, len(FIGURES), figure.name)
            found.queries += 1
            _compare(figure, rows, facts, shown, found, has_database=loaded is not None)
    found.seconds = time.perf_counter() - start_s
    return found


def _read(folder: Path) -> tuple[Facts, str]:
    path = folder / JSON
    try:
        return from_json(path.read_bytes(), str(path)), (folder / PAGE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise LakeError(
            f"There is no readable report in {folder}: {exc}. `basislake report` writes one."
        ) from exc


def _is_page_of(facts: Facts, text: str) -> bool:
    try:
        return page(facts) == text
    except (LookupError, TypeError, ValueError, AttributeError):
        # Facts that did not come from a lake.
        return False


def _compare(
    figure: Figure, rows: Rows, facts: Facts, shown: Facts, found: Verified, *, has_database: bool
) -> None:
    name = figure.name
    if shown.rows[name] != facts.rows[name]:
        found.differing.append(Finding(name, "the page and report.json differ"))
    elif facts.queries[name] != figure.sql or shown.queries[name] != figure.sql:
        reason = "the query has changed; run `basislake report` again"
        found.differing.append(Finding(name, reason))
    elif reason := _why_open(figure, rows, facts, has_database=has_database):
        found.open.append(Finding(name, reason))
    elif rows != facts.rows[name]:
        found.differing.append(Finding(name, _difference(rows, facts.rows[name])))


def _why_open(figure: Figure, rows: Rows, facts: Facts, *, has_database: bool) -> str:
    """Why a figure cannot be compared; empty if it can."""
    if figure.name not in _OF_DATABASE and not figure.is_lasting:
        return "maintenance changes it"
    if figure.name not in _OF_DATABASE or not facts.has_database:
        # The report has no figures of a database that was added later.
        return "the report had no database" if figure.name in _OF_DATABASE and has_database else ""
    if not has_database:
        return "there is no database any more"
    if not figure.is_lasting:
        return "the database's own maintenance changes it"
    if rows["loaded_at"] != facts.rows[figure.name]["loaded_at"]:
        return "the database was loaded again since then"
    return ""


def _difference(now: Rows, then: Rows) -> str:
    if now.keys() != then.keys():
        return "it has other columns"
    lengths = {len(values) for values in then.values()}
    columns = [name for name, values in now.items() if values != then[name]]
    if len(next(iter(now.values()))) not in lengths:
        rows = counted(len(next(iter(now.values()))), "row")
        return f"{rows} now, {max(lengths, default=0):,} then"
    place = next(
        n for n, (a, b) in enumerate(zip(now[columns[0]], then[columns[0]], strict=True)) if a != b
    )
    a, b = now[columns[0]][place], then[columns[0]][place]
    return f"{', '.join(columns)}: e.g. row {place + 1} is {_short(a)} now, {_short(b)} then"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


_MOST_SHOWN = 60
