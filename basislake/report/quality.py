"""Figures of how good the candles are: a verdict per instrument, what was refused, what was not
answered.
"""

from basislake.report.figures import Chart, Figure, Kind, Listing, query

# The worst first; an instrument has the first one that is true of it.
VERDICTS = (
    "failed", "not asked", "partly asked", "empty", "not built", "gaps", "refused candles",
    "suspect candles", "sound",
)  # fmt: skip

_VERDICTS_SQL = """
    WITH asked AS (
        SELECT instrument,
               coalesce(sum(minutes) FILTER (status = 'failed'), 0) AS failed_minutes,
               coalesce(sum(minutes) FILTER (status = 'never_asked'), 0) AS unasked_minutes,
               coalesce(sum(minutes) FILTER (status = 'missing'), 0) AS missing_minutes,
               coalesce(sum(minutes) FILTER (status = 'present'), 0) AS present_minutes,
               sum(minutes) AS life_minutes
        FROM coverage
        GROUP BY instrument
    ), spikes AS (
        SELECT instrument, sum(rows) AS suspect FROM warnings WHERE rule = 'spike' GROUP BY 1
    ), counts AS (
        SELECT base AS coin, instrument, quality.instrument IS NOT NULL AS is_built,
               coalesce(failed_minutes, 0) AS failed_minutes,
               coalesce(unasked_minutes, 0) AS unasked_minutes,
               coalesce(asked.missing_minutes, 0) AS missing_minutes,
               coalesce(present_minutes, 0) AS present_minutes,
               coalesce(life_minutes, 0) AS life_minutes,
               coalesce(gaps, 0) AS gaps,
               coalesce(longest_gap_minutes, 0) AS longest_gap_minutes,
               coalesce(duplicates, 0) AS duplicates,
               coalesce(quarantined, 0) AS quarantined,
               coalesce(suspect, 0) AS suspect,
               100 * untraded_minutes / nullif(rows - quarantined, 0) AS untraded_pct
        FROM instruments
        LEFT JOIN asked USING (instrument)
        LEFT JOIN quality USING (instrument)
        LEFT JOIN spikes USING (instrument)
    ), verdicts AS (
        SELECT *,
               CASE WHEN failed_minutes > 0 THEN 'failed'
                    WHEN life_minutes = unasked_minutes THEN 'not asked'
                    WHEN unasked_minutes > 0 THEN 'partly asked'
                    WHEN present_minutes = 0 THEN 'empty'
                    WHEN NOT is_built THEN 'not built'
                    WHEN missing_minutes > 0 OR gaps > 0 THEN 'gaps'
                    WHEN quarantined > 0 THEN 'refused candles'
                    WHEN suspect > 0 THEN 'suspect candles'
                    ELSE 'sound' END AS verdict
        FROM counts
    )"""
_RANK = f"list_position({list(VERDICTS)}, verdict)"

VERDICT_COUNTS = Figure(
    name="verdicts",
    title="Quality, by verdict",
    meaning=(
        "Instruments by the worst that is to be said of each. Sound: every minute from the first "
        "candle on is there, none was refused and none is suspect. Empty: asked, and nothing "
        "traded yet."
    ),
    sql=query(f"""{_VERDICTS_SQL}
    SELECT coin, verdict, count(*) AS instruments
    FROM verdicts
    GROUP BY coin, verdict
    ORDER BY coin, {_RANK}
    """),
    units={"instruments": "instruments"},
    chart=Chart(
        Kind.BARS,
        x="coin",
        y=("instruments",),
        series="verdict",
        stands_for={verdict: verdict for verdict in VERDICTS},
        colours=(
            "failed", "never_asked", "never_asked-pale", "no_data", "series-3", "missing",
            "series-1", "missing-pale", "present",
        ),
        y_title="instruments",
    ),
)  # fmt: skip

INSTRUMENTS = Figure(
    name="instruments",
    title="Instruments, the least sound first",
    meaning=(
        "Missing: minutes after the first candle that the exchange was asked for twice and lacks. "
        "Repeated: rows that came twice, and were kept once. Refused: candles in `quarantine`. "
        "Suspect: kept, and flagged by the rule `spike`. Untraded: candles in whose minute nothing "
        "traded."
    ),
    sql=query(f"""{_VERDICTS_SQL}
    SELECT instrument, verdict, present_minutes, missing_minutes, failed_minutes, gaps,
           longest_gap_minutes, duplicates, quarantined, suspect,
           round(untraded_pct, 2) AS untraded_pct
    FROM verdicts
    ORDER BY {_RANK}, failed_minutes DESC, missing_minutes DESC, quarantined DESC, suspect DESC,
             instrument
    """),
    units={
        "present_minutes": "minutes",
        "missing_minutes": "minutes",
        "failed_minutes": "minutes",
        "longest_gap_minutes": "minutes",
        "untraded_pct": "percent",
    },
    listing=Listing(
        {
            "instrument": "instrument",
            "verdict": "verdict",
            "present_minutes": "candles",
            "missing_minutes": "missing",
            "gaps": "gaps",
            "longest_gap_minutes": "longest",
            "duplicates": "repeated",
            "quarantined": "refused",
            "suspect": "suspect",
            "untraded_pct": "untraded %",
        }
    ),
    is_wide=True,
)

RULES = Figure(
    name="rules",
    title="Candles that a rule met",
    meaning=(
        "Refused candles are in `quarantine` and nowhere else; kept ones met a warning only. A "
        "candle that met two rules counts with each."
    ),
    sql=query("""
        SELECT rule, 'refused' AS outcome, count(*) AS candles,
               count(DISTINCT instrument) AS instruments
        FROM (SELECT instrument, unnest(rules) AS rule FROM quarantine)
        GROUP BY rule
        UNION ALL
        SELECT rule, 'kept', sum(rows), count(DISTINCT instrument) FROM warnings GROUP BY rule
        ORDER BY outcome DESC, candles DESC, rule
    """),
    units={"candles": "candles"},
    chart=Chart(
        Kind.BARS,
        x="rule",
        y=("candles",),
        series="outcome",
        stands_for={"refused": "refused", "kept": "kept, with a warning"},
        colours=("failed", "missing-pale"),
        y_title="candles",
    ),
    listing=Listing(
        {
            "rule": "rule",
            "outcome": "outcome",
            "candles": "candles",
            "instruments": "instruments",
        },
        empty="No candle that was built met a rule.",
    ),
)

UNANSWERED = Figure(
    name="unanswered",
    title="Failed and empty instruments",
    meaning=(
        "Failed: minutes were asked for and got no answer; the next `basislake backfill` asks "
        "again. Empty: every answer came, without a candle: nothing has traded yet. The reason is "
        "that of the newest backfill that ended."
    ),
    sql=query("""
        SELECT instrument,
               CASE WHEN bool_or(status = 'failed') THEN 'failed' ELSE 'empty' END AS state,
               coalesce(sum(minutes) FILTER (status = 'failed'), 0) AS failed_minutes,
               min(start) AS listed, max("end") AS asked_until, max(reason) AS reason
        FROM coverage
        LEFT JOIN run_failures USING (instrument)
        GROUP BY instrument
        HAVING bool_or(status = 'failed') OR bool_and(status = 'no_data')
        ORDER BY state DESC, failed_minutes DESC, instrument
    """),
    units={"failed_minutes": "minutes"},
    listing=Listing(
        {
            "instrument": "instrument",
            "state": "state",
            "failed_minutes": "minutes without an answer",
            "listed": "from",
            "asked_until": "asked until",
            "reason": "reason",
        },
        empty="No instrument has failed, and none is empty.",
    ),
    is_wide=True,
)
