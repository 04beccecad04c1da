"""Questions about how complete and sound the data is."""

from basislake.examples.example import example

SOUNDNESS = (
    example(
        "completeness",
        "Instruments by how complete they are",
        "A row per instrument, the least complete first: percent of the minutes from its first "
        "candle on that it has, its gaps, and how many of its candles saw no trade.",
        """
        SELECT instrument, 100 * (1 - missing_minutes / expected_minutes) AS complete_pct,
               100 * untraded_minutes / greatest(rows - quarantined, 1) AS untraded_pct,
               rows, missing_minutes, gaps, gaps_over_10m, longest_gap_minutes
        FROM quality
        ORDER BY complete_pct, instrument
        """,
    ),
    example(
        "gaps",
        "Every gap, and whether the whole venue was silent",
        "A row per interval after an instrument's first candle that has none; no row in a whole "
        "lake. Where venue_silent is true the exchange stood still rather than the fetch failed.",
        """
        SELECT instrument, start, "end", minutes, status, venue_silent
        FROM gaps
        ORDER BY minutes DESC, instrument, start
        """,
        has_rows=False,
    ),
    example(
        "long-gaps",
        "Gaps over 10 minutes",
        "A row per two candles of a future more than 10 minutes apart; none in a whole lake. The "
        "users' guide's check, by candles: a minute in quarantine counts as absent, too.",
        """
        SELECT instrument, previous AS after, ts AS before,
               date_diff('minute', previous, ts) - 1 AS absent_minutes
        FROM (
            SELECT instrument, ts, lag(ts) OVER (PARTITION BY instrument ORDER BY ts) AS previous
            FROM candles
            JOIN instruments USING (instrument)
            WHERE kind = 'future'
        )
        WHERE ts - previous > INTERVAL '10 minutes'
        ORDER BY instrument, ts
        """,
        has_rows=False,
    ),
    example(
        "failed",
        "What failed, with the reason and the time span",
        "A row per interval of an instrument that was asked for and has no answer: the reason of "
        "the last ask, when that was, and how many asks failed. No row where all was answered. "
        "`basislake sql @failed --format csv` is for scripts. `basislake backfill` asks again for "
        "all of them, `basislake backfill --data DATASET` for one dataset (`funding` also for "
        "`funding_totals`).",
        """
        SELECT coverage.dataset, coverage.instrument, coverage.start, coverage."end",
               coverage.minutes, arg_max(asks.reason, asks.batch) AS reason,
               count(*) AS failed_asks, max(asks.at) AS last_asked_at
        FROM coverage
        JOIN asks ON asks.instrument = coverage.instrument AND asks.status = 'failed'
            AND asks.dataset = coverage.dataset
            AND asks.start < coverage."end" AND coverage.start < asks."end"
        WHERE coverage.status = 'failed'
        GROUP BY ALL
        ORDER BY coverage.dataset, coverage.instrument, coverage.start
        """,
        has_rows=False,
    ),
    example(
        "coverage",
        "What was asked, and what came",
        "A row per coin and status of `coverage`, in minutes; all but the minutes `present` and "
        "`no_data` is something to look at.",
        """
        SELECT base AS coin, status, sum(minutes) AS minutes, count(*) AS intervals
        FROM coverage
        JOIN instruments USING (instrument)
        WHERE dataset = 'candles'
        GROUP BY base, status
        ORDER BY base, minutes DESC
        """,
    ),
    example(
        "quarantine",
        "What validation refused",
        "A row per rule: how many raw candles broke it, of how many instruments. No row where all "
        "were sound.",
        """
        SELECT rule, count(*) AS candles, count(DISTINCT instrument) AS instruments,
               min(ts) AS first_ts, max(ts) AS last_ts
        FROM (SELECT instrument, ts, unnest(rules) AS rule FROM quarantine)
        GROUP BY rule
        ORDER BY candles DESC, rule
        """,
        has_rows=False,
    ),
    example(
        "ohlc-violations",
        "OHLC violations",
        "No row: such candles are in `quarantine`. The users' guide's check; ask it of "
        "`raw_candles` to see what came.",
        """
        SELECT instrument, count(*) AS candles
        FROM candles
        WHERE high < low OR close < low OR close > high OR open < low OR open > high
        GROUP BY instrument
        ORDER BY instrument
        """,
        has_rows=False,
    ),
    example(
        "unmatched",
        "Candles without a basis",
        "A row per future that has candles in minutes for which its perpetual has none; their "
        "count and `basis` rows together are the future's candles.",
        """
        SELECT instrument, count(*) AS candles, min(ts) AS first_ts, max(ts) AS last_ts
        FROM unmatched
        GROUP BY instrument
        ORDER BY candles DESC, instrument
        """,
        has_rows=False,
    ),
    example(
        "currencies",
        "Counts and ranges per currency",
        "A row per coin: candles of its futures, how many futures, first and last minute. The same "
        "as the users' guide asks of PostgreSQL.",
        """
        SELECT base AS currency, count(*) AS candles, count(DISTINCT instrument) AS instruments,
               min(ts) AS first_ts, max(ts) AS last_ts
        FROM candles
        JOIN instruments USING (instrument)
        WHERE kind = 'future'
        GROUP BY base
        ORDER BY base
        """,
    ),
)
