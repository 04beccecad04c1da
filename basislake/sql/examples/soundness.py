"""Ready queries about the completeness and soundness of the data."""

from basislake.sql.examples.example import example, may_be_empty

SOUNDNESS = (
    example(
        "completeness",
        "Instruments by how complete they are",
        "A row per instrument, the least complete first: percent of stored minutes since its first "
        "candle, its gaps, and the number of candles without a trade.",
        """
        SELECT instrument, 100 * (1 - missing_minutes / expected_minutes) AS complete_pct,
               100 * untraded_minutes / greatest(rows - quarantined, 1) AS untraded_pct,
               rows, missing_minutes, gaps, gaps_over_10m, longest_gap_minutes
        FROM quality
        ORDER BY complete_pct, instrument
        """,
    ),
    may_be_empty(
        "gaps",
        "Every gap, and whether the whole venue was silent",
        "A row per interval without candles after an instrument's first one; no row in a complete "
        "lake. If venue_silent is true, the exchange stood still; the fetch did not fail.",
        """
        SELECT instrument, start, "end", minutes, status, venue_silent
        FROM gaps
        ORDER BY minutes DESC, instrument, start
        """,
    ),
    may_be_empty(
        "long-gaps",
        "Gaps over 10 minutes",
        "A row per two candles of a future more than 10 minutes apart; none in a complete lake. "
        "The users' guide has this check; a minute in quarantine counts as absent, too.",
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
    ),
    may_be_empty(
        "failed",
        "What failed, with the reason and the time span",
        "A row per interval of an instrument without an answer: the reason and time of the last "
        "attempt, and the number of failed attempts. No row if everything was answered. "
        "`basislake sql @failed --format csv` is for scripts. `basislake backfill` asks again for "
        "all of them, `basislake backfill --data DATASET` for one dataset (`funding` includes "
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
    ),
    example(
        "coverage",
        "Minutes by their status",
        "A row per coin and status of `coverage`, in minutes; every status but `present` and "
        "`no_data` needs attention.",
        """
        SELECT base AS coin, status, sum(minutes) AS minutes, count(*) AS intervals
        FROM coverage
        JOIN instruments USING (instrument)
        WHERE dataset = 'candles'
        GROUP BY base, status
        ORDER BY base, minutes DESC
        """,
    ),
    may_be_empty(
        "quarantine",
        "Candles that failed validation",
        "A row per rule: how many raw candles broke it, of how many instruments. No row if all "
        "were sound.",
        """
        SELECT rule, count(*) AS candles, count(DISTINCT instrument) AS instruments,
               min(ts) AS first_ts, max(ts) AS last_ts
        FROM (SELECT instrument, ts, unnest(rules) AS rule FROM quarantine)
        GROUP BY rule
        ORDER BY candles DESC, rule
        """,
    ),
    may_be_empty(
        "ohlc-violations",
        "OHLC violations",
        "No row, as such candles are in `quarantine`. The users' guide has this check; run it on "
        "`raw_candles` to see them as received.",
        """
        SELECT instrument, count(*) AS candles
        FROM candles
        WHERE high < low OR close < low OR close > high OR open < low OR open > high
        GROUP BY instrument
        ORDER BY instrument
        """,
    ),
    may_be_empty(
        "unmatched",
        "Candles without a basis",
        "A row per future with candles in minutes in which its perpetual has none; their number "
        "plus the `basis` rows is the number of the future's candles.",
        """
        SELECT instrument, count(*) AS candles, min(ts) AS first_ts, max(ts) AS last_ts
        FROM unmatched
        GROUP BY instrument
        ORDER BY candles DESC, instrument
        """,
    ),
    example(
        "currencies",
        "Counts and ranges per currency",
        "A row per coin: candles of its futures, number of futures, first and last minute. The "
        "users' guide has the same query for PostgreSQL.",
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
