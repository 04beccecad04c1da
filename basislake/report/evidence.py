"""Completion evidence of the users' guide, as text files: row counts, failed instruments,
validation of the basis, acceptance criteria.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

import polars as pl

from basislake.report import criteria, proofs
from basislake.report.criteria import Criterion
from basislake.report.facts import Facts
from basislake.report.lake_facts import LAKE_FILES, file_frame, scope_frames
from basislake.report.make import write
from ingest.plan.scope import described, scope_of
from lake import Lake
from lake.errors import LakeError, UsageError
from lake.query import duck
from load.tables import FUTURES_OHLCV

_Ask: TypeAlias = Callable[[str], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """The written evidence.

    Attributes:
        folder: of the files.
        files: their names.
        criteria: the acceptance criteria, decided.
    """

    folder: str
    files: tuple[str, ...]
    criteria: tuple[Criterion, ...]


def evidence(lake: Lake, facts: Facts, folder: Path) -> ReportEvidence:
    """Compute the evidence from all rows, and write it.

    The whole basis is computed again from the candles; 40 M rows take about 10 seconds and 1 GB.

    Args:
        lake: the lake at one moment.
        facts: of a report at the same moment.
        folder: created if missing.

    Raises:
        LakeError: the lake cannot be read.
        OSError: the files cannot be written.
    """
    with _asking(lake) as ask:
        decided = (
            criteria.registry(ask(proofs.REGISTRY).to_dicts(), described(scope_of(lake))),
            criteria.deliveries(ask(proofs.DELIVERIES).to_dicts()),
            criteria.basis(
                ask(proofs.BASIS_ORIGIN).to_dicts(), ask(proofs.BASIS_FORMULAS).to_dicts()
            ),
            criteria.lake_storage(ask(proofs.FUTURES_STORAGE).to_dicts()),
            *_database(facts),
        )
        texts = {
            "row_counts.txt": _text(
                "Row counts per currency",
                [_part(proofs.ROW_COUNTS, ask), "In PostgreSQL:", _shown("parity", facts)],
            ),
            "failed_instruments.txt": _text("Failed and empty instruments", [_failed(facts)]),
            "basis_validation.txt": _text(
                "Validation of the basis",
                [
                    "Rows of `basis` compared with a new join of the candles:",
                    _part(proofs.BASIS_ORIGIN, ask),
                    "Values that differ from their formula, compared bit by bit:",
                    _part(proofs.BASIS_FORMULAS, ask),
                    "Distribution of the basis:",
                    _part(proofs.BASIS_RANGE, ask),
                ],
            ),
            "acceptance.txt": _text(
                "Acceptance criteria",
                [
                    _LEGEND,
                    *(
                        f"{c.name}: {c.verdict}\n  asks:  {c.asks}\n  found: {c.figure}"
                        for c in decided
                    ),
                    "Futures by length and coverage:",
                    _part(proofs.REGISTRY, ask),
                    "Expired futures by the state of their delivery:",
                    _part(proofs.DELIVERIES, ask),
                    "Storage of the futures' partitions:",
                    _part(proofs.FUTURES_STORAGE, ask),
                ],
            ),
        }
    for name, text in texts.items():
        write(folder / name, (_head(facts, described(scope_of(lake))) + text).encode())
    return ReportEvidence(str(folder), tuple(texts), decided)


_LEGEND = """\
pass: the criterion is met.  FAIL: it is not, and the command ends with exit code 1.  open: there
is no data to decide it yet.

AC-009 multiplies the bytes per candle measured here by 13.2 M candles. In PostgreSQL, a candle with
its unique key takes 138 bytes, but the limit allows 113.6. So that part of AC-009 always fails
(docs/postgres.md explains it). In a small table a row takes somewhat more, as PostgreSQL reserves
pages."""


@contextmanager
def _asking(still: Lake) -> Iterator[_Ask]:
    """Yield a function that runs each query once."""
    frames = {LAKE_FILES.name: file_frame(still), **scope_frames(still)}
    with duck.connect(still.snapshots, extra=frames) as connection:
        try:
            yield cache(partial(duck.rows, connection))
        except UsageError as exc:
            raise LakeError(f"The evidence cannot be computed: {exc}") from exc


def _database(facts: Facts) -> list[Criterion]:
    if not facts.has_database:
        return [criteria.database_storage(0, 0)]
    parity, storage = facts.rows["parity"], facts.rows["database-storage"]
    rows = dict(zip(parity["table_name"], parity["database_rows"], strict=True))
    sizes = dict(zip(storage["table_name"], storage["bytes"], strict=True))
    name = FUTURES_OHLCV.name
    return [criteria.database_storage(rows.get(name, 0), sizes.get(name, 0))]


def _head(facts: Facts, scope: str) -> str:
    return (
        f"Lake {facts.lake}, at {facts.made_at}, by {facts.program}\nScope: {scope}\n"
        f"Fingerprint {facts.rows['fingerprint']['sha256'][-1]}\nAs of batch {facts.as_of}\n\n"
    )


def _text(title: str, parts: Sequence[str]) -> str:
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *parts]) + "\n"


def _part(sql: str, ask: _Ask) -> str:
    frame = ask(sql)
    return f"{_table(frame.columns, frame.rows())}\n\n{_quoted(sql)}"


def _failed(facts: Facts) -> str:
    states = facts.rows["unanswered"]["state"]
    counts = (
        f"{states.count('failed')} failed (asked, minutes without an answer), "
        f"{states.count('empty')} empty (answered, nothing traded yet)"
    )
    return f"{counts}\n\n{_shown('unanswered', facts)}"


def _shown(figure: str, facts: Facts) -> str:
    """A figure of the report."""
    rows = facts.rows[figure]
    lines = list(zip(*rows.values(), strict=True))
    return f"{_table(list(rows), lines)}\n\n{_quoted(facts.queries[figure])}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned cells, numbers to the right."""
    if not rows:
        return "(no rows)"
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
    is_number = [any(isinstance(row[n], int | float) for row in rows) for n in range(len(columns))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in cells
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    # Control characters, which a terminal would interpret, are replaced.
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


def _quoted(sql: str) -> str:
    return "By the query:\n" + "\n".join(f"    {line}" for line in sql.splitlines())
