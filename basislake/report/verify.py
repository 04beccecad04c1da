"""Asks every query of an existing report again, and names what differs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from basislake import PROGRAM
from basislake.asof import opened
from basislake.report.beside import Loaded
from basislake.report.facts import FIGURES, Facts, Rows, answers, from_json
from basislake.report.figures import Figure
from basislake.report.files import Place, place
from basislake.report.page import facts_in, page
from lake import Lake
from lake.counts import counted
from lake.errors import LakeError

# Figures that are about the database, which has no versions to go back to.
_OF_DATABASE = {"parity", "database-storage"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure that was not found as the report has it.

    Attributes:
        figure: its name; `page` for the page around the figures.
        reason: what differs, or why it cannot be told.
    """

    figure: str
    reason: str


@dataclass(slots=True)
class Verified:
    """What a report was found to be.

    Attributes:
        path: of the page.
        as_of: the newest batch of the lake that it was made from.
        queries: asked again.
        differing: figures whose rows are others now.
        open: figures that cannot be compared any more, for a reason that is no fault.
        seconds: that it took.
    """

    path: str
    as_of: int
    queries: int = 0
    differing: list[Finding] = field(default_factory=list)
    open: list[Finding] = field(default_factory=list)
    seconds: float = 0.0


def verify(
    where: Lake,
    output: Path | None,
    loaded: Loaded | None,
    threads: int,
    report: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> Verified:
    """Ask each figure's query of the lake as of the batch that the report was made from, and
    compare all rows.

    Both files are read, and must say the same; the page must be what its facts come to. Only
    queries that this program declares are run: a file is no reason to run what it says.

    Args:
        where: the lake.
        output: folder of the report, see `files.place`.
        loaded: where the database is, None where there is none.
        threads: see `facts.gather`.
        report: see `facts.gather`.

    Raises:
        UsageError: there is no folder for it.
        LakeError: there is no report, or the lake cannot be read, or has no such batch.
        LoadError: the database cannot be read.
    """
    start_s = time.perf_counter()
    at = place(where, output)
    facts, text = _read(at)
    found = Verified(str(at.page), facts.as_of)
    shown = from_json(facts_in(text) or "", str(at.page))
    # A report of another program looks different, and rightly so.
    if facts.program == PROGRAM and shown == facts and not _is_page_of(facts, text):
        reason = "the page does not match the facts in it; run `basislake report` again"
        found.differing.append(Finding("page", reason))
    with opened(where, facts.as_of or None, facts.built) as still:
        made_at = datetime.fromisoformat(facts.made_at)
        asked = answers(still, made_at, loaded, threads)
        for done, (figure, rows) in enumerate(asked, 1):
            report(done, len(FIGURES), figure.name)
            found.queries += 1
            _compare(figure, rows, facts, shown, found, has_database=loaded is not None)
    found.seconds = time.perf_counter() - start_s
    return found


def _read(at: Place) -> tuple[Facts, str]:
    try:
        return from_json(at.json.read_bytes(), str(at.json)), at.page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise LakeError(
            f"There is no report in {at.folder} that can be read: {exc}. `basislake report` makes "
            "one."
        ) from exc


def _is_page_of(facts: Facts, text: str) -> bool:
    try:
        return page(facts) == text
    except (LookupError, TypeError, ValueError, AttributeError):
        # Facts that no lake has said.
        return False


def _compare(
    figure: Figure, rows: Rows, facts: Facts, shown: Facts, found: Verified, *, has_database: bool
) -> None:
    name = figure.name
    if shown.rows[name] != facts.rows[name]:
        found.differing.append(Finding(name, "the page and report.json say different things"))
    elif facts.queries[name] != figure.sql or shown.queries[name] != figure.sql:
        found.differing.append(Finding(name, "another query gave it; run `basislake report` again"))
    elif reason := _why_open(figure, rows, facts, has_database=has_database):
        found.open.append(Finding(name, reason))
    elif rows != facts.rows[name]:
        found.differing.append(Finding(name, _difference(rows, facts.rows[name])))


def _why_open(figure: Figure, rows: Rows, facts: Facts, *, has_database: bool) -> str:
    """Why a figure cannot be compared; empty where it can."""
    if figure.name not in _OF_DATABASE and not figure.is_lasting:
        return "maintenance changes it"
    if figure.name not in _OF_DATABASE or not facts.has_database:
        # A database that came later is no part of the report.
        return "no database was asked then" if figure.name in _OF_DATABASE and has_database else ""
    if not has_database:
        return "there is no database to ask any more"
    if not figure.is_lasting:
        return "the database's own maintenance changes it"
    if rows["loaded_at"] != facts.rows[figure.name]["loaded_at"]:
        return "the database was loaded since"
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
