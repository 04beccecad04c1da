"""A universe of recorded candles: serves exactly the recorded values, and nothing else."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from basislake.simulator.contracts import inverse_contract, milliseconds, milliseconds_of
from basislake.simulator.market import CANDLE_SCHEMA, MINUTE_MS, Contract
from basislake.simulator.universe import Universe

RECORDED = ("instrument", "ts", "open", "high", "low", "close", "volume", "cost")

_LISTED_BEFORE_FIRST = timedelta(minutes=19, seconds=9)
_NOW_AFTER_LAST = timedelta(minutes=2)
_EXPIRY_HOUR = timedelta(hours=8)
_DATED = re.compile(r"^[A-Z]+-\d{1,2}[A-Z]{3}\d{2}$")


def replay_universe(parquet_path: str | Path, now: datetime | None = None) -> Universe:
    """Make a universe of the instruments and minutes of a recording.

    A dated contract expires at 08:00 UTC of the date in its name; every contract is listed 19
    minutes and 9 seconds before its first recorded candle. Minutes that were not recorded, and
    minutes after expiry, are not served.

    Args:
        parquet_path: a file of the columns `RECORDED`.
        now: the exchange's clock; 2 minutes after the last recorded candle opens by default.

    Raises:
        ValueError: the recording is empty, a candle has no time, a name has no known form, or `now`
            lacks its zone.
    """
    recorded = _read(Path(parquet_path))
    last_ms = recorded["ticks"].max()
    if not isinstance(last_ms, int):
        raise ValueError(f"{parquet_path} holds no candles")  # noqa: TRY004  (the file is at fault)
    if recorded["ticks"].null_count():
        raise ValueError(f"{parquet_path} holds a candle without a time")
    now_ms = last_ms + milliseconds_of(_NOW_AFTER_LAST) if now is None else milliseconds(now)
    frames = {
        str(name): frame.select(list(CANDLE_SCHEMA))
        for (name,), frame in recorded.partition_by("instrument", as_dict=True).items()
    }
    contracts = {name: _contract(name, int(frame["ticks"][0])) for name, frame in frames.items()}
    return Universe(seed=0, now_ms=now_ms, contracts=contracts, truth=partial(_recorded, frames))


def _read(path: Path) -> pl.DataFrame:
    ticks = pl.col("ts").dt.epoch("ms").alias("ticks")
    numbers = [pl.col(name).cast(dtype) for name, dtype in CANDLE_SCHEMA.items() if name != "ticks"]
    return pl.read_parquet(path).select("instrument", ticks, *numbers).sort("instrument", "ticks")


def _contract(name: str, first_tick_ms: int) -> Contract:
    coin = name.partition("-")[0]
    listed_ms = first_tick_ms - milliseconds_of(_LISTED_BEFORE_FIRST)
    return inverse_contract(name, coin, listed_ms, _expiry_ms(name), first_tick_ms)


def _expiry_ms(name: str) -> int | None:
    """The expiry by a contract's name, UTC milliseconds; None for a perpetual."""
    if name.endswith("-PERPETUAL"):
        return None
    if not _DATED.match(name):
        raise ValueError(f"{name} is neither a perpetual nor a dated future such as BTC-7MAY21")
    date = datetime.strptime(name.partition("-")[2].title(), "%d%b%y").replace(tzinfo=UTC)
    return milliseconds(date + _EXPIRY_HOUR)


def _recorded(
    frames: Mapping[str, pl.DataFrame], contract: Contract, start_ms: int, end_ms: int
) -> pl.DataFrame:
    """The recorded candles of a contract's life that open in `[start_ms, end_ms)`."""
    end = end_ms if contract.expires_ms is None else min(end_ms, contract.expires_ms)
    start = -(-start_ms // MINUTE_MS) * MINUTE_MS
    return frames[contract.name].filter(pl.col("ticks").is_between(start, end, closed="left"))
