"""A small simulated market to plant spikes in, validated in memory as in a build."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from basislake.simulator.contracts import inverse_contract, milliseconds
from basislake.simulator.market import candles
from lake.table import BATCH
from lake.tables import RAW_CANDLES
from transforms.spikes import flag_futures, flag_perpetual
from transforms.validation import validate

START = datetime(2024, 1, 1, 8, tzinfo=UTC)
MONTHS_END = datetime(2024, 2, 1, tzinfo=UTC)
EXPIRIES: dict[str, datetime | None] = {
    "BTC-PERPETUAL": None,
    "BTC-5JAN24": START + timedelta(days=4),
    "BTC-12JAN24": START + timedelta(days=11),
    "BTC-29MAR24": START + timedelta(days=88),
}
PERPETUAL, WEEKLY, NEXT, QUARTERLY = EXPIRIES
PRICES = ("open", "high", "low", "close")
DAY = 1440
RECORDED = Path(__file__).parents[2] / "shared" / "recordings" / "candles_1m_BTC_pairs.parquet"


@dataclass(frozen=True, slots=True)
class Market:
    """Raw candles by instrument, and when each expires (None for a perpetual)."""

    raw: Mapping[str, pl.DataFrame]
    expiries: Mapping[str, datetime | None]

    def having(self, name: str, frame: pl.DataFrame) -> "Market":
        """The same market with other candles of one instrument."""
        return Market({**self.raw, name: frame}, self.expiries)

    def ending(self, minutes: int | None) -> "Market":
        """The same market at another time, so that a month ends so many minutes after it begins;
        none ends where that is None.
        """
        if minutes is None:
            return self
        by = MONTHS_END - timedelta(minutes=minutes) - START
        expiries = {name: expiry and expiry + by for name, expiry in self.expiries.items()}
        raw = {name: f.with_columns(pl.col("ts") + by) for name, f in self.raw.items()}
        return Market(raw, expiries)

    def judged(self) -> dict[str, pl.DataFrame]:
        """The sound candles of every instrument, their spikes flagged."""
        sound = {name: self.sound(name) for name in self.raw}
        perpetual = next(name for name, expiry in self.expiries.items() if expiry is None)
        futures = pl.concat(
            frame.with_columns(expires_at=pl.lit(self.expiries[name]), is_own=pl.lit(value=True))
            for name, frame in sound.items()
            if name != perpetual
        )

        def others(minutes: pl.Series) -> pl.DataFrame:
            """All candles of the futures: more than are asked for does no harm."""
            assert minutes.is_sorted()
            columns = ["instrument", "expires_at", "ts", "high", "low", "close", "traded"]
            return futures.select(columns)

        flagged = flag_perpetual(sound[perpetual], others)
        judged = flag_futures(futures, flagged, others).drop("expires_at", "is_own")
        parts = judged.partition_by("instrument", as_dict=True)
        return {perpetual: flagged, **{str(name): frame for (name,), frame in parts.items()}}

    def sound(self, name: str) -> pl.DataFrame:
        """The candles of an instrument that pass validation, none flagged."""
        long_ago = datetime(2018, 1, 1, tzinfo=UTC)
        record = {"listed_at": pl.lit(long_ago), "expires_at": pl.lit(self.expiries[name])}
        candles, _ = validate(self.raw[name].with_columns(pl.lit(1).alias(BATCH), **record))
        return candles.drop(*record)


def market(
    seed: int, minutes: int, *, traded_share: float = 1.0, path: Mapping[int, float] | None = None
) -> Market:
    """A perpetual, two weeklies and a quarterly over some minutes.

    Args:
        seed: of the simulated market.
        minutes: from START.
        traded_share: of the minutes in which the market's futures trade, those in which they still
            do; the rest repeat the close before.
        path: that all of them take besides; see `moved`.
    """
    raw = {}
    for name, expires_at in EXPIRIES.items():
        frame = moved(simulated(seed, name, minutes), path or {})
        is_future = expires_at is not None
        # One of the futures trades whenever all move.
        always = list(path or {}) if name == QUARTERLY else []
        raw[name] = thinned(frame, traded_share, seed, always) if is_future else frame
    return Market(raw, EXPIRIES)


def recorded() -> Market | None:
    """The recorded candles, where they are."""
    if not RECORDED.exists():
        return None
    candles = pl.read_parquet(RECORDED).with_columns(pl.lit(1).alias(BATCH))
    candles = candles.select(RAW_CANDLES.names).sort("instrument", "ts")
    parts = candles.partition_by("instrument", as_dict=True)
    raw = {str(name): frame for (name,), frame in parts.items()}
    return Market(raw, {name: _expiry(name) for name in raw})


def _expiry(name: str) -> datetime | None:
    """08:00 UTC of the date in a future's name."""
    if name.endswith("PERPETUAL"):
        return None
    date = datetime.strptime(name.partition("-")[2].title(), "%d%b%y").replace(tzinfo=UTC)
    return date + timedelta(hours=8)


def eventful(minutes: int) -> dict[str, pl.DataFrame]:
    """Raw candles of days in which spikes happen alone, with company, and with company that comes
    too late, so that what arrives of one instrument decides about another.
    """
    raw = {name: traded(frame) for name, frame in market(5, minutes, traded_share=0.3).raw.items()}
    raw[PERPETUAL] = stale(raw[PERPETUAL], DAY // 2, raw[PERPETUAL]["close"][0] * 0.6, DAY)
    for day in range(2, minutes // DAY):
        for hour, names in enumerate(
            [
                (PERPETUAL,),
                (PERPETUAL, QUARTERLY),
                (PERPETUAL, NEXT),
                (NEXT,),
                (NEXT, QUARTERLY),
                (NEXT, QUARTERLY, PERPETUAL),
                (QUARTERLY, WEEKLY),
            ]
        ):
            at = day * DAY + 180 * hour + 7 * day
            for name in names:
                if at < raw[name].height:
                    raw[name] = planted(raw[name], at, "high", 1.2)
    return raw


def traded(frame: pl.DataFrame) -> pl.DataFrame:
    """The candles if something had traded in each."""
    return frame.with_columns(volume=pl.max_horizontal("volume", 1.0))


def simulated(seed: int, name: str, minutes: int) -> pl.DataFrame:
    """The simulated candles of an instrument, in the columns of `raw_candles`."""
    first = milliseconds(START)
    expires_at = EXPIRIES[name]
    expires_ms = None if expires_at is None else milliseconds(expires_at)
    contract = inverse_contract(name, "BTC", first, expires_ms, first)
    stop = min(first + minutes * 60_000, expires_ms or first + minutes * 60_000)
    frame = candles(seed, contract, first, stop)
    stamp = pl.from_epoch("ticks", time_unit="ms").cast(pl.Datetime("us", "UTC"))
    return frame.select(
        pl.lit(name).alias("instrument"), stamp.alias("ts"), *PRICES, "volume", "cost"
    )


def thinned(
    frame: pl.DataFrame, share: float, seed: int, always: Sequence[int] = ()
) -> pl.DataFrame:
    """The candles if only a share of their trades had happened, and some in these rows besides; the
    first row always has one.
    """
    row = pl.int_range(pl.len())
    is_added = row.is_in([0, *always])
    is_kept = ((pl.col("ts").hash(seed) % 1000 < share * 1000) & (pl.col("volume") > 0)) | is_added
    close = pl.when(is_kept).then("close").forward_fill()
    traded = {"volume": pl.max_horizontal("volume", 1.0), "cost": pl.max_horizontal("cost", 1.0)}
    amounts = [
        pl.when(is_added).then(amount).when(is_kept).then(name).otherwise(0.0).alias(name)
        for name, amount in traded.items()
    ]
    prices = [pl.when(is_kept).then(name).otherwise(close).alias(name) for name in PRICES]
    return frame.with_columns(*prices, *amounts)


def moved(frame: pl.DataFrame, path: Mapping[int, float]) -> pl.DataFrame:
    """The candles of a market that also took this path: minute from START to the level, as a
    factor, at which it closes and stays. A candle opens at the level of the one before.
    """
    minute = (pl.col("ts") - START).dt.total_minutes()
    levels = pl.DataFrame({"at": [-1, *path], "level": [1.0, *path.values()]}).sort("at")
    rows = frame.with_columns(at=minute.cast(pl.Int64))
    rows = rows.join_asof(levels.set_sorted("at"), on="at").with_columns(
        before=pl.col("level").shift(1).fill_null(1.0)
    )
    level, before = pl.col("level"), pl.col("before")
    return rows.with_columns(
        pl.col("open") * before,
        pl.col("high") * pl.max_horizontal(level, before),
        pl.col("low") * pl.min_horizontal(level, before),
        pl.col("close") * level,
        pl.col("volume") / level,
    ).drop("at", "level", "before")


def planted(
    frame: pl.DataFrame, row: int, price: str, factor: float, *, untraded: bool = False
) -> pl.DataFrame:
    """The candles with one price of one row multiplied, and high and low made to hold it."""
    values = frame.row(row, named=True)
    if untraded:
        before = frame["close"][max(row - 1, 0)]
        values |= dict.fromkeys(PRICES, before) | {"volume": 0.0, "cost": 0.0}
    values[price] *= factor
    values["high"] = max(values[name] for name in PRICES)
    values["low"] = min(values[name] for name in PRICES)
    return replaced(frame, row, pl.DataFrame([values], schema=frame.schema))


def stale(frame: pl.DataFrame, row: int, price: float, minutes: int) -> pl.DataFrame:
    """The candles with a traded one at another price in a row, which nobody trades away from for
    some minutes.
    """
    flat = frame.slice(row, minutes).with_columns(
        *(pl.lit(price).alias(name) for name in PRICES),
        volume=pl.when(pl.int_range(pl.len()) == 0).then(1.0).otherwise(0.0),
        cost=pl.when(pl.int_range(pl.len()) == 0).then(price).otherwise(0.0),
    )
    return replaced(frame, row, flat)


def replaced(frame: pl.DataFrame, row: int, rows: pl.DataFrame) -> pl.DataFrame:
    """The frame with some rows, from one on, replaced."""
    return pl.concat([frame.head(row), rows, frame.slice(row + rows.height)])
