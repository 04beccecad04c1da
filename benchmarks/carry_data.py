"""Measures the carry data of all of history: calls, seconds, bytes; and proves every row.

    python -m benchmarks.carry_data [--now TIME] [--candles-since DATE] [--folder FOLDER]

The simulated exchange runs in a process of its own, with two perpetuals, 500 futures and 65,000
hours. One backfill fetches funding, its totals, delivery prices and settlements without a limit;
the seconds at the published rate are those of `plan`. Then the candles since a date, a build, a
load into an embedded PostgreSQL, and again a backfill, which has nothing left. At the end each row
of the raw and the curated tables is compared with the simulated market's truth, which is computed
here without a server, and each row of PostgreSQL with the lake. Results are kept in RESULTS.md.
"""

import argparse
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from polars.testing import assert_frame_equal

from basislake.settings.database_target import Target
from basislake.simulator.full_market import full_universe
from benchmarks.rehearsal import BASISLAKE, Finished, Server, exchange, machine, measure
from ingest.datasets import DATASETS
from lake import Lake
from lake import open as open_lake
from lake.carry_tables import REJECTED
from load.preview import parity
from tests.carry import carry_truth, stored_carry
from transforms.carry_validation import CURATIONS

NOW = "2026-10-01T12:00:30"
SINCE = "2026-09-24"
SEED = 7
DATA = "funding,deliveries,settlements"
# The exchange computes each settlement when it is asked for first.
TIMEOUT_S = 600


def main() -> None:
    """Run everything once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--now", default=NOW, help="the exchange's time, UTC")
    parser.add_argument("--candles-since", default=SINCE, help="candles before are not fetched")
    parser.add_argument("--folder", type=Path, help="of the lake, which is kept")
    chosen = parser.parse_args()
    market = ("--universe", "full", "--now", chosen.now, "--seed", str(SEED))
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as scratch, exchange(*market) as server:
        folder = chosen.folder or Path(scratch)
        _measure(folder, server, chosen.candles_since)
        _prove(open_lake(str(folder)), datetime.fromisoformat(f"{chosen.now}Z"))


def _measure(folder: Path, server: Server, since: str) -> None:
    def run(what: str, verb: str, *options: str) -> Finished:
        hosts = ("--exchange-url", server.exchange_url, "--history-url", server.history_url)
        calls = hosts if verb in ("instruments", "plan", "backfill") else ()
        done = measure([*BASISLAKE, verb, "--json", "--lake", folder, *calls, *options], server)
        print(
            f"{what:30} {done.seconds:>8.1f} s {done.cpu_s:>7.1f} cpu s {done.peak_mb:>6,.0f} MB "
            f"exchange {done.exchange_cpu_s:>7.1f} cpu s {done.others:>4.0%} others",
            flush=True,
        )
        return done

    fast = ("--rate", "0", "--timeout", str(TIMEOUT_S), "--no-doctor")
    run("instruments", "instruments", "--rate", "0")
    plan = run("plan of carry data", "plan", "--data", DATA, "--rate", "20").printed
    print(f"  {plan['all_calls']:,} calls, {plan['all_seconds_at_rate']:,} s at 20 calls/s")
    _show(run("backfill of carry data", "backfill", "--data", DATA, *fast).printed)
    print(f"candles since {since}:")
    _show(
        run("backfill of candles", "backfill", "--data", "candles", "--since", since, *fast).printed
    )
    run("build", "build")
    run("maintain", "maintain")
    run("load", "load")
    found = run("status", "status").printed
    for name, table in found["tables"].items():
        if table["rows"]:
            each = table["bytes"] / table["rows"]
            print(
                f"  {name:24} {table['rows']:>10,} rows {table['bytes']:>12,} B {each:>8.2f} a row"
            )
    lake = open_lake(str(folder))
    with Target().open(lake) as uri:
        for loaded in parity(lake, uri):
            each = loaded.bytes / max(1, loaded.database_rows)
            print(
                f"  PostgreSQL {loaded.table:22} {loaded.database_rows:>10,} rows "
                f"{loaded.bytes:>12,} B {each:>8.2f} a row"
            )
    print("again, for what the exchange lacked, and once more:")
    for _ in range(2):
        _show(run("backfill of carry data", "backfill", "--data", DATA, *fast).printed)
    run("every cell of PostgreSQL", "load", "--verify")


def _show(printed: dict[str, Any]) -> None:
    if printed["instruments"]:
        print(f"  candles: {printed['calls']:,} calls, {printed['candles_written']:,} rows")
    for name, of in printed["datasets"].items():
        print(
            f"  {DATASETS[name].words}: {of['complete']} of {of['instruments']} complete, "
            f"{of['calls']:,} calls, {of['rows_written']:,} rows, missing {of['missing']}"
        )


def _prove(lake: Lake, now: datetime) -> None:
    """Compare each row with the truth; what differs ends the program."""
    truth = carry_truth(full_universe(SEED, now))
    stored = stored_carry(lake)
    still = lake.state()
    for curation in CURATIONS:
        expected = truth[curation.raw.name]
        assert_frame_equal(stored[curation.raw.name], expected, check_exact=True)
        curated = still.read(curation.table).sort(curation.table.key)
        assert_frame_equal(curated, expected.select(curated.columns), check_exact=True)
        print(f"  {curation.table.name}: {expected.height:,} rows are equal, raw and curated")
    print(f"  rejected: {still.snapshot(REJECTED).rows}")
    unproved = lake.sql("SELECT instrument, month, reason FROM funding_proof WHERE NOT proved")
    print(f"  months of funding that are not proved: {unproved.rows()}")
    counted = "SELECT count(*), count(*) FILTER (proved) FROM delivery_proof"
    print(f"  expired futures, proved: {lake.sql(counted).rows()[0]}")
    print(f"  rows of index_chain: {lake.sql('FROM index_chain').height}")


if __name__ == "__main__":
    main()
