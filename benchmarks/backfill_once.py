"""One backfill in a process of its own, measured from inside; `backfill.py` starts it.

    python -m benchmarks.backfill_once LAKE EXCHANGE_URL HISTORY_URL RATE [INSTRUMENTS]

RATE is a number or `auto`. INSTRUMENTS are the perpetuals and the futures listed last; all by
default. Prints one JSON object. The discovery comes first and is not measured.
"""

import json
import resource
import sys

import polars as pl

from basislake import PROGRAM
from basislake.pipeline.fetch import fetch_logged
from basislake.settings.exchange import ExchangeSettings
from ingest.discover import discover
from ingest.plan.selection import Selection
from ingest.rate_limit.allowance import AUTO
from lake import Lake
from lake import open as open_lake
from lake.tables import INSTRUMENTS, RAW_CANDLES

_MINUTE_MS = 60_000


def main() -> None:
    """Backfill, and print what it took."""
    uri, url, history_url, rate, *most = sys.argv[1:]
    lake = open_lake(uri)
    settings = ExchangeSettings(url, history_url, rate=AUTO if rate == AUTO else float(rate))
    with settings.open(lake) as exchange:
        discover(exchange, lake, PROGRAM)
    selection = Selection(names=_newest(lake, int(most[0]))) if most else Selection()
    before_s = _cpu_s()
    result = fetch_logged(lake, settings, selection, discover_first=False).backfill
    cpu_s = _cpu_s() - before_s
    if result.failed:
        raise SystemExit(f"{len(result.failed)} instruments failed, first {result.failed[0]}")
    figures = {
        "instruments": result.instruments,
        "candles": result.candles_written,
        "calls": result.calls,
        "throttled": result.throttled,
        "seconds": result.seconds,
        "cpu_s": cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "lives": _lives(lake),
    }
    print(json.dumps(figures))


def _newest(lake: Lake, most: int) -> tuple[str, ...]:
    """As many instruments as asked, the perpetuals first, which come along in any case."""
    known = lake.read(INSTRUMENTS).sort(
        pl.col("kind") != "perpetual", "listed_at", "instrument", descending=[False, True, False]
    )
    return tuple(known["instrument"].head(most)) if most < known.height else ()


def _lives(lake: Lake) -> list[tuple[str, int, int]]:
    """Each instrument with the minutes `[first, end)` of its candles, UTC milliseconds."""
    minutes = pl.col("ts").dt.epoch("ms")
    found = (
        lake.scan(RAW_CANDLES.name)
        .group_by("instrument")
        .agg(minutes.min().alias("first"), (minutes.max() + _MINUTE_MS).alias("end"))
    )
    return found.sort("instrument").collect().rows()


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
