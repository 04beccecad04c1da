"""Figures of completeness: the lake in numbers, coverage and gaps."""

from basislake.report.figures import Chart, ChartKind, Figure, Listing, query

# The worst first; `no_data` is not a gap, so a month shows it only if it has nothing else.
STATUSES = ("failed", "missing", "never_asked", "present", "no_data")
CAUSES = (
    "no answer", "never asked", "the exchange lacks it, others have candles",
    "the exchange lacks it, the whole venue is silent", "the exchange lacks it, nothing to compare",
)  # fmt: skip
GAPS_SHOWN = 1000

SUMMARY = Figure(
    name="summary",
    title="The lake in figures",
    meaning=(
        "Covered: share of the expected minutes that have a raw candle. Expected: the minutes in "
        "the lake's scope (`basislake scope`), from an instrument's first trade until the last "
        "minute that was asked for. Unmatched: candles of futures minus rows of `basis`; "
        "`basislake report --evidence` verifies them minute by minute."
    ),
    sql=query("""
        WITH asked AS (
            SELECT max("end") AS asked_until FROM candle_coverage
        ), lived AS (
            SELECT coalesce(sum(date_diff('minute', start, least("end", asked_until)))
                                FILTER (start < asked_until), 0) AS minutes,
                   count(DISTINCT instrument) AS instruments
            FROM in_scope CROSS JOIN asked
        ), covered AS (
            SELECT status, sum(date_diff('minute', greatest(coverage.start, in_scope.start),
                                         least(coverage."end", in_scope."end"))) AS minutes
            FROM candle_coverage AS coverage JOIN in_scope USING (instrument)
            WHERE coverage.start < in_scope."end" AND coverage."end" > in_scope.start
            GROUP BY status
        ), counts AS (
            SELECT
                (SELECT count(*) FROM instruments) AS instruments,
                (SELECT count(*) FROM instruments WHERE kind = 'future') AS futures,
                (SELECT count(DISTINCT instrument) FROM candle_coverage WHERE status = 'present')
                    AS with_candles,
                (SELECT count(*) FROM raw_candles) AS raw_candles,
                (SELECT count(*) FROM candles) AS candles,
                (SELECT count(*) FROM quarantine) AS quarantined,
                (SELECT count(*) FROM candles JOIN instruments USING (instrument)
                    WHERE kind = 'future') AS future_candles,
                (SELECT count(*) FROM basis) AS basis_rows,
                (SELECT instruments FROM lived) AS in_scope,
                (SELECT coalesce(sum(minutes), 0) FROM covered WHERE status = 'present')
                    AS present_minutes,
                (SELECT minutes FROM lived)
                    - (SELECT coalesce(sum(minutes), 0) FROM covered WHERE status = 'no_data')
                    AS due_minutes,
                (SELECT min(start) FROM candle_coverage WHERE status = 'present') AS first_ts,
                (SELECT max("end") FROM candle_coverage WHERE status = 'present') AS end_ts
        )
        SELECT *, future_candles - basis_rows AS unmatched,
               100 * present_minutes / nullif(due_minutes, 0) AS covered_pct
        FROM counts
    """),
    units={"covered_pct": "percent", "present_minutes": "minutes", "due_minutes": "minutes"},
)

COVERAGE = Figure(
    name="coverage",
    title="Coverage, month by month",
    caption="A row is an instrument, a cell a month (UTC); click a cell to list its gaps",
    meaning=(
        "Instruments by expiry, the perpetual first. A cell has the colour of the worst status in "
        "`coverage` of any of its minutes; the colour is pale if less than 1 % of them have this "
        "status. Before the first trade (`no_data`) there is no gap, so this status shows only if "
        "the month has no other."
    ),
    sql=query("""
        WITH pieces AS (
            SELECT instrument, status, month,
                   date_diff('minute', greatest(start, month),
                             least("end", month + INTERVAL 1 MONTH)) AS minutes
            FROM (
                SELECT instrument, status, start, "end",
                       unnest(generate_series(date_trunc('month', start),
                                              "end" - INTERVAL 1 MINUTE,
                                              INTERVAL 1 MONTH)) AS month
                FROM candle_coverage
            )
        ), cells AS (
            SELECT instrument, month,
                   coalesce(sum(minutes) FILTER (status = 'failed'), 0) AS failed,
                   coalesce(sum(minutes) FILTER (status = 'missing'), 0) AS missing,
                   coalesce(sum(minutes) FILTER (status = 'never_asked'), 0) AS never_asked,
                   coalesce(sum(minutes) FILTER (status = 'present'), 0) AS present,
                   coalesce(sum(minutes) FILTER (status = 'no_data'), 0) AS no_data
            FROM pieces
            GROUP BY instrument, month
        )
        SELECT base AS coin, instrument, strftime(month, '%Y-%m') AS month,
               CASE WHEN failed > 0 THEN 'failed' WHEN missing > 0 THEN 'missing'
                    WHEN never_asked > 0 THEN 'never_asked' WHEN present > 0 THEN 'present'
                    ELSE 'no_data' END AS worst,
               100 * CASE WHEN failed > 0 THEN failed WHEN missing > 0 THEN missing
                          WHEN never_asked > 0 THEN never_asked WHEN present > 0 THEN present
                          ELSE no_data END
                   < failed + missing + never_asked + present + no_data AS is_slight,
               failed, missing, never_asked, present, no_data
        FROM cells
        JOIN instruments USING (instrument)
        ORDER BY coin, expires_at NULLS FIRST, instrument, cells.month
    """),
    units=dict.fromkeys(STATUSES, "minutes"),
    chart=Chart(
        ChartKind.HEAT,
        x="month",
        y=("instrument",),
        series="worst",
        choose="coin",
        names={
            "failed": "asked, no answer",
            "missing": "missing at the exchange",
            "never_asked": "never asked",
            "present": "present",
            "no_data": "before the first trade",
        },
        colours=STATUSES,
        y_title="instrument, by expiry",
        unit="",
    ),
    is_wide=True,
)

GAPS = Figure(
    name="gaps",
    title="Gaps, by cause",
    caption=f"Intervals without a candle after an instrument's first; the {GAPS_SHOWN:,} longest",
    meaning=(
        "The view `gaps` has all gaps. The exchange lacks it: two answers left the interval out. "
        "If no other instrument has candles in the interval either, the whole venue was silent. No "
        "answer, never asked: a backfill may still get the candles. The axis is logarithmic."
    ),
    sql=query(f"""
        SELECT instrument, start, "end", minutes,
               CASE WHEN status = 'failed' THEN 'no answer'
                    WHEN status = 'never_asked' THEN 'never asked'
                    WHEN venue_silent THEN 'the exchange lacks it, the whole venue is silent'
                    WHEN NOT venue_silent THEN 'the exchange lacks it, others have candles'
                    ELSE 'the exchange lacks it, nothing to compare' END AS cause
        FROM gaps
        ORDER BY minutes DESC, instrument, start
        LIMIT {GAPS_SHOWN}
    """),
    units={"minutes": "minutes"},
    chart=Chart(
        ChartKind.POINTS,
        x="start",
        y=("minutes",),
        series="cause",
        names={cause: cause for cause in CAUSES},
        colours=("failed", "never_asked", "missing", "venue", "no_data"),
        x_title="start of the gap, UTC",
        y_title="length, minutes",
        unit="",
    ),
    listing=Listing(
        {"instrument": "instrument", "start": "from", "end": "until", "minutes": "minutes",
         "cause": "cause"},
        rows=GAPS_SHOWN,
        empty="No gap after any instrument's first candle.",
        is_searched=True,
    ),
    is_wide=True,
)  # fmt: skip
