"""Coverage: which minutes of an instrument or index are stored, lacking or not asked; pure.

It is computed from the rows of `asks`. For an absence it counts how many answers, and how many
runs, lacked it: one after the first candle is asked again before `coverage` says `missing`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

import polars as pl

from lake.tables import COVERAGE
from lake.time.intervals import Span, clip, common, merge, subtract
from lake.time.steps import STEPS

# If no future settles to an index any more, coverage starts at its first ask.
_EVER = datetime(9000, 1, 1, tzinfo=UTC)

PRESENT, ABSENT, FAILED = "present", "absent", "failed"

IS_CANDLES = pl.col("dataset") == "candles"


class Subject(NamedTuple):
    """A unit of requests and coverage: a dataset's rows of an instrument, or of an index."""

    dataset: str
    name: str

    def __str__(self) -> str:
        """Return the name, with the dataset unless that is candles."""
        return self.name if self.dataset == "candles" else f"{self.name} {self.dataset}"


class Status(Enum):
    """The statuses of the `coverage` table."""

    PRESENT = "present"
    NO_DATA = "no_data"
    MISSING = "missing"
    FAILED = "failed"
    NEVER_ASKED = "never_asked"


@dataclass(slots=True)
class Coverage:
    """The asked minutes of one instrument, as disjoint sets of spans.

    Attributes:
        present: a candle is stored.
        absent: one answer lacked a candle.
        believed: more than one answer lacked it.
        settled: answers of more than one run lacked it; a part of `believed`.
        failed: asked, never answered.
    """

    present: list[Span] = field(default_factory=list)
    absent: list[Span] = field(default_factory=list)
    believed: list[Span] = field(default_factory=list)
    settled: list[Span] = field(default_factory=list)
    failed: list[Span] = field(default_factory=list)

    def answer(self, asked: Span, present: Iterable[Span]) -> None:
        """Record an answer to a window with candles at these minutes, from the run that asks for
        minutes that are not settled yet.
        """
        came = [clip(span, asked) for span in present]
        self.present = merge([*self.present, *came])
        silent = subtract([asked], self.present)
        again = common(silent, [*self.absent, *self.believed])
        self.believed = subtract([*self.believed, *again], self.present)
        self.absent = subtract([*self.absent, *silent], [*self.present, *self.believed])
        self.settled = subtract(self.settled, self.present)
        self.failed = subtract(self.failed, [asked])

    def fail(self, asked: Span) -> None:
        """Record a window without an answer; minutes answered before stay answered."""
        answered = [*self.present, *self.absent, *self.believed]
        self.failed = merge([*self.failed, *subtract([asked], answered)])

    def unconfirmed(self) -> list[Span]:
        """Minutes after the first candle that one answer lacked: to be asked again."""
        return self._after_first(self.absent)

    def missing(self) -> list[Span]:
        """Minutes after the first candle that more than one answer lacked."""
        return self._after_first(self.believed)

    def unsettled(self) -> list[Span]:
        """Minutes that only the answers of one run lacked: a later run asks again."""
        return subtract(self.missing(), self.settled)

    def leading(self) -> list[Span]:
        """Minutes before the first candle, answered: nothing had traded yet (`no_data`)."""
        silent = merge([*self.absent, *self.believed])
        if not self.present:
            return silent
        return merge(Span(span.start, min(span.end, self.present[0].start)) for span in silent)

    def answered(self) -> list[Span]:
        """Minutes that need no request now: present, leading no_data, and believed missing."""
        settled = merge([*self.present, *self.absent, *self.believed])
        return subtract(settled, self.unconfirmed())

    def intervals(self, listed_at: datetime) -> list[tuple[Span, Status]]:
        """Tile `[listed_at, end asked)` with maximal intervals of one status, in order."""
        asked = merge([*self.present, *self.absent, *self.believed, *self.failed])
        if not asked:
            return []
        life = Span(min(listed_at, asked[0].start), asked[-1].end)
        unconfirmed, missing = self.unconfirmed(), self.missing()
        parts = {
            Status.PRESENT: self.present,
            Status.MISSING: missing,
            Status.FAILED: [*self.failed, *unconfirmed],
            Status.NO_DATA: self.leading(),
            Status.NEVER_ASKED: subtract([life], asked),
        }
        tiles = [(span, status) for status, spans in parts.items() for span in merge(spans)]
        return sorted(tiles, key=lambda tile: tile[0])

    def _after_first(self, spans: list[Span]) -> list[Span]:
        if not self.present:
            return []
        before = Span(min(s.start for s in [*spans, *self.present]), self.present[0].start)
        return subtract(spans, [before])


def coverages(asks: pl.DataFrame, known: pl.DataFrame | None = None) -> dict[Subject, Coverage]:
    """Return the coverage from rows of `asks`, by dataset and instrument.

    Args:
        asks: the rows, in any order; without those of status `present` if `known` has their
            minutes.
        known: rows of `coverage`; only those of status `present` are used.
    """
    rows = _whole(asks)
    if known is not None:
        own = known.filter(status=PRESENT).with_columns(run=pl.lit(None, pl.String))
        rows = pl.concat([rows, own.select(rows.columns)])
    seen: dict[Subject, dict[tuple[str, str | None], list[Span]]] = {}
    for dataset, name, status, start, end, run in rows.iter_rows():
        spans = seen.setdefault(Subject(dataset, name), {}).setdefault((status, run), [])
        spans.append(Span(start, end))
    return {subject: _folded(own) for subject, own in sorted(seen.items())}


def _whole(asks: pl.DataFrame) -> pl.DataFrame:
    """Rows of status `present`, possibly millions, and of `failed` as maximal spans without a run;
    those of `absent` as they are.
    """
    of, is_absent = ("dataset", "instrument", "status"), pl.col("status") == ABSENT
    columns = asks.select(*of, "start", "end", "run")
    # A span ends before a row that starts after the end of all rows before it.
    is_first = (pl.col("start") > pl.col("end").cum_max().shift(1)).fill_null(value=True)
    starts = pl.col("start").filter(is_first)
    ends = pl.col("end").cum_max().filter(is_first.shift(-1, fill_value=True))
    groups = columns.filter(~is_absent).sort("start").group_by(of).agg(starts, ends)
    whole = groups.explode("start", "end").with_columns(run=pl.lit(None, pl.String))
    return pl.concat([whole, columns.filter(is_absent)])


def _folded(seen: Mapping[tuple[str, str | None], list[Span]]) -> Coverage:
    """The coverage from the spans of each status and run."""
    present, failures = (merge(seen.get((status, None), ())) for status in (PRESENT, FAILED))
    lacked = [own for (status, _), own in seen.items() if status == ABSENT]
    absences = [span for own in lacked for span in own]
    believed = subtract(_twice(absences), present)
    once = subtract(absences, [*present, *believed])
    settled = subtract(_twice(span for own in lacked for span in merge(own)), present)
    failed = subtract(failures, [*present, *absences])
    return Coverage(present, once, believed, settled, failed)


def to_table(found: Mapping[Subject, Coverage], listed: Mapping[str, datetime]) -> pl.DataFrame:
    """Return coverage as rows of the table.

    Args:
        found: by dataset and instrument.
        listed: listing time of each of them; see `listings`.
    """
    rows = [
        (name, span.start, span.end, span.minutes, status.value, dataset)
        for (dataset, name), coverage in found.items()
        for span, status in coverage.intervals(STEPS[dataset].floor(listed.get(name, _EVER)))
    ]
    return pl.DataFrame(rows, schema=COVERAGE.polars_schema, orient="row")


def listings(instruments: pl.DataFrame) -> dict[str, datetime]:
    """Return the listing time of each instrument, and of each index's first future, by name."""
    futures = instruments.filter(kind="future").group_by("price_index").agg(pl.min("listed_at"))
    return dict([*futures.iter_rows(), *instruments.select("instrument", "listed_at").iter_rows()])


def _twice(spans: Iterable[Span]) -> list[Span]:
    """The minutes that are in more than one of the spans."""
    return merge(_overlaps(sorted(spans)))


def _overlaps(ordered: Iterable[Span]) -> Iterator[Span]:
    reached: datetime | None = None
    for span in ordered:
        if reached is not None and span.start < reached:
            yield Span(span.start, min(span.end, reached))
        reached = span.end if reached is None else max(reached, span.end)
