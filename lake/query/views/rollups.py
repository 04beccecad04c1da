"""Views of candles and the basis, aggregated to full hours and days."""

from lake.query.views.clock import DAY_STARTS_AT_HOUR, HOUR_US
from lake.query.views.declaration import View, columns_of, optional
from lake.table import Column, Type
from lake.tables import BASIS, CANDLES

_LENGTHS_H = {"hourly": 1, "daily": 24}
_MEANT = {
    "hourly": "of a full hour",
    "daily": f"of a day that starts at {DAY_STARTS_AT_HOUR:02}:00 UTC, as the exchange's do",
}
_LABEL = (
    "`ts` is the start of the {0}. Each {0} with a minute of the instrument has a row, and "
    "`minutes` counts them: nothing is filled in. Suspect minutes are used, and counted. Rows "
    "are ordered by instrument and time."
)
_SUSPECT_MINUTES = Column("suspect_minutes", Type.INT, "minutes that are suspect", "minutes")


def _start_sql(length_h: int) -> str:
    """The start of the period that holds `ts`.

    In microseconds; see `lake.query.views.clock`.
    """
    length = length_h * HOUR_US
    offset = DAY_STARTS_AT_HOUR * HOUR_US
    return f"make_timestamptz((epoch_us(ts) - {offset}) // {length} * {length} + {offset})"


def _candles(period: str) -> View:
    noun = "hour" if period == "hourly" else "day"
    return View(
        name=f"candles_{period}",
        meaning=f"A candle {_MEANT[period]}.",
        formula=(
            "Of the candles of the period: open of the first, highest high, lowest low, close of "
            f"the last, sums of volume and cost. {_LABEL.format(noun)}"
        ),
        source="Table `candles`.",
        columns=(
            *columns_of(CANDLES, "instrument"),
            Column("ts", Type.TIME, f"start of the {noun}", "UTC"),
            *columns_of(CANDLES, "open", "high", "low", "close", "volume", "cost"),
            Column("minutes", Type.INT, "candles in it", "minutes"),
            Column("traded_minutes", Type.INT, "candles with a trade", "minutes"),
            _SUSPECT_MINUTES,
        ),
        sql=f"""
            SELECT instrument, {_start_sql(_LENGTHS_H[period])} AS ts,
                   arg_min(open, candles.ts) AS open, max(high) AS high, min(low) AS low,
                   arg_max(close, candles.ts) AS close, fsum(volume) AS volume, fsum(cost) AS cost,
                   count(*) AS minutes,
                   CAST(count_if(traded) AS BIGINT) AS traded_minutes,
                   CAST(count_if(suspect) AS BIGINT) AS suspect_minutes
            FROM candles
            GROUP BY 1, 2
            ORDER BY 1, 2
        """,
    )


def _basis(period: str) -> View:
    noun = "hour" if period == "hourly" else "day"
    return View(
        name=f"basis_{period}",
        meaning=f"The basis of a future {_MEANT[period]}.",
        formula=(
            "Of the basis rows of the period: basis_pct of the first and the last, its mean, least "
            "and greatest; annualised_pct of the last row that has one (no row of the final hour "
            f"has). {_LABEL.format(noun)}"
        ),
        source="Table `basis`; the mean weighs minutes equally, traded or not.",
        columns=(
            *columns_of(BASIS, "instrument"),
            Column("ts", Type.TIME, f"start of the {noun}", "UTC"),
            *(
                Column(f"{which}_basis_pct", Type.FLOAT, f"{which} basis_pct", "percent")
                for which in ("first", "last", "mean", "min", "max")
            ),
            optional(
                "last_annualised_pct", "last annualised_pct that is not null", "percent a year"
            ),
            Column("minutes", Type.INT, "basis rows in it", "minutes"),
            Column("both_traded_minutes", Type.INT, "minutes in which both legs traded", "minutes"),
            _SUSPECT_MINUTES,
        ),
        sql=f"""
            SELECT instrument, {_start_sql(_LENGTHS_H[period])} AS ts,
                   arg_min(basis_pct, basis.ts) AS first_basis_pct,
                   arg_max(basis_pct, basis.ts) AS last_basis_pct,
                   favg(basis_pct) AS mean_basis_pct,
                   min(basis_pct) AS min_basis_pct,
                   max(basis_pct) AS max_basis_pct,
                   arg_max(annualised_pct, basis.ts) AS last_annualised_pct,
                   count(*) AS minutes,
                   CAST(count_if(future_traded AND perpetual_traded) AS BIGINT)
                       AS both_traded_minutes,
                   CAST(count_if(suspect) AS BIGINT) AS suspect_minutes
            FROM basis
            GROUP BY 1, 2
            ORDER BY 1, 2
        """,
    )


CANDLES_HOURLY, CANDLES_DAILY = _candles("hourly"), _candles("daily")
BASIS_HOURLY, BASIS_DAILY = _basis("hourly"), _basis("daily")
