"""Times the pipeline on this machine: exchange in a process of its own → lake → build → PostgreSQL.

    python -m benchmarks.pipeline [WEEKS]

Prints rates, sizes and the peak memory of this process. Results are kept in RESULTS.md.
"""

import resource
import sys
import tempfile
from pathlib import Path

from basislake.pipeline.build import build_in_engine
from basislake.pipeline.fetch import fetch_logged
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from benchmarks.rehearsal import exchange, machine
from ingest.plan.selection import Selection
from lake import open as open_lake
from lake.tables import TABLES
from load.loader import load

WEEKS = 40


def main() -> None:
    """Run the pipeline twice, and print the measurements."""
    weeks = int(sys.argv[1]) if len(sys.argv) > 1 else WEEKS
    print(f"{machine()}, {weeks} weeks of both coins")
    with tempfile.TemporaryDirectory() as folder, exchange("--weeks", str(weeks)) as server:
        urls = (server.exchange_url, server.history_url)
        _run(Path(folder), ExchangeSettings(*urls, rate=0))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak memory                  {peak_mb:>12,.0f} MB")


def _run(folder: Path, settings: ExchangeSettings) -> None:
    lake = open_lake(str(folder / "lake"))
    fetched = fetch_logged(lake, settings, Selection(), discover_first=True).backfill
    _say("backfill, no limit", fetched.candles_written, fetched.seconds, "candles")
    built = build_in_engine(lake)
    _say("build", built.candles, built.seconds, "candles")
    _say("build, nothing new", built.candles, build_in_engine(lake).seconds, "candles")
    with Target().open(lake) as uri:
        loaded = load(lake, uri)
        _say("load", loaded.rows_loaded, loaded.seconds, "rows")
        _say("load, nothing new", loaded.rows_loaded, load(lake, uri).seconds, "rows")
    sizes = {name: lake.snapshot(table) for name, table in TABLES.items()}
    for name in ("raw_candles", "candles", "basis"):
        size = sum(file.bytes for file in sizes[name].files) / sizes[name].rows
        print(f"{name + ', bytes a row':28} {size:>12.2f}")
    everything = sum(file.bytes for snapshot in sizes.values() for file in snapshot.files)
    print(f"{'lake, bytes a candle':28} {everything / sizes['raw_candles'].rows:>12.2f}")


def _say(what: str, count: int, seconds: float, unit: str) -> None:
    rate = count / seconds
    print(f"{what:28} {seconds:>12.2f} s {count:>12,} {unit}, {rate:>12,.0f} a second")


if __name__ == "__main__":
    main()
