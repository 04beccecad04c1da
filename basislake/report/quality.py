"""Figures of data quality: minutes by state, a verdict per instrument, refused candles, and minutes
without an answer.
"""

from basislake.report.figures import Chart, ChartKind, Figure, Listing, query

# A state becomes an instrument's verdict only if more than this share of its minutes has it: 192
# refused candles in 9.8 million do not make a market doubtful.
SLIGHT_PCT = 0.1
# The worst first; an instrument gets the first verdict that applies.
VERDICTS = (
    "not asked", "failed", "partly asked", "empty", "not built", "gaps", "refused candles",
    "suspect candles", "sound",
)  # fmt: skip
# The states of an expected minute, the best first.
STATES = ("sound", "suspect", "refused", "not built", "missing", "never asked", "failed")
STATE_COLOURS = (
    "present", "missing-pale", "venue", "no_data", "missing", "never_asked", "failed",
)  # fmt: skip

_VERDICTS_SQL = f"""
    WITH asked AS (
        SELECT instrument,
               coalesce(sum(minutes) FILTER (status = 'failed'), 0) AS failed_minutes,
               coalesce(sum(minutes) FILTER (status = 'never_asked'), 0) AS unasked_minutes,
               coalesce(sum(minutes) FILTER (status = 'missing'), 0) AS missing_minutes,
               coalesce(sum(minutes) FILTER (status = 'present'), 0) AS present_minutes,
               coalesce(sum(minutes) FILTER (status <> 'no_data'), 0) AS due_minutes,
               sum(minutes) AS life_minutes
        FROM candle_coverage
        GROUP BY instrument
    ), spikes AS (
        SELECT instrument, sum(rows) AS suspect FROM warnings WHERE rule = 'spike' GROUP BY 1
    ), refusals AS (
        -- A candle that a later batch replaced was not refused: its minute has another.
        SELECT instrument, count(DISTINCT ts) AS refused
        FROM quarantine
        WHERE NOT list_contains(rules, 'superseded')
        GROUP BY instrument
    ), counts AS (
        SELECT base AS coin, instrument, term, expires_at,
               quality.instrument IS NOT NULL AS is_built,
               coalesce(failed_minutes, 0) AS failed_minutes,
               coalesce(unasked_minutes, 0) AS unasked_minutes,
               coalesce(asked.missing_minutes, 0) AS missing_minutes,
               coalesce(present_minutes, 0) AS present_minutes,
               coalesce(due_minutes, 0) AS due_minutes,
               coalesce(life_minutes, 0) AS life_minutes,
               {SLIGHT_PCT} / 100 * coalesce(due_minutes, 0) AS slight_minutes,
               coalesce(gaps, 0) AS gaps,
               coalesce(longest_gap_minutes, 0) AS longest_gap_minutes,
               coalesce(duplicates, 0) AS duplicates,
               coalesce(refused, 0) AS refused,
               coalesce(suspect, 0) AS suspect,
               coalesce(rows - quarantined, 0) AS candles,
               100 * untraded_minutes / nullif(rows - quarantined, 0) AS untraded_pct
        FROM instruments
        LEFT JOIN asked USING (instrument)
        LEFT JOIN quality USING (instrument)
        LEFT JOIN spikes USING (instrument)
        LEFT JOIN refusals USING (instrument)
    ), verdicts AS (
        SELECT *,
               candles - suspect AS sound_minutes,
               greatest(present_minutes - candles - refused, 0) AS unbuilt_minutes,
               CASE WHEN life_minutes = unasked_minutes THEN 'not asked'
                    WHEN failed_minutes > slight_minutes THEN 'failed'
                    WHEN unasked_minutes > slight_minutes THEN 'partly asked'
                    WHEN present_minutes = 0 THEN 'empty'
                    WHEN NOT is_built THEN 'not built'
                    WHEN missing_minutes > slight_minutes THEN 'gaps'
                    WHEN refused > slight_minutes THEN 'refused candles'
                    WHEN suspect > slight_minutes THEN 'suspect candles'
                    ELSE 'sound' END AS verdict
        FROM counts
    )"""
_RANK = f"list_position({list(VERDICTS)}, verdict)"

SOUNDNESS = Figure(
    name="soundness",
    title="Minutes, by state",
    caption="All minutes that should have a candle: those before a first trade do not count",
    meaning=(
        "Sound: stored, and no rule found a problem. Suspect: stored, but flagged by the rule "
        "`spike`. Refused: a rule moved the candle to `quarantine`. Not built: stored, but not "
        "validated yet. Missing: two answers of the exchange lack the minute. Failed: no answer."
    ),
    sql=query(f"""{_VERDICTS_SQL}, sums AS (
        SELECT coin,
               unnest({list(STATES)}) AS state,
               unnest([sum(sound_minutes), sum(suspect), sum(refused), sum(unbuilt_minutes),
                       sum(missing_minutes), sum(unasked_minutes), sum(failed_minutes)]) AS minutes,
               sum(due_minutes) AS due_minutes
        FROM verdicts
        GROUP BY coin
    )
    SELECT coin, state, minutes, 100 * minutes / due_minutes AS pct
    FROM sums
    WHERE minutes > 0
    ORDER BY coin, list_position({list(STATES)}, state)
    """),
    units={"minutes": "minutes", "pct": "percent"},
    chart=Chart(
        ChartKind.BARS,
        x="coin",
        y=("pct",),
        series="state",
        names={state: state for state in STATES},
        colours=STATE_COLOURS,
        x_title="minutes, %",
        y_title="coin",
    ),
    listing=Listing(
        {"coin": "coin", "state": "state", "minutes": "minutes", "pct": "% of all"},
        empty="No minute is due yet.",
    ),
)

VERDICT_COUNTS = Figure(
    name="verdicts",
    title="Instruments, by verdict",
    caption=f"The worst state that more than {SLIGHT_PCT} % of an instrument's minutes have",
    meaning=(
        f"Sound: no other state has more than {SLIGHT_PCT} % of the minutes; the table Instruments "
        "counts every minute. Empty: asked for, but nothing has traded yet."
    ),
    sql=query(f"""{_VERDICTS_SQL}
    SELECT coin, verdict, count(*) AS instruments
    FROM verdicts
    GROUP BY coin, verdict
    ORDER BY coin, {_RANK}
    """),
    units={"instruments": "instruments"},
    chart=Chart(
        ChartKind.BARS,
        x="coin",
        y=("instruments",),
        series="verdict",
        names={verdict: verdict for verdict in VERDICTS},
        colours=(
            "never_asked", "failed", "never_asked-pale", "no_data", "missing-pale", "missing",
            "venue", "missing-pale", "present",
        ),
        x_title="instruments",
        y_title="coin",
        unit="instruments",
    ),
    listing=Listing({"coin": "coin", "verdict": "verdict", "instruments": "instruments"}),
)  # fmt: skip

INSTRUMENTS = Figure(
    name="instruments",
    title="Instruments",
    caption="The least sound first; a name links to its chart, a number of gaps to their list",
    meaning=(
        "Sound: share of the minutes that should have a candle. Missing: minutes after the first "
        "candle that two answers of the exchange lack. Repeated: rows that came twice and were "
        "stored once. Refused: minutes whose candle is in `quarantine`. Suspect: candles that the "
        "rule `spike` flagged. Untraded: candles of minutes without a trade."
    ),
    sql=query(f"""{_VERDICTS_SQL}
    SELECT instrument, term, verdict, 100 * sound_minutes / nullif(due_minutes, 0) AS sound_pct,
           present_minutes, missing_minutes, failed_minutes, gaps, longest_gap_minutes,
           duplicates, refused, suspect, round(untraded_pct, 2) AS untraded_pct
    FROM verdicts
    ORDER BY {_RANK}, failed_minutes DESC, sound_pct, coin, expires_at NULLS FIRST,
             instrument
    """),
    units={
        "sound_pct": "percent",
        "present_minutes": "minutes",
        "missing_minutes": "minutes",
        "failed_minutes": "minutes",
        "longest_gap_minutes": "minutes",
        "refused": "minutes",
        "untraded_pct": "percent",
    },
    listing=Listing(
        {
            "instrument": "instrument",
            "term": "term",
            "verdict": "verdict",
            "sound_pct": "sound, %",
            "present_minutes": "candles",
            "missing_minutes": "missing",
            "gaps": "gaps",
            "longest_gap_minutes": "longest gap, min",
            "duplicates": "repeated",
            "refused": "refused",
            "suspect": "suspect",
            "untraded_pct": "untraded, %",
        },
        empty="No instrument is known yet.",
        links={"instrument": "contracts", "gaps": "gaps"},
        is_searched=True,
    ),
    is_wide=True,
)

RULES = Figure(
    name="rules",
    title="Candles that broke a rule",
    caption="Refused: moved to `quarantine`. Kept: stored in `candles`, with a warning",
    meaning="A candle that breaks two rules counts for both. `superseded`: replaced later.",
    sql=query("""
        SELECT rule, 'refused' AS outcome, count(*) AS candles,
               count(DISTINCT instrument) AS instruments
        FROM (SELECT instrument, unnest(rules) AS rule FROM quarantine)
        GROUP BY rule
        UNION ALL
        SELECT rule, 'kept', sum(rows), count(DISTINCT instrument)
        FROM warnings
        WHERE NOT starts_with(rule, 'funding_')
        GROUP BY rule
        ORDER BY outcome DESC, candles DESC, rule
    """),
    units={"candles": "candles"},
    chart=Chart(
        ChartKind.BARS,
        x="rule",
        y=("candles",),
        series="outcome",
        names={"refused": "refused", "kept": "kept, with a warning"},
        colours=("venue", "missing-pale"),
        x_title="candles",
        y_title="rule",
        unit="candles",
    ),
    listing=Listing(
        {
            "rule": "rule",
            "outcome": "outcome",
            "candles": "candles",
            "instruments": "instruments",
        },
        empty="No candle broke a rule.",
    ),
)

UNANSWERED = Figure(
    name="unanswered",
    title="Failed and empty instruments",
    caption="Instruments that still lack some answers, or have no candle yet",
    meaning=(
        "Failed: the exchange gave no answer for some minutes; the next `basislake backfill` asks "
        "again. Empty: every answer came, but without a candle, as nothing has traded yet. Reason: "
        "as the newest backfill that ended recorded it."
    ),
    sql=query("""
        SELECT instrument,
               CASE WHEN bool_or(status = 'failed') THEN 'failed' ELSE 'empty' END AS state,
               coalesce(sum(minutes) FILTER (status = 'failed'), 0) AS failed_minutes,
               min(start) AS listed, max("end") AS asked_until, max(reason) AS reason
        FROM candle_coverage
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
            "listed": "listed",
            "asked_until": "asked until",
            "reason": "reason",
        },
        empty="No instrument has failed, and none is empty.",
    ),
)
