"""Questions one may ask a lake, ready to run: `basislake sql @NAME` and docs/queries.md are made of
them.
"""

from dataclasses import dataclass
from textwrap import dedent

from basislake.carry_examples import CARRY_EXAMPLES
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
        SELECT instrument, 100 * (1 - missing_minutes / expected_minutes) AS complete_pct,
               100 * untraded_minutes / greatest(rows - quarantined, 1) AS untraded_pct,
               rows, missing_minutes, gaps, gaps_over_10m, longest_gap_minutes
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
        WHERE dataset = 'candles'
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
    _example(
        "failed",
        "Instruments that failed, with the reason and the minutes",
        "A row per interval of an instrument that was asked for and has no answer: the reason of "
        "the last ask, when that was, and how many asks failed. No row where all was answered. "
        "`basislake sql @failed --format csv` is for scripts; `basislake backfill --instruments` "
        "with these names asks again for just them.",
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
    _example(
        "basis-history",
        "The hourly basis of the futures that expire next",
        "A row per hour of each coin's next future, oldest first; write another name into the "
        "last condition for the history of one contract.",
        """
        WITH upcoming AS (
            SELECT base, arg_min(instrument, expires_at) AS instrument
            FROM instruments
            WHERE kind = 'future' AND expires_at > (SELECT max(ts) FROM basis)
                AND instrument IN (SELECT DISTINCT instrument FROM basis)
            GROUP BY base
        )
        SELECT instrument, ts, last_basis_pct, mean_basis_pct, last_annualised_pct,
               both_traded_minutes
        FROM basis_hourly
        WHERE instrument IN (SELECT instrument FROM upcoming)
        ORDER BY instrument, ts
        """,
    ),
    _example(
        "basis-by-days-left",
        "Average basis by days to expiry",
        "A row per coin and whole days left, of minutes in which both sides traded: mean and "
        "spread of the basis over all contracts, and how many contracts that is.",
        """
        SELECT base AS coin, CAST(floor(days_to_expiry) AS BIGINT) AS days_left,
               count(DISTINCT instrument) AS contracts, count(*) AS minutes,
               avg(basis_pct) AS mean_basis_pct, stddev_samp(basis_pct) AS stddev_basis_pct,
               avg(annualised_pct) AS mean_annualised_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE future_traded AND perpetual_traded AND NOT suspect
        GROUP BY ALL
        ORDER BY coin, days_left
        """,
    ),
    _example(
        "recent-basis",
        "The basis of the last 30 days, contract by contract",
        "A row per future with a basis in the 30 days before the newest minute: mean, extremes and "
        "last basis in percent, of minutes that no warning rule flags.",
        """
        SELECT base AS coin, instrument, expires_at, count(*) AS minutes,
               avg(basis_pct) AS mean_basis_pct, min(basis_pct) AS min_basis_pct,
               max(basis_pct) AS max_basis_pct, arg_max(basis_pct, ts) AS last_basis_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE ts > (SELECT max(ts) FROM basis) - INTERVAL 30 DAY AND NOT suspect
        GROUP BY ALL
        ORDER BY coin, expires_at
        """,
    ),
    _example(
        "widest-gaps",
        "The widest gaps between future and perpetual",
        "Twenty rows, one per future at most: its minute with the largest basis in percent, either "
        "way, in which both sides traded, and that no warning rule flags.",
        """
        SELECT instrument, arg_max(ts, abs(basis_pct)) AS ts,
               arg_max(future_close, abs(basis_pct)) AS future_close,
               arg_max(perpetual_close, abs(basis_pct)) AS perpetual_close,
               arg_max(basis_pct, abs(basis_pct)) AS basis_pct,
               arg_max(days_to_expiry, abs(basis_pct)) AS days_to_expiry
        FROM basis
        WHERE future_traded AND perpetual_traded AND NOT suspect
        GROUP BY instrument
        ORDER BY max(abs(basis.basis_pct)) DESC, instrument
        LIMIT 20
        """,
    ),
    _example(
        "most-traded",
        "The most traded contracts",
        "Twenty rows: traded amount in the quote currency (`cost`) of a contract's whole life, its "
        "mean per day that has candles, and the share of minutes with a trade.",
        """
        SELECT instrument, sum(cost) AS cost, sum(volume) AS volume,
               sum(cost) / count(DISTINCT ts::DATE) AS cost_a_day,
               100.0 * count_if(traded) / count(*) AS traded_minutes_pct,
               min(ts) AS first_ts, max(ts) AS last_ts
        FROM candles
        GROUP BY instrument
        ORDER BY cost DESC, instrument
        LIMIT 20
        """,
    ),
    _example(
        "volume-days",
        "Traded amount a day, futures and perpetuals",
        "A row per coin and day from 08:00 to 08:00 UTC: `cost` of the dated futures and of the "
        "perpetual, and the share of the futures in both.",
        """
        SELECT base AS coin, ts, sum(cost) FILTER (WHERE kind = 'future') AS futures_cost,
               sum(cost) FILTER (WHERE kind = 'perpetual') AS perpetual_cost,
               100 * futures_cost / sum(cost) AS futures_share_pct
        FROM candles_daily
        JOIN instruments USING (instrument)
        GROUP BY base, ts
        ORDER BY coin, ts
        """,
    ),
    _example(
        "roll-yield",
        "What a roll from the front into the next contract costs",
        "A row per coin and day at 07:59 UTC with two futures: price of the next over the front in "
        "percent, and a year's worth of it by the days between their expiries. Above zero is what "
        "a long pays to roll.",
        """
        WITH days AS (
            SELECT base AS coin, ts, instrument, expires_at, future_close,
                   row_number() OVER (PARTITION BY base, ts ORDER BY expires_at) AS place
            FROM basis
            JOIN instruments USING (instrument)
            WHERE epoch_us(ts) // 60_000_000 % 1440 = 479 AND NOT suspect
        )
        SELECT front.coin, front.ts, front.instrument AS front, back.instrument AS next,
               100 * (back.future_close / front.future_close - 1) AS roll_pct,
               roll_pct * 365 * 86_400 / epoch(back.expires_at - front.expires_at)
                   AS roll_annualised_pct
        FROM days AS front
        JOIN days AS back ON back.coin = front.coin AND back.ts = front.ts AND back.place = 2
        WHERE front.place = 1
        ORDER BY front.coin, front.ts
        """,
    ),
    _example(
        "hourly-volatility",
        "Realised volatility of the perpetuals, hour by hour",
        "A row per perpetual and hour of the newest week: standard deviation of the minutes' log "
        "returns, times the root of the minutes of a 365-day year, in percent. Returns are of "
        "neighbouring minutes only.",
        """
        WITH returns AS (
            SELECT instrument, ts, ln(close / lag(close) OVER before) AS log_return,
                   ts - lag(ts) OVER before AS step
            FROM candles
            WHERE instrument LIKE '%-PERPETUAL' AND NOT suspect
                AND ts > (SELECT max(ts) FROM candles) - INTERVAL 7 DAY
            WINDOW before AS (PARTITION BY instrument ORDER BY ts)
        )
        SELECT instrument, date_trunc('hour', ts) AS hour, count(*) AS minutes,
               100 * stddev_samp(log_return) * sqrt(365 * 1440) AS volatility_pct
        FROM returns
        WHERE step = INTERVAL 1 MINUTE
        GROUP BY ALL
        ORDER BY instrument, hour
        """,
    ),
    _example(
        "busiest-hours",
        "When the market trades",
        "A row per coin and hour of the day (UTC): share of the traded amount of all contracts, "
        "and share of the futures' minutes with a trade.",
        """
        WITH hours AS (
            SELECT base AS coin, hour(ts) AS hour, sum(cost) AS cost,
                   100.0 * count_if(traded AND kind = 'future')
                       / nullif(count_if(kind = 'future'), 0) AS futures_traded_pct
            FROM candles
            JOIN instruments USING (instrument)
            GROUP BY ALL
        )
        SELECT coin, hour, 100 * cost / sum(cost) OVER (PARTITION BY coin) AS cost_pct,
               futures_traded_pct
        FROM hours
        ORDER BY coin, hour
        """,
    ),
    _example(
        "last-trades",
        "How long ago each open future last traded",
        "A row per future that is open in the newest minute: its last trade, and the minutes "
        "since, in which its close only repeats that trade.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM candles)
        SELECT base AS coin, instrument, expires_at,
               max(candles.ts) FILTER (WHERE traded) AS last_trade,
               date_diff('minute', last_trade, any_value(newest.ts)) AS minutes_ago,
               arg_max(close, candles.ts) AS last_close
        FROM candles
        JOIN instruments USING (instrument)
        CROSS JOIN newest
        WHERE kind = 'future' AND expires_at > newest.ts
        GROUP BY ALL
        ORDER BY coin, expires_at
        """,
    ),
    _example(
        "month-before-expiry",
        "The basis 30 days before each expiry",
        "A row per expired future that has a basis in the minute 30 days before its expiry: both "
        "prices, and the basis in percent and annualised.",
        """
        SELECT base AS coin, basis.instrument, basis.ts, expires_at, future_close,
               perpetual_close, basis_pct, annualised_pct
        FROM basis
        JOIN instruments USING (instrument)
        WHERE expires_at <= (SELECT max(ts) FROM basis)
            AND basis.ts = date_trunc('minute', expires_at - INTERVAL 30 DAY)
        ORDER BY coin, expires_at
        """,
        has_rows=False,
    ),
    _example(
        "basis-moves",
        "How the basis moved since a day before",
        "A row per open future of the newest minute: its annualised basis then, 24 hours before, "
        "and the change.",
        """
        WITH newest AS (SELECT max(ts) AS ts FROM basis)
        SELECT base AS coin, current.instrument, current.days_to_expiry, current.annualised_pct,
               before.annualised_pct AS day_before_pct,
               current.annualised_pct - before.annualised_pct AS change_pct
        FROM basis AS current
        JOIN instruments USING (instrument)
        LEFT JOIN basis AS before ON before.instrument = current.instrument
            AND before.ts = current.ts - INTERVAL 1 DAY
        WHERE current.ts = (SELECT ts FROM newest)
        ORDER BY coin, current.days_to_expiry
        """,
    ),
    *(_example(*each, has_rows=False) for each in CARRY_EXAMPLES),
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
