"""The view of the spreads between neighbouring expiries."""

from lake.query.views.clock import DAY_US, DAYS_PER_YEAR
from lake.query.views.curves import COIN
from lake.query.views.declaration import Parameter, View, columns_of, optional
from lake.table import Column, Type
from lake.tables import CANDLES

_MINUTE = "date_trunc('minute', CAST(moment AS TIMESTAMPTZ))"


def _leg(name: str, which: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_days", Type.FLOAT, f"expiry of the {which} - ts", "days"),
        optional(f"{name}_close", f"close of the {which}; null without a candle", "quote per base"),
    )


CALENDAR_SPREADS = View(
    name="calendar_spreads",
    meaning="Two futures of neighbouring expiries in the minute of one moment.",
    formula=(
        "spread = back_close - front_close; forward_pct = (back_close / front_close - 1) x 365 / "
        "(back_days - front_days) x 100: the simple rate, ACT/365, that the two prices imply "
        "between the two expiries. Each row is a future that is open by its record and the next "
        "open future of its coin to expire. A future without a candle in that minute stays in "
        "its place, and the spread is null."
    ),
    source=(
        "Tables `instruments` and `candles` (including suspect ones). It needs no perpetual or "
        "index: the reference of the back future is the front one."
    ),
    columns=(
        COIN,
        *columns_of(CANDLES, "ts"),
        Column("front", Type.TEXT, "future that expires first"),
        Column("back", Type.TEXT, "future that expires next"),
        *_leg("front", "front"),
        *_leg("back", "back"),
        optional("spread", "back_close - front_close", "quote per base"),
        optional("forward_pct", "forward rate", "percent a year"),
        optional("both_traded", "whether both traded in the minute", kind=Type.BOOL),
    ),
    sql=f"""
        WITH open_futures AS (
            SELECT base AS coin, instrument, expires_at,
                   (epoch_us(expires_at) - epoch_us({_MINUTE})) / {DAY_US} AS days
            FROM instruments
            WHERE kind = 'future'
                AND listed_at < {_MINUTE} + INTERVAL 1 MINUTE
                AND expires_at > {_MINUTE}
        ), closes AS (
            SELECT candles.instrument, close, traded
            FROM candles
            JOIN open_futures USING (instrument)
            WHERE candles.ts = {_MINUTE}
        ), pairs AS (
            SELECT coin, instrument AS front, days AS front_days, closes.close AS front_close,
                   closes.traded AS front_traded,
                   lead({{'name': instrument, 'days': days, 'close': closes.close,
                          'traded': closes.traded}})
                       OVER (PARTITION BY coin ORDER BY expires_at, instrument) AS back
            FROM open_futures
            LEFT JOIN closes USING (instrument)
        )
        SELECT coin, {_MINUTE} AS ts, front, back.name AS back, front_days, front_close,
               back.days AS back_days, back.close AS back_close,
               back.close - front_close AS spread,
               CASE WHEN back.days > front_days
                    THEN (back.close / front_close - 1) * {DAYS_PER_YEAR}
                         / (back.days - front_days) * 100 END AS forward_pct,
               front_traded AND back.traded AS both_traded
        FROM pairs
        WHERE back IS NOT NULL
        ORDER BY coin, front_days, front
    """,
    parameters=(Parameter("moment", "a time, UTC where it names no zone", "'2024-04-05 11:59'"),),
)
