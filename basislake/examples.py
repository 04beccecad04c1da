"""Questions one may ask a lake, ready to run: `basislake sql @NAME` and docs/queries.md are made of
them.
"""

from dataclasses import dataclass
from textwrap import dedent

from lake.errors import UsageError

MARK = "@"


@dataclass(frozen=True, slots=True)
class Example:
    """One question in SQL.

    Attributes:
        name: what it is called on the command line, after the mark.
        title: the question, in a few words.
        expect: what a row is and what the answer should look like.
        sql: runs as it stands on any lake.
        has_rows: whether a sound lake of a few weeks answers with rows.
    """

    name: str
    title: str
    expect: str
    sql: str
    has_rows: bool = True


def _example(name: str, title: str, expect: str, sql: str, *, has_rows: bool = True) -> Example:
    return Example(name, title, expect, dedent(sql).strip(), has_rows)


EXAMPLES: tuple[Example, ...] = (
    _example(
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
    _example(
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
    _example(
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
    _example(
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
    _example(
        "completeness",
        "Instruments by how complete they are",
        "A row per instrument, the least complete first: percent of the minutes from its first "
        "candle on that it has, its gaps, and how many of its candles saw no trade.",
        """
        SELECT instrument, rows, missing_minutes, gaps, gaps_over_10m, longest_gap_minutes,
               100 * (1 - missing_minutes / expected_minutes) AS complete_pct,
               100 * untraded_minutes / greatest(rows - quarantined, 1) AS untraded_pct
        FROM quality
        ORDER BY complete_pct, instrument
        """,
    ),
    _example(
        "coverage",
        "What was asked, and what came",
        "A row per coin and status of `coverage`, in minutes; all but the minutes `present` and "
        "`no_data` is something to look at.",
        """
        SELECT base AS coin, status, sum(minutes) AS minutes, count(*) AS intervals
        FROM coverage
        JOIN instruments USING (instrument)
        GROUP BY base, status
        ORDER BY base, minutes DESC
        """,
    ),
    _example(
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
    _example(
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
    _example(
        "curve",
        "The newest term structure",
        "A row per open future in the newest minute of its coin, by coin and expiry; "
        "`basislake curve` prints the same.",
        """
        SELECT coin, ts, instrument, term, days_to_expiry, future_close, perpetual_close,
               basis_pct, annualised_pct, market_structure, future_traded_minutes_ago,
               perpetual_traded_minutes_ago
        FROM term_structure_latest
        ORDER BY coin, days_to_expiry
        """,
    ),
    _example(
        "by-time-left",
        "Basis by time left",
        "A row per coin and range of days to expiry, medians of all minutes; the basis shrinks to "
        "nothing as the expiry nears.",
        """
        SELECT base AS coin,
               CASE WHEN days_to_expiry <= 7 THEN '7 days or less'
                    WHEN days_to_expiry <= 30 THEN '7 to 30 days'
                    WHEN days_to_expiry <= 90 THEN '30 to 90 days'
                    ELSE 'over 90 days' END AS time_left,
               count(*) AS minutes,
               median(basis_pct) AS basis_pct,
               median(annualised_pct) AS annualised_pct,
               100.0 * count_if(future_traded) / count(*) AS traded_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE NOT suspect
        GROUP BY ALL
        ORDER BY coin, min(days_to_expiry)
        """,
    ),
    _example(
        "contango",
        "How often in contango",
        "A row per coin and month: percent of the minutes in contango and in backwardation, by "
        "futures that traded in the minute.",
        """
        SELECT base AS coin, date_trunc('month', ts) AS month, count(*) AS minutes,
               100.0 * count_if(market_structure = 'contango') / count(*) AS contango_pct,
               100.0 * count_if(market_structure = 'backwardation') / count(*) AS backwardation_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE future_traded AND perpetual_traded
        GROUP BY ALL
        ORDER BY coin, month
        """,
    ),
    _example(
        "constant-maturity",
        "Annualised basis 7 and 30 days out",
        "A row per coin and day (the minute 23:59 UTC); null where no future expires on one side "
        "of the distance.",
        """
        SELECT coin, ts,
               max(annualised_pct) FILTER (WHERE days = 7) AS days_7_pct,
               max(annualised_pct) FILTER (WHERE days = 30) AS days_30_pct
        FROM constant_maturity_by(1440, 'forward', 'perpetual')
        GROUP BY coin, ts
        ORDER BY coin, ts
        """,
    ),
    _example(
        "front-quarterly",
        "Basis of the front quarterly, day by day",
        "A row per coin and day of the view `front_quarterly`, which rolls five days before each "
        "expiry, so that no last days rule the mean; `traded_pct` of the minutes have a trade.",
        """
        SELECT coin, date_trunc('day', ts) AS day, instrument,
               avg(basis_pct) AS basis_pct, avg(annualised_pct) AS annualised_pct,
               100.0 * count_if(future_traded AND perpetual_traded) / count(*) AS traded_pct
        FROM front_quarterly
        WHERE NOT suspect
        GROUP BY ALL
        ORDER BY coin, day, instrument
        """,
    ),
    _example(
        "quarterly-rolls",
        "What a roll of the front quarterly costs",
        "A row per roll: the closes of both contracts in one minute, five days before the expiry; "
        "null where the two share no minute in the day before.",
        """
        SELECT coin, ts, from_instrument, to_instrument, gap_ts, from_close, to_close, gap,
               100 * (ratio - 1) AS gap_pct, both_traded
        FROM rolls_by('quarterly', 5)
        ORDER BY coin, ts
        """,
        has_rows=False,
    ),
    _example(
        "rolls",
        "When the front contract changed, and what the price jumped by",
        "A row per roll of the front: mostly `expired`, at 08:00 UTC; `absent` and `nearer` are a "
        "minute that a contract had no basis in, and its return.",
        """
        SELECT coin, ts, from_instrument, to_instrument, from_close, to_close, gap, reason
        FROM rolls
        WHERE position = 'front'
        ORDER BY coin, ts
        """,
    ),
    _example(
        "calendar-spread",
        "Next less front, hour by hour",
        "A row per coin and hour of the newest week: mean difference of the next future's basis "
        "and the front's, in percent of the perpetual.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM basis)
        SELECT coin, date_trunc('hour', ts) AS hour,
               avg(basis_pct) FILTER (WHERE position = 'next')
                   - avg(basis_pct) FILTER (WHERE position = 'front') AS spread_pct,
               count_if(position = 'next') AS minutes
        FROM continuous_between((SELECT ts - INTERVAL 7 DAY FROM newest),
                                (SELECT ts + INTERVAL 1 MINUTE FROM newest))
        GROUP BY ALL
        ORDER BY coin, hour
        """,
    ),
    _example(
        "days",
        "Daily candles of the perpetuals",
        "A row per perpetual and day from 08:00 to 08:00 UTC; `minutes` is 1,440 for a whole day.",
        """
        SELECT instrument, ts, open, high, low, close, volume, cost, minutes, traded_minutes
        FROM candles_daily
        WHERE instrument LIKE '%-PERPETUAL'
        ORDER BY instrument, ts
        """,
    ),
    _example(
        "basis-days",
        "Daily basis of the futures that live longest",
        "A row per day of each coin's longest-lived future with a basis; both_traded_minutes tells "
        "how much of it is trade rather than repetition.",
        """
        WITH lives AS (
            SELECT DISTINCT base, instrument, expires_at - listed_at AS life
            FROM instruments
            SEMI JOIN basis USING (instrument)
        ), longest AS (
            SELECT base, max_by(instrument, (life, instrument)) AS instrument
            FROM lives
            GROUP BY base
        )
        SELECT basis_daily.*
        FROM basis_daily
        JOIN longest USING (instrument)
        ORDER BY instrument, ts
        """,
    ),
    _example(
        "last-day",
        "The basis in the last day of a life",
        "A row per coin and hour left, 23 to 0: mean size of the basis in percent; it nears zero, "
        "for a future settles at the index that the perpetual follows.",
        """
        SELECT base AS coin, floor(days_to_expiry * 24) AS hours_left, count(*) AS minutes,
               avg(abs(basis_pct)) AS mean_size_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE days_to_expiry < 1 AND NOT suspect
        GROUP BY ALL
        ORDER BY coin, hours_left DESC
        """,
    ),
    _example(
        "extremes",
        "The largest and the smallest annualised basis that was traded",
        "Ten rows: minutes in which both sides traded, with a day or more left, that no warning "
        "rule flags.",
        """
        SELECT instrument, ts, future_close, perpetual_close, basis_pct, annualised_pct
        FROM basis
        WHERE future_traded AND perpetual_traded AND NOT suspect AND days_to_expiry >= 1
        QUALIFY row_number() OVER (ORDER BY annualised_pct DESC, instrument, ts) <= 5
            OR row_number() OVER (ORDER BY annualised_pct, instrument, ts) <= 5
        ORDER BY annualised_pct DESC, instrument, ts
        """,
    ),
)


def text_of(query: str) -> str:
    """Return the SQL of an example that was named with the mark, other queries as they are.

    Raises:
        UsageError: no example has the name.
    """
    if not query.startswith(MARK):
        return query
    for example in EXAMPLES:
        if query == MARK + example.name:
            return example.sql
    names = ", ".join(MARK + example.name for example in EXAMPLES)
    raise UsageError(f"There is no example {query}; there are {names}.")
