"""Spikes: candles that leave their perpetual and their neighbours on the curve while those did not
move; pure.

Checks of a single candle do not find them, and the exchange has served such candles. They are
flagged and kept, because a true liquidation looks the same. The rule judges each candle on two
sides, its high and its low, between which its other prices lie.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import polars as pl

from transforms.spike_bounds import (
    CAP,
    SIDES,
    STAND_IN,
    future_levels,
    own_levels,
    with_perpetual_prices,
    with_previous,
)

# The candles of the coin's futures in these minutes and the hour before each: columns
# instrument, expires_at, ts, high, low, close, traded.
Others: TypeAlias = Callable[[pl.Series], pl.DataFrame]

# A future that moved by this share of the same way counts as moving along.
_ALONG = 0.5
_KEY = ("instrument", "ts")
# A move of some minutes is not alone if a traded future moved along when it began.
_RECENT = timedelta(minutes=10)
# How long an untraded perpetual keeps the flag of its last price; see `levels.NEAR`.
PERPETUAL_STALE = timedelta(days=1)


def flag_futures(candles: pl.DataFrame, perpetual: pl.DataFrame, others: Others) -> pl.DataFrame:
    """Return candles of futures with `suspect` set where one is a spike.

    A print is a spike if it leaves the perpetual by more than its bound (`levels.future_levels`)
    and no neighbour that traded in that minute, of the nearest expiry before or after, left on the
    same side by at least half as much. A print without the perpetual is compared with the future's
    own candles, with the cap as bound. Candles that only repeat the price of a flagged print are
    flagged, too, while it is out of bound and until the period ends; a price that leaves the bound
    because the perpetual moves is not.

    Args:
        candles: rows of `candles` of dated futures of one coin, one after the other, each sorted,
            with expires_at and is_own, whether to judge the row: whole periods
            (`transforms.periods`), each judged separately, and the minutes before them
            (`levels.LEAD_IN`), which are not judged and not returned.
        perpetual: rows of `candles` of their perpetual, flagged, with two hours before each period
            and one after.
        others: called only if something may be a spike.
    """
    rows = with_previous(candles, each_period=True).filter(candles["is_own"])
    candles = candles.filter("is_own")
    prints = with_perpetual_prices(rows.filter("is_print").sort("ts", "instrument"), perpetual)
    if prints.is_empty():
        return candles
    leaving = _leaving_of_futures(prints)
    if leaving.height:
        moves = _moves(others(leaving["ts"].unique().sort()), perpetual, timedelta(0))
        expiries = candles.select(*_KEY, "expires_at")
        moves = _of_nearest(leaving.join(expiries, on=_KEY), moves)
        leaving = _without_company(leaving, moves, _ALONG)
    return _flag(candles, rows, leaving, perpetual)


def _leaving_of_futures(prints: pl.DataFrame) -> pl.DataFrame:
    """The prints of futures that are out of bound; see `_leaving`."""
    is_matched = pl.col("perpetual_close").is_not_null()
    levels = future_levels(prints.filter(is_matched)).with_columns(is_alone=pl.lit(value=False))
    leaving = _leaving(levels)
    unmatched = prints.filter(~is_matched)
    if unmatched.is_empty():
        return leaving
    own = prints.drop("perpetual_high", "perpetual_low", "perpetual_close")
    near = own.join(unmatched, on="part", how="semi", maintain_order="left")
    levels = pl.concat(map(own_levels, near.partition_by("part", maintain_order=True)))
    alone = _alone(levels.join(unmatched, on=_KEY, how="semi")).with_columns(bound=pl.lit(CAP))
    return pl.concat([leaving, _leaving(alone)]).sort(*_KEY, "side")


def flag_perpetual(candles: pl.DataFrame, others: Others) -> pl.DataFrame:
    """Return a perpetual's candles with `suspect` set where one is a spike.

    A print is a spike if it leaves its own candles of the minutes before and of those after by
    more than its bound (`levels.own_levels`) and no future of the coin that traded in the ten
    minutes up to it has moved along by at least half.

    Args:
        candles: rows of `candles` of one perpetual, sorted.
        others: the futures of the coin; called only if something may be a spike.
    """
    rows = with_previous(candles)
    leaving = _leaving(_alone(own_levels(rows.filter("is_print"))))
    if leaving.height:
        moves = _moves(others(leaving["ts"].unique().sort()), candles, _RECENT)
        moves = moves.with_columns(of=pl.lit(candles["instrument"][0]))
        # They are measured relative to the perpetual, so one that stayed left it the other way.
        leaving = _without_company(leaving, moves, _ALONG - 1)
    return _flag(candles, rows, leaving, None)


def _alone(levels: pl.DataFrame) -> pl.DataFrame:
    """Levels as prices, not relative to a perpetual."""
    nothing = pl.lit(1.0)
    return levels.with_columns(
        perpetual_high=nothing, perpetual_low=nothing, is_alone=pl.lit(value=True)
    )


def _leaving(levels: pl.DataFrame) -> pl.DataFrame:
    """Return the prints whose new prices are out of bound, sorted: columns instrument, ts, side,
    by, usual, bound, is_alone, and stays_at, the close, null if that is not a new price on this
    side.
    """
    return pl.concat([_leaving_on(levels, side) for side in SIDES]).sort(*_KEY, "side")


def _leaving_on(levels: pl.DataFrame, side: str) -> pl.DataFrame:
    by = _away(side, side)
    return levels.filter((by > pl.col("bound")) & _is_new(side, side)).select(
        *_KEY,
        pl.lit(side).alias("side"),
        by.alias("by"),
        pl.col(f"usual_{side}").alias("usual"),
        "bound",
        "is_alone",
        pl.when(_is_new("close", side)).then("close").alias("stays_at"),
    )


def _away(name: str, side: str) -> pl.Expr:
    """How far a price is from the usual level on a side, in log units; negative inside."""
    out = (pl.col(name) / pl.col(f"perpetual_{side}")).log() - pl.col(f"usual_{side}")
    return out if side == "high" else -out


def _is_new(name: str, side: str) -> pl.Expr:
    """Whether a price is new, and not on the way back from further out.

    A price beyond the cap never counts as on the way back.
    """
    price, previous = pl.col(name), pl.col("previous")
    is_further = (price > previous) if side == "high" else (price < previous)
    # After a price at which nobody traded, the price before it is valid again.
    is_back = ~pl.col("traded") & (price == pl.col("earlier")).fill_null(value=False)
    is_beyond = (price != previous) & (_away(name, side) > CAP)
    return previous.is_null() | (is_further & ~is_back) | is_beyond


def _moves(others: pl.DataFrame, perpetual: pl.DataFrame, recent: timedelta) -> pl.DataFrame:
    """Return how far recently traded futures left the perpetual: columns instrument,
    expires_at, ts, side and by.

    The usual level of each is the median of ln(close / perpetual close) over the hour before.
    """
    offset = (pl.col("close") / pl.col("perpetual_close")).log()
    rows = with_perpetual_prices(others.sort("ts", "instrument"), perpetual).with_columns(
        offset=offset
    )
    usual = pl.col("offset").rolling_median_by("ts", STAND_IN, closed="left")
    last_trade = pl.when("traded").then("ts").forward_fill()
    rows = rows.with_columns(
        usual_high=usual.over("instrument"), last_trade=last_trade.over("instrument")
    ).with_columns(usual_low="usual_high")
    rows = rows.filter(pl.col("ts") - pl.col("last_trade") <= recent)
    columns = [*_KEY, "expires_at", "side", "by"]
    sides = [rows.with_columns(side=pl.lit(s), by=_away(s, s)) for s in SIDES]
    return pl.concat([side.select(columns) for side in sides]).drop_nulls("by")


def _of_nearest(leaving: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    """The moves of the neighbours of the nearest expiry before and after each leaving future,
    which is called `of`, in the same minutes and on the same sides.
    """
    own = leaving.select("ts", "side", of="instrument", own_expiry="expires_at")
    distance = pl.col("expires_at") - pl.col("own_expiry")
    return (
        moves.join(own, on=["ts", "side"])
        .filter(pl.col("instrument") != pl.col("of"))
        .with_columns(is_later=distance.dt.total_microseconds() > 0, distance=distance.abs())
        .sort("distance", "instrument")
        .group_by("of", "ts", "side", "is_later", maintain_order=True)
        .first()
    )


def _without_company(leaving: pl.DataFrame, moves: pl.DataFrame, share: float) -> pl.DataFrame:
    """Drop the candidates with which another future moved along by at least a share.

    Args:
        leaving: the candidates.
        moves: of others, each with the candidate's instrument as `of`.
        share: of the candidate's way.
    """
    furthest = moves.group_by(pl.col("of").alias("instrument"), "ts", "side").agg(
        pl.col("by").max().alias("along")
    )
    both = leaving.join(furthest, on=[*_KEY, "side"], how="left", maintain_order="left")
    is_along = (pl.col("along") >= pl.col("by") * share).fill_null(value=False)
    return both.filter(~is_along).drop("along")


def _flag(
    candles: pl.DataFrame, rows: pl.DataFrame, spikes: pl.DataFrame, perpetual: pl.DataFrame | None
) -> pl.DataFrame:
    """Set `suspect` for the spikes and for candles that repeat their prices."""
    if spikes.is_empty():
        return candles
    sides = [_stale(rows, spikes.filter(side=side), side, perpetual) for side in SIDES]
    flagged = pl.concat([spikes.select(_KEY), *sides])
    place = pl.int_range(pl.len())
    near = candles.select(*_KEY, place=place).filter(pl.col("ts").is_in(flagged["ts"].implode()))
    places = near.join(flagged, on=_KEY, how="semi")["place"]
    return candles.with_columns(suspect=place.is_in(places.implode()))


def _stale(
    rows: pl.DataFrame, spikes: pl.DataFrame, side: str, perpetual: pl.DataFrame | None
) -> pl.DataFrame:
    """Return the minutes after spikes that show nothing except the price at which the spike closed,
    on this side, while it is out of bound: columns instrument and ts.
    """
    # A spike that did not close at its new price leaves no price to repeat.
    origin = spikes.drop_nulls("stays_at").select(
        *_KEY, "bound", "is_alone", "stays_at", origin="ts", usual_high="usual", usual_low="usual"
    )
    if origin.is_empty():
        return origin.select(_KEY)
    # Only rows just after a spike that continue at its price: joining all would be expensive.
    is_same = (pl.col(side) == pl.col("previous")) & (pl.col("part") == pl.col("part").shift(1))
    rows = rows.with_columns(run=(~is_same.fill_null(value=False)).cum_sum())
    runs = rows.filter(pl.col("ts").is_in(origin["ts"].implode()))["run"]
    rows = rows.filter(pl.col("run").is_in(runs.implode()))
    of_origin = pl.col(origin.drop(_KEY).columns)
    rows = rows.join(origin, on=_KEY, how="left", maintain_order="left").with_columns(
        of_origin.forward_fill().over("part")
    )
    if perpetual is None:
        rows = rows.filter(pl.col("ts") - pl.col("origin") <= PERPETUAL_STALE)
    repeats = (pl.col("previous") == pl.col("stays_at")) & (pl.col(side) == pl.col("stays_at"))
    rows = _kept_while(rows, repeats)
    if perpetual is not None:
        rows = with_perpetual_prices(rows.sort("ts", "instrument"), perpetual).sort(_KEY)
        price = pl.when(~pl.col("is_alone")).then(f"perpetual_{side}").otherwise(1.0)
        rows = rows.with_columns(price.alias(f"perpetual_{side}"))
    else:
        rows = _alone(rows)
    return _kept_while(rows, _away(side, side) > pl.col("bound")).select(_KEY)


def _kept_while(rows: pl.DataFrame, holds: pl.Expr) -> pl.DataFrame:
    """Keep each spike and the unbroken run of rows after it for which something holds."""
    is_spike = (pl.col("origin") == pl.col("ts")).fill_null(value=False)
    is_start = is_spike | ~holds.fill_null(value=False)
    return rows.filter(pl.when(is_start).then(is_spike).forward_fill().fill_null(value=False))
