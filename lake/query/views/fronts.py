"""Views of the front contract of a term: a series that rolls some days before each expiry, the
gaps of its rolls, and the series adjusted for them.
"""

from lake.contract_terms import DATED_TERMS
from lake.query.views.curves import COIN
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.table import Column, Type
from lake.tables import BASIS

FRONT_QUARTERLY_ROLL_DAYS = 5
_TERMS = f"{', '.join(DATED_TERMS[:-1])} or {DATED_TERMS[-1]}"

_PARAMETERS = (
    Parameter("term", _TERMS, "'quarterly'"),
    Parameter("roll_days", "days before the expiry at which the series rolls, 0 or more", "5"),
)
_GAP = optional(
    "gap", "to_close - from_close of `rolls_by`, in a minute of a roll; else null", "quote per base"
)

FRONT_BY = View(
    name="front_by",
    meaning="The front contract of a term, minute by minute, without the gaps of its rolls.",
    formula=(
        "Front contract of a coin: among the futures of the term with more than roll_days to their "
        "expiry, by `instruments`, the one that expires first. Each row is a minute in which it "
        "has a row of `basis`; a minute without one has no row: no other contract takes its "
        "place. Prices are those of the contract, not adjusted. Quicker than `continuous_by`, "
        "which also reads both contracts of each roll."
    ),
    source=(
        "Tables `basis` and `instruments`. Reference: the perpetual's close of the same minute; "
        "simple, ACT/365."
    ),
    columns=(COIN, *BASIS.columns),
    # A parameter hides a column of the same name, so columns are written with their table.
    sql=f"""
        WITH choice AS (
            SELECT CASE WHEN term IN {DATED_TERMS} THEN term
                        ELSE error('The term is {_TERMS}, not '
                                   || coalesce(term, 'NULL') || '.') END AS chosen,
                   CASE WHEN roll_days >= 0 THEN roll_days * INTERVAL 1 DAY
                        ELSE error('The series rolls 0 or more days before the expiry, not '
                                   || coalesce(CAST(roll_days AS VARCHAR), 'NULL') || '.')
                        END AS ahead
        ), contracts AS (
            SELECT instrument, base AS coin, expires_at - ahead AS rolls_at,
                   lag(expires_at - ahead) OVER (
                       PARTITION BY base ORDER BY expires_at, instrument) AS held_from
            FROM instruments
            JOIN choice ON instruments.term = choice.chosen
            WHERE kind = 'future'
        )
        SELECT contracts.coin, basis.*
        FROM basis
        JOIN contracts ON contracts.instrument = basis.instrument
            AND basis.ts < contracts.rolls_at
            AND (contracts.held_from IS NULL OR basis.ts >= contracts.held_from)
    """,
    parameters=_PARAMETERS,
)

ROLLS_BY = View(
    name="rolls_by",
    meaning="A roll of the front contract of a term, and the gap between the two contracts.",
    formula=(
        "A row for each contract of `continuous_by` except a coin's first; ts is its first minute "
        "in the series. gap = to_close - from_close and ratio = to_close / from_close compare the "
        "two contracts in one minute, gap_ts, so they include no move of the market. gap_ts is "
        "the last minute in the day before ts in which both traded and neither is suspect. If "
        "there is none, gap_ts is the last minute of that day in which both have a row of `basis`, "
        "and both_traded is false. Without such a minute either, these columns are null."
    ),
    source="Tables `basis` and `instruments`.",
    columns=(
        COIN,
        *columns_of(BASIS, "ts"),
        Column("from_instrument", Type.TEXT, "contract before"),
        Column("to_instrument", Type.TEXT, "contract from this minute on"),
        optional("gap_ts", "minute of the two closes", "UTC", kind=Type.TIME),
        *(
            optional(f"{leg}_close", f"close of {leg}_instrument at gap_ts", "quote per base")
            for leg in ("from", "to")
        ),
        optional("gap", "to_close - from_close", "quote per base"),
        optional("ratio", "to_close / from_close"),
        optional(
            "both_traded",
            "whether both traded in that minute and neither is suspect",
            kind=Type.BOOL,
        ),
    ),
    sql="""
        WITH starts AS (
            SELECT coin, instrument, min(ts) AS ts
            FROM front_by(term, roll_days)
            GROUP BY coin, instrument
        ), rolls AS (
            SELECT *, lag(instrument) OVER (PARTITION BY coin ORDER BY ts) AS former
            FROM starts
        ), legs AS (
            SELECT instrument AS roll, instrument, ts FROM rolls
            UNION ALL
            SELECT instrument, former, ts FROM rolls
        ), pairs AS (
            SELECT roll, basis.ts, bool_and(future_traded AND NOT suspect) AS both_traded,
                   min(future_close) FILTER (WHERE basis.instrument <> roll) AS from_close,
                   min(future_close) FILTER (WHERE basis.instrument = roll) AS to_close
            FROM legs
            JOIN basis ON basis.instrument = legs.instrument AND basis.ts < legs.ts
                AND basis.ts >= legs.ts - INTERVAL 1 DAY
            GROUP BY roll, basis.ts
            HAVING count(*) = 2
        ), closes AS (
            SELECT roll AS instrument,
                   max({'both_traded': both_traded, 'ts': ts, 'from_close': from_close,
                        'to_close': to_close}) AS last
            FROM pairs
            GROUP BY roll
        )
        SELECT coin, rolls.ts, former AS from_instrument, instrument AS to_instrument,
               last.ts AS gap_ts, last.from_close, last.to_close,
               last.to_close - last.from_close AS gap, last.to_close / last.from_close AS ratio,
               last.both_traded
        FROM rolls
        LEFT JOIN closes USING (instrument)
        WHERE former IS NOT NULL
        ORDER BY coin, rolls.ts
    """,
    parameters=_PARAMETERS,
)

CONTINUOUS_BY = View(
    name="continuous_by",
    meaning="The front contract of a term, minute by minute, rolled some days before its expiry.",
    formula=(
        "The rows of `front_by`. rolled_from and gap are set in the first minute of a contract; "
        "`rolls_by` says how the gap is measured."
    ),
    source=(
        "Tables `basis` and `instruments`. Reference: the perpetual's close of the same minute; "
        "simple, ACT/365."
    ),
    columns=(
        COIN,
        *columns_of(
            BASIS,
            "ts",
            "instrument",
            "days_to_expiry",
            "future_close",
            "perpetual_close",
            "basis",
            "basis_pct",
            "annualised_pct",
            "future_traded",
            "perpetual_traded",
            "suspect",
        ),
        optional(
            "rolled_from", "contract before, in a minute of a roll; else null", kind=Type.TEXT
        ),
        _GAP,
    ),
    sql="""
        SELECT front.coin, front.ts, front.instrument, front.days_to_expiry, front.future_close,
               front.perpetual_close, front.basis, front.basis_pct, front.annualised_pct,
               front.future_traded, front.perpetual_traded, front.suspect,
               rolls.from_instrument AS rolled_from, rolls.gap
        FROM front_by(term, roll_days) AS front
        LEFT JOIN rolls_by(term, roll_days) AS rolls
            ON rolls.to_instrument = front.instrument AND rolls.ts = front.ts
    """,
    parameters=_PARAMETERS,
)

FRONT_QUARTERLY = View(
    name="front_quarterly",
    meaning="The front quarterly future, minute by minute, rolled 5 days before its expiry.",
    formula=(
        f"`continuous_by('quarterly', {FRONT_QUARTERLY_ROLL_DAYS})`. It leaves out the last days, "
        "in which annualised_pct is mostly noise."
    ),
    source="As `continuous_by`.",
    columns=CONTINUOUS_BY.columns,
    sql=f"FROM continuous_by('quarterly', {FRONT_QUARTERLY_ROLL_DAYS})",
)

_ADJUSTED_COLUMNS = (
    COIN,
    *columns_of(BASIS, "ts", "instrument", "future_close"),
    optional("difference_close", "future_close + the gaps of all later rolls", "quote per base"),
    optional("ratio_close", "future_close x the ratios of all later rolls", "quote per base"),
    *columns_of(BASIS, "future_traded", "suspect"),
)

BACK_ADJUSTED_BY = View(
    name="back_adjusted_by",
    meaning="The series of `continuous_by`, adjusted for its rolls by difference and by ratio.",
    formula=(
        "The newest contract keeps its prices; the rolls after older contracts shift those: gaps "
        "are added or ratios multiplied, as in `rolls_by`. So differences of difference_close, "
        "and returns of ratio_close, contain no roll. Nobody traded at either level, and "
        "both change at the next roll. Null before a roll whose gap is null."
    ),
    source="As `continuous_by`; the usual two adjustments.",
    columns=_ADJUSTED_COLUMNS,
    sql="""
        WITH rolls AS (
            SELECT * FROM rolls_by(term, roll_days)
        ), firsts AS (
            SELECT coin, min_by(from_instrument, ts) AS instrument
            FROM rolls
            GROUP BY coin
        ), contracts AS (
            SELECT coin, ts, to_instrument AS instrument, gap, ratio FROM rolls
            UNION ALL
            SELECT coin, '-infinity', instrument, 0, 1 FROM firsts
        ), shifts AS (
            SELECT instrument, bool_and(gap IS NOT NULL) OVER later AS is_known,
                   sum(gap) OVER later AS gap, product(ratio) OVER later AS ratio
            FROM contracts
            WINDOW later AS (
                PARTITION BY coin ORDER BY ts DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        )
        SELECT coin, ts, instrument, future_close,
               CASE WHEN coalesce(is_known, true)
                    THEN future_close + coalesce(shifts.gap, 0) END AS difference_close,
               CASE WHEN coalesce(is_known, true)
                    THEN future_close * coalesce(shifts.ratio, 1) END AS ratio_close,
               future_traded, suspect
        FROM continuous_by(term, roll_days)
        LEFT JOIN shifts USING (instrument)
    """,
    parameters=_PARAMETERS,
)

FRONT_QUARTERLY_ADJUSTED = View(
    name="front_quarterly_adjusted",
    meaning="The front quarterly future, adjusted for its rolls by difference and by ratio.",
    formula=f"`back_adjusted_by('quarterly', {FRONT_QUARTERLY_ROLL_DAYS})`.",
    source="As `back_adjusted_by`.",
    columns=_ADJUSTED_COLUMNS,
    sql=f"FROM back_adjusted_by('quarterly', {FRONT_QUARTERLY_ROLL_DAYS})",
)
