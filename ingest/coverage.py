"""What has been asked of an instrument and what came: pure, it becomes the `coverage` table.

Within this module the minutes of a life are in one of five states; `ABSENT` and `BELIEVED` are told
apart so that an absence after the first candle is asked once more before the table says `missing`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import polars as pl

from lake.spans import MINUTE, Span, clip, common, merge, subtract
from lake.tables import COVERAGE


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
        absent: asked once, answered without a candle.
        believed: asked more than once, answered without a candle each time.
        failed: asked, never answered.
    """

    present: list[Span] = field(default_factory=list)
    absent: list[Span] = field(default_factory=list)
    believed: list[Span] = field(default_factory=list)
    failed: list[Span] = field(default_factory=list)

    def answer(self, asked: Span, present: Iterable[Span]) -> None:
        """Record that a window was answered with candles at these minutes."""
        came = [clip(span, asked) for span in present]
        self.present = merge([*self.present, *came])
        silent = subtract([asked], self.present)
        again = common(silent, [*self.absent, *self.believed])
        self.believed = subtract([*self.believed, *again], self.present)
        self.absent = subtract([*self.absent, *silent], [*self.present, *self.believed])
        self.failed = subtract(self.failed, [asked])

    def recall(self, lacked: Iterable[Span]) -> None:
        """Take minutes that were stored as failed, and that one answer lacked, for what they are.

        The table shows a minute that is to be asked once more as failed, so only the run that got
        the first answer can tell the two apart.
        """
        known = common(self.failed, lacked)
        self.absent = merge([*self.absent, *known])
        self.failed = subtract(self.failed, known)

    def fail(self, asked: Span) -> None:
        """Record that a window was asked and not answered; what was answered stays answered."""
        answered = [*self.present, *self.absent, *self.believed]
        self.failed = merge([*self.failed, *subtract([asked], answered)])

    def unconfirmed(self) -> list[Span]:
        """Minutes after the first candle that one answer lacked: to be asked once more."""
        return self._after_first(self.absent)

    def missing(self) -> list[Span]:
        """Minutes after the first candle that more than one answer lacked."""
        return self._after_first(self.believed)

    def lacked(self) -> list[Span]:
        """Minutes that an answer lacked and none held."""
        return merge([*self.absent, *self.believed])

    def answered(self) -> list[Span]:
        """Minutes that are settled for now: present, leading no_data, and believed missing."""
        settled = merge([*self.present, *self.absent, *self.believed])
        return subtract(settled, self.unconfirmed())

    def intervals(self, listed_at: datetime) -> list[tuple[Span, Status]]:
        """Tile `[listed_at, end asked)` with maximal intervals of one status, in order.

        Args:
            listed_at: the first minute of the instrument's life.
        """
        asked = merge([*self.present, *self.absent, *self.believed, *self.failed])
        if not asked:
            return []
        life = Span(min(listed_at, asked[0].start), asked[-1].end)
        unconfirmed, missing = self.unconfirmed(), self.missing()
        parts = {
            Status.PRESENT: self.present,
            Status.MISSING: missing,
            Status.FAILED: [*self.failed, *unconfirmed],
            Status.NO_DATA: subtract([*self.absent, *self.believed], [*missing, *unconfirmed]),
            Status.NEVER_ASKED: subtract([life], asked),
        }
        tiles = [(span, status) for status, spans in parts.items() for span in merge(spans)]
        return sorted(tiles, key=lambda tile: tile[0])

    def _after_first(self, spans: list[Span]) -> list[Span]:
        if not self.present:
            return []
        before = Span(min(s.start for s in [*spans, *self.present]), self.present[0].start)
        return subtract(spans, [before])


def spans_of(ts: pl.Series) -> list[Span]:
    """Return sorted distinct minutes as maximal spans.

    Args:
        ts: starts of minutes, sorted.
    """
    if ts.is_empty():
        return []
    whole = Span(ts[0], ts[-1] + MINUTE)
    if whole.minutes == len(ts):
        return [whole]
    breaks = pl.DataFrame({"ts": ts}).with_columns(
        starts=pl.col("ts").diff().ne_missing(MINUTE).fill_null(value=True)
    )
    starts = breaks.filter("starts")["ts"].to_list()
    ends = breaks.filter(pl.col("starts").shift(-1, fill_value=True))["ts"].to_list()
    return [Span(start, end + MINUTE) for start, end in zip(starts, ends, strict=True)]


def from_table(rows: pl.DataFrame) -> Coverage:
    """Read one instrument's rows of the `coverage` table back.

    `no_data` counts as answered once, so that it is asked again should an earlier candle turn up;
    `failed` counts as never answered, see `Coverage.recall`.
    """
    kept: dict[str, list[Span]] = {status.value: [] for status in Status}
    for start, end, status in rows.select("start", "end", "status").iter_rows():
        kept[status].append(Span(start, end))
    return Coverage(
        present=merge(kept[Status.PRESENT.value]),
        absent=merge(kept[Status.NO_DATA.value]),
        believed=merge(kept[Status.MISSING.value]),
        failed=merge(kept[Status.FAILED.value]),
    )


def to_table(instrument: str, intervals: Iterable[tuple[Span, Status]]) -> pl.DataFrame:
    """Return intervals as rows of the `coverage` table."""
    rows = [
        (instrument, span.start, span.end, span.minutes, status.value) for span, status in intervals
    ]
    return pl.DataFrame(rows, schema=COVERAGE.polars_schema, orient="row")
