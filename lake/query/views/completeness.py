"""Views of missing data: candles that the lake lacks, and minutes without a basis."""

from lake.query.views.declaration import View, columns_of, optional
from lake.table import Column, Type
from lake.tables import CANDLES, COVERAGE

UNMATCHED = View(
    name="unmatched",
    meaning="A future's candle without a basis: its perpetual has no valid candle in that minute.",
    formula=(
        "Candles of futures without a row of `basis` in the same minute. The rows of `basis` and "
        "of this view together are all candles of futures: no close of the perpetual is carried "
        "over from an earlier minute."
    ),
    source="Tables `candles`, `instruments` and `basis`.",
    columns=CANDLES.columns,
    sql="""
        SELECT candles.*
        FROM candles
        JOIN instruments USING (instrument)
        ANTI JOIN basis USING (instrument, ts)
        WHERE instruments.kind = 'future'
    """,
)

GAPS = View(
    name="gaps",
    meaning="An interval after an instrument's first candle for which the lake has no candle.",
    formula=(
        "Intervals of `coverage` that are not `present` and follow the instrument's first "
        "`present` one. Adjacent intervals with different statuses are separate rows here, but one "
        "gap in `quality`. The minutes of an instrument add up to its `missing_minutes` as of the "
        "newest build. `venue_silent` looks at the other instruments, of both coins, that the "
        "exchange answered for that time (`present`, or `missing` after their own first candle): "
        "true if none of them has a candle in the interval, false if one has, null if the exchange "
        "answered for none."
    ),
    source="Table `coverage` alone, so it is as new as the last backfill and quick at any size.",
    columns=(
        *columns_of(CANDLES, "instrument"),
        *columns_of(COVERAGE, "start", "end", "minutes"),
        Column("status", Type.TEXT, "missing, failed or never_asked"),
        optional(
            "venue_silent",
            "whether no other instrument has a candle in the interval; null without an answer",
            kind=Type.BOOL,
        ),
    ),
    sql="""
        WITH of_candles AS (
            FROM coverage
            WHERE dataset = 'candles'
        ), firsts AS (
            SELECT instrument, min(start) AS first_start
            FROM of_candles
            WHERE status = 'present'
            GROUP BY instrument
        ), holes AS (
            SELECT of_candles.*
            FROM of_candles
            JOIN firsts USING (instrument)
            WHERE status <> 'present' AND start > first_start
        )
        SELECT holes.instrument, holes.start, holes."end", holes.minutes, holes.status,
               bool_and(others.status <> 'present') AS venue_silent
        FROM holes
        LEFT JOIN of_candles AS others
            ON others.instrument <> holes.instrument
            AND others.start < holes."end"
            AND holes.start < others."end"
            AND others.status IN ('present', 'missing')
        GROUP BY ALL
        ORDER BY holes.instrument, holes.start
    """,
)
