"""Queries behind the evidence: they check the users' guide's criteria on the rows of the lake, not
on records about them.
"""

from basislake.report.figures import query

FIRST_YEAR = 2019

ROW_COUNTS = query("""
    WITH basis_rows AS (
        SELECT base, count(*) AS rows FROM basis JOIN instruments USING (instrument) GROUP BY base
    )
    SELECT base AS currency, kind, count(*) AS candles, count(DISTINCT instrument) AS instruments,
           min(ts) AS first_ts, max(ts) AS last_ts,
           CASE WHEN kind = 'future' THEN any_value(basis_rows.rows) END AS basis_rows
    FROM candles
    JOIN instruments USING (instrument)
    LEFT JOIN basis_rows USING (base)
    GROUP BY base, kind
    ORDER BY base, kind
""")

# Joins the candles of each future with those of its coin's perpetual again; `basis` must have
# exactly these minutes with exactly these two prices. Compares sets of rows by the exclusive or of
# their hashes and by their counts, which needs no memory for rows.
BASIS_ORIGIN = query("""
    WITH perpetual_minutes AS (
        SELECT base, ts, close AS perpetual_close
        FROM candles
        JOIN instruments USING (instrument)
        WHERE kind = 'perpetual'
    ), pairs AS (
        SELECT instrument, ts, close, perpetual_close
        FROM candles
        JOIN instruments USING (instrument)
        LEFT JOIN perpetual_minutes USING (base, ts)
        WHERE kind = 'future'
    ), due AS (
        SELECT instrument, count(*) AS candles, count(perpetual_close) AS matched,
               bit_xor(hash(ts, close, perpetual_close))
                   FILTER (perpetual_close IS NOT NULL) AS content
        FROM pairs
        GROUP BY instrument
    ), held AS (
        SELECT instrument, count(*) AS rows,
               bit_xor(hash(ts, future_close, perpetual_close)) AS content
        FROM basis
        GROUP BY instrument
    ), futures AS (
        SELECT instrument, coalesce(candles, 0) AS candles, coalesce(matched, 0) AS matched,
               coalesce(rows, 0) AS rows,
               coalesce(matched, 0) = coalesce(rows, 0)
                   AND due.content IS NOT DISTINCT FROM held.content AS is_same
        FROM due
        FULL JOIN held USING (instrument)
    )
    SELECT base AS currency, count(*) AS futures, sum(candles) AS candles, sum(rows) AS basis_rows,
           sum(candles - matched) AS without_perpetual,
           sum(candles - matched - (candles - rows)) AS unexplained,
           count_if(NOT is_same) AS futures_that_differ
    FROM futures
    JOIN instruments USING (instrument)
    GROUP BY base
    ORDER BY base
""")

BASIS_FORMULAS = query("""
    WITH rows AS (
        SELECT basis.*, base, epoch_us(expires_at) - epoch_us(ts) AS left_us
        FROM basis
        JOIN instruments USING (instrument)
    )
    SELECT base AS currency, count(*) AS rows,
           count_if(basis <> future_close - perpetual_close) AS wrong_basis,
           count_if(basis_pct <> basis / perpetual_close * 100) AS wrong_pct,
           count_if(days_to_expiry <> left_us / 86400000000) AS wrong_days,
           count_if(annualised_pct IS DISTINCT FROM
                    CASE WHEN left_us > 3600000000 THEN basis_pct * 365 / days_to_expiry END)
               AS wrong_annualised,
           count_if(market_structure <> CASE WHEN basis > 0 THEN 'contango'
                                             WHEN basis < 0 THEN 'backwardation'
                                             ELSE 'flat' END) AS wrong_structure,
           count_if(NOT isfinite(basis_pct)) AS not_finite
    FROM rows
    GROUP BY base
    ORDER BY base
""")

BASIS_RANGE = query("""
    SELECT base AS currency, market_structure, count(*) AS rows, min(basis_pct) AS least_pct,
           approx_quantile(basis_pct, 0.5) AS median_pct_about, max(basis_pct) AS greatest_pct,
           count_if(suspect) AS suspect, count_if(future_traded) AS future_traded
    FROM basis
    JOIN instruments USING (instrument)
    GROUP BY base, market_structure
    ORDER BY base, market_structure
""")

# Weekly and longer contracts expire on Fridays; the last Friday of a month belongs to the monthly
# or quarterly contract.
REGISTRY = query(f"""
    WITH ends AS (
        SELECT max("end") AS asked_until FROM candle_coverage
    ), futures AS (
        SELECT base, instrument, in_scope.start AS due_from,
               least(in_scope."end", date_trunc('minute', expires_at)) AS due_until,
               CASE WHEN dayofweek(expires_at) <> 5 THEN 'daily'
                    WHEN month(expires_at + INTERVAL 7 DAY) = month(expires_at) THEN 'weekly'
                    WHEN month(expires_at) % 3 = 0 THEN 'quarterly'
                    ELSE 'monthly' END AS length
        FROM instruments
        JOIN in_scope USING (instrument)
        WHERE kind = 'future' AND expires_at >= TIMESTAMPTZ '{FIRST_YEAR}-01-01 00:00:00+00'
    ), due AS (
        SELECT instrument, status, greatest(coverage.start, in_scope.start) AS start,
               least(coverage."end", in_scope."end") AS "end"
        FROM candle_coverage AS coverage
        JOIN in_scope USING (instrument)
        WHERE coverage.start < in_scope."end" AND coverage."end" > in_scope.start
    ), joints AS (
        SELECT *, lag("end") OVER (PARTITION BY instrument ORDER BY start) AS end_before
        FROM due
    ), asked AS (
        SELECT instrument, min(start) AS first_start, max("end") AS last_end,
               bool_and(end_before IS NULL OR end_before = start) AS is_whole,
               bool_or(status = 'failed') AS has_failed,
               bool_or(status = 'never_asked') AS has_unasked,
               bool_or(status = 'present') AS has_candles
        FROM joints
        GROUP BY instrument
    )
    SELECT base AS currency, length, count(*) AS futures,
           count(*) FILTER (has_candles) AS with_candles,
           count(*) FILTER (NOT has_candles AND NOT has_failed AND NOT has_unasked) AS empty,
           count(*) FILTER (asked.instrument IS NULL) AS not_in_coverage,
           count(*) FILTER (NOT is_whole OR first_start <> due_from
                            OR last_end < least(due_until, asked_until))
               AS not_covered_whole,
           count(*) FILTER (has_unasked) AS with_minutes_never_asked,
           count(*) FILTER (has_failed) AS with_minutes_without_answer
    FROM futures
    LEFT JOIN asked USING (instrument)
    CROSS JOIN ends
    GROUP BY base, length
    ORDER BY base, length
""")

# A future that is not in `instruments` has no known scope, so it is included.
DELIVERIES = query("""
    SELECT coalesce(reason, 'proved') AS verdict, count(*) AS futures,
           count(settlement_price) AS delivered
    FROM delivery_proof
    WHERE expires_at IS NULL
        OR instrument IN (SELECT instrument FROM in_scope WHERE "end" >= expires_at)
    GROUP BY verdict
    ORDER BY futures DESC, verdict
""")

FUTURES_STORAGE = query("""
    SELECT table_name, sum(rows) AS rows, sum(bytes) AS bytes
    FROM lake_files
    JOIN instruments ON instruments.instrument = lake_files.partition
    WHERE kind = 'future'
    GROUP BY table_name
    ORDER BY table_name
""")
