"""Views of the nearest two futures as one series each, and of the rolls between contracts."""

from lake.query.views.curves import COIN
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.table import Column, Type
from lake.tables import BASIS

_POSITION = Column("position", Type.TEXT, "front (nearest expiry) or next (the one after)")
_HELD = (
    COIN,
    *columns_of(BASIS, "ts"),
    _POSITION,
    *columns_of(
        BASIS,
        "instrument",
        "future_close",
        "basis_pct",
        "annualised_pct",
        "future_traded",
        "perpetual_traded",
    ),
    optional(
        "rolled_from",
        "instrument in this position before, in a minute of a roll; else null",
        kind=Type.TEXT,
    ),
)
_REASON = optional(
    "reason",
    "expired; moved_up (the next is now the front); nearer (one with an earlier expiry was "
    "listed); absent (the contract before has no basis in this minute)",
    kind=Type.TEXT,
)

CONTINUOUS_BETWEEN = View(
    name="continuous_between",
    meaning="The front and the next future of a coin, minute by minute, in a range of time.",
    formula=(
        "Takes the futures of the coin that have a row of `basis` in the minute. The one that "
        "expires first is the front, the second is the next; futures with the same expiry are "
        "sorted by name. Prices are those of the contract, not adjusted for rolls. If the position "
        "had another instrument in its previous row (at most a day before the range), rolled_from "
        "names that instrument and reason says why it changed."
    ),
    source="Tables `basis` and `instruments`; the usual unadjusted series by nearest expiry.",
    columns=(
        *_HELD,
        optional("from_ts", "minute of the row before, at a roll", "UTC", kind=Type.TIME),
        _REASON,
    ),
    sql="""
        WITH places AS (
            SELECT instrument, base AS coin, expires_at,
                   CAST(row_number() OVER (ORDER BY expires_at, instrument) AS INTEGER) AS place
            FROM instruments
            WHERE kind = 'future'
        ), nearest AS (
            SELECT coin, ts, min(place, 2) AS pair
            FROM basis
            JOIN places USING (instrument)
            WHERE ts >= CAST(since AS TIMESTAMPTZ) - INTERVAL 1 DAY
                AND ts < CAST(until AS TIMESTAMPTZ)
            GROUP BY coin, ts
        ), held AS (
            SELECT coin, ts, pair[1] AS front, unnest(pair) AS place,
                   unnest(['front', 'next'][:len(pair)]) AS position
            FROM nearest
        ), steps AS (
            SELECT *, lag(place) OVER earlier AS place_before, lag(ts) OVER earlier AS ts_before
            FROM held
            WINDOW earlier AS (PARTITION BY coin, position ORDER BY ts)
        ), rolls AS (
            SELECT coin, ts, position, place, front,
                   CASE WHEN place_before <> place THEN place_before END AS from_place,
                   CASE WHEN place_before <> place THEN ts_before END AS from_ts
            FROM steps
            WHERE ts >= CAST(since AS TIMESTAMPTZ)
        )
        SELECT rolls.coin, rolls.ts, rolls.position, current.instrument, basis.future_close,
               basis.basis_pct, basis.annualised_pct, basis.future_traded, basis.perpetual_traded,
               former.instrument AS rolled_from, rolls.from_ts,
               CASE WHEN former.place IS NULL THEN NULL
                    WHEN rolls.ts >= former.expires_at THEN 'expired'
                    WHEN former.place = rolls.front THEN 'moved_up'
                    WHEN current.place < former.place THEN 'nearer'
                    ELSE 'absent' END AS reason
        FROM rolls
        JOIN places AS current ON current.place = rolls.place
        JOIN basis ON basis.instrument = current.instrument AND basis.ts = rolls.ts
            AND basis.ts >= CAST(since AS TIMESTAMPTZ) AND basis.ts < CAST(until AS TIMESTAMPTZ)
        LEFT JOIN places AS former ON former.place = rolls.from_place
    """,
    parameters=(
        Parameter("since", "first minute, inclusive", "'2024-04-01'"),
        Parameter("until", "end, exclusive", "'2024-04-08'"),
    ),
)

CONTINUOUS = View(
    name="continuous",
    meaning="The front and the next future of a coin, minute by minute, unadjusted.",
    formula=(
        "`continuous_between` over all of time. For a part, call `continuous_between`: this view "
        "reads every basis row."
    ),
    source="As `continuous_between`.",
    columns=_HELD,
    sql=f"""
        SELECT {", ".join(column.name for column in _HELD)}
        FROM continuous_between('-infinity', 'infinity')
    """,
)

ROLLS = View(
    name="rolls",
    meaning="A minute in which the front or the next future of a coin became another contract.",
    formula=(
        "The rows of `continuous` with rolled_from. gap = to_close - from_close is the jump that "
        "the roll makes in the unadjusted series; it includes the market's move from from_ts to "
        "ts."
    ),
    source="As `continuous_between`.",
    columns=(
        COIN,
        *columns_of(BASIS, "ts"),
        _POSITION,
        Column("from_instrument", Type.TEXT, "contract before"),
        Column("to_instrument", Type.TEXT, "contract from this minute on"),
        Column("from_ts", Type.TIME, "last minute of the contract before", "UTC"),
        Column("from_close", Type.FLOAT, "its close at from_ts", "quote per base"),
        Column("to_close", Type.FLOAT, "close of the new contract at ts", "quote per base"),
        Column("gap", Type.FLOAT, "to_close - from_close", "quote per base"),
        _REASON,
    ),
    sql="""
        SELECT rolls.coin, rolls.ts, rolls.position, rolls.rolled_from AS from_instrument,
               rolls.instrument AS to_instrument, rolls.from_ts,
               basis.future_close AS from_close, rolls.future_close AS to_close,
               rolls.future_close - basis.future_close AS gap, rolls.reason
        FROM continuous_between('-infinity', 'infinity') AS rolls
        JOIN basis ON basis.instrument = rolls.rolled_from AND basis.ts = rolls.from_ts
        ORDER BY rolls.coin, rolls.ts, rolls.position
    """,
)
