"""Facts of a report: the rows of every figure, as plain values, the same in page and JSON."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from basislake import PROGRAM
from basislake.report import basis, carry, carry_proofs, completeness, market, operation, quality
from basislake.report.figures import HOURS, Figure
from basislake.report.lake_facts import database_frames, lake_frames, run_frames
from basislake.settings.database_target import Target
from lake import Lake
from lake.batches import newest_batch
from lake.errors import LakeError, UsageError
from lake.history.as_of import complete
from lake.query import duck
from lake.query.views.curves import TERM_STRUCTURE_LATEST
from lake.state import State

FORMAT = 4
_END_BATCH = 2**63
_READ_OFTEN = TERM_STRUCTURE_LATEST.name

# The parts of the page, and the figures of each, in its order.
SECTIONS: Mapping[str, tuple[Figure, ...]] = {
    "Market": (
        market.QUOTES,
        market.PRICE,
        market.CURVE,
        basis.FRONT,
        market.SPREADS,
        basis.SURFACE,
        market.OPEN_FUTURES,
        market.VOLUME,
        basis.MATURITY,
        basis.CONTRACTS,
        basis.TERM_STRUCTURE,
    ),
    "Carry": (
        carry.FUNDING_BASIS,
        carry.METHODS,
        carry.REALISED,
        carry.PREMIUM,
        carry.OPEN_INTEREST,
        carry_proofs.FUNDING_PROVED,
        carry_proofs.DELIVERY_PROVED,
    ),
    "Coverage": (
        completeness.SUMMARY,
        quality.SOUNDNESS,
        quality.VERDICT_COUNTS,
        completeness.COVERAGE,
        completeness.GAPS,
    ),
    "Quality": (quality.INSTRUMENTS, quality.RULES, basis.UNTRADED, quality.UNANSWERED),
    "Maintenance": (
        operation.RUNS,
        operation.PARITY,
        operation.STORAGE,
        operation.DATABASE_STORAGE,
        operation.FINGERPRINT,
    ),
}
FIGURES = tuple(figure for own in SECTIONS.values() for figure in own)

Rows = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a report.

    Attributes:
        program: name and version of the program that wrote it.
        made_at: its time, RFC 3339 in UTC.
        lake: name of the lake, without the path to it.
        as_of: the newest batch in it, 0 before the first.
        built: the newest batch that the curated tables are built from, 0 before a build.
        has_database: whether a database was queried.
        queries: SQL of each figure, by name.
        rows: of each figure, by name: its columns, each with its values in order; times are texts.
    """

    program: str
    made_at: str
    lake: str
    as_of: int
    built: int
    has_database: bool
    queries: Mapping[str, str]
    rows: Mapping[str, Rows]

    def first(self, figure: str) -> dict[str, Any]:
        """The first row of a figure that has one."""
        return {column: values[0] for column, values in self.rows[figure].items()}


def gather(
    lake: Lake,
    made_at: datetime,
    loaded: Target | None,
    threads: int,
    report: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> Facts:
    """Compute every figure of the lake at one moment.

    DuckDB streams the tables, so memory holds only aggregates.

    Args:
        lake: to read.
        made_at: the time of the report, UTC.
        loaded: the database by its URI, or None.
        threads: partitions read at once for the fingerprint, if it has to read any.
        report: called with the numbers of done and of all figures, and the name of the last one.

    Raises:
        LakeError: the lake cannot be read.
        LoadError: the database cannot be read.
    """
    still = complete(lake)
    rows = {}
    for done, (figure, found) in enumerate(answers(still, made_at, loaded, threads), 1):
        rows[figure.name] = found
        report(done, len(FIGURES), figure.name)
    return Facts(
        program=PROGRAM,
        made_at=made_at.isoformat(),
        lake=_name_of(lake),
        as_of=still.as_of or newest_batch(still),
        built=still.built_as_of(),
        has_database=loaded is not None,
        queries={figure.name: figure.sql for figure in FIGURES},
        rows=rows,
    )


def answers(
    still: State, made_at: datetime, loaded: Target | None, threads: int
) -> Iterator[tuple[Figure, Rows]]:
    """Compute one figure after the other; see `gather`."""
    frames = {
        **lake_frames(still, threads),
        **run_frames(still, made_at, operation.RUNS_SHOWN),
        **database_frames(still, loaded),
    }
    with duck.connect(still.snapshots, extra=frames) as connection:
        # Several figures read this view; as a table of the same name it is computed only once.
        duck.rows(connection, f"CREATE TEMP TABLE {_READ_OFTEN} AS FROM {_READ_OFTEN}")
        for name, sql in HOURS.items():
            duck.rows(connection, f"CREATE TEMP TABLE {name}_hours AS {sql}")
        for figure in FIGURES:
            try:
                with _hours_only(connection) if figure.is_hourly else nullcontext():
                    found = duck.rows(connection, figure.sql)
            except UsageError as exc:
                # The query is ours, so the lake must be at fault.
                raise LakeError(f"The figure {figure.name} cannot be computed: {exc}") from exc
            yield figure, _plain(found.to_dict(as_series=False))


@contextmanager
def _hours_only(connection: duck.Connection) -> Iterator[None]:
    """Replace the tables in HOURS by those hours for the block."""
    for name in HOURS:
        duck.rows(connection, f"CREATE TEMP VIEW {name} AS FROM {name}_hours")
    try:
        yield
    finally:
        for name in HOURS:
            duck.rows(connection, f"DROP VIEW temp.{name}")


def to_json(facts: Facts) -> bytes:
    """Return the facts as JSON, for report.json and for the page."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "program": facts.program,
            "made_at": facts.made_at,
            "lake": facts.lake,
            "as_of": facts.as_of,
            "built": facts.built,
            "has_database": facts.has_database,
            "figures": [
                {
                    "name": figure.name,
                    "title": figure.title,
                    "meaning": figure.meaning,
                    "units": figure.units,
                    "sql": facts.queries[figure.name],
                    "columns": facts.rows[figure.name],
                }
                for figure in FIGURES
            ],
        }
    )


def from_json(text: bytes | str, source: str) -> Facts:
    """Return the facts of a report.

    Args:
        text: JSON as of `to_json`.
        source: its origin, for messages.

    Raises:
        LakeError: it is no report, or one of another format.
    """
    try:
        found = orjson.loads(text)
        if found["format"] != FORMAT:
            raise LakeError(
                f"{source} is a report of format {found['format']!r}, but this program's is "
                f"{FORMAT}. `basislake report` writes a new one."
            )
        figures = {figure["name"]: figure for figure in found["figures"]}
        facts = Facts(
            program=str(found["program"]),
            made_at=_time(found["made_at"]).isoformat(),
            lake=str(found["lake"]),
            as_of=_batch(found["as_of"]),
            built=_batch(found["built"]),
            has_database=found["has_database"] is True,
            queries={figure.name: str(figures[figure.name]["sql"]) for figure in FIGURES},
            rows={figure.name: _rows(figures[figure.name]["columns"]) for figure in FIGURES},
        )
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        raise LakeError(
            f"{source} cannot be read as a report: {exc}. `basislake report` writes a new one."
        ) from exc
    return facts


def _plain(value: object) -> Rows:
    """Values as JSON has them."""
    rows: Rows = orjson.loads(orjson.dumps(value, option=orjson.OPT_UTC_Z))
    return rows


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} names no zone")
    return time


def _batch(value: object) -> int:
    if isinstance(value, int) and 0 <= value < _END_BATCH:
        return value
    raise ValueError(f"{value!r} is no batch")


def _rows(columns: object) -> Rows:
    if not isinstance(columns, dict) or not all(isinstance(v, list) for v in columns.values()):
        raise TypeError("a figure is no table")
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError("a figure's columns are not equally long")
    return columns


def _name_of(lake: Lake) -> str:
    """The last part of its address, as a report may be passed on and the rest may be private."""
    path = lake.uri if lake.is_local else urlsplit(lake.uri).path
    return path.rstrip("/").rpartition("/")[2] or "lake"
