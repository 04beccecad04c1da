"""Measures the backfill on this machine, against the simulated exchange in another process.

    python -m benchmarks.backfill [speed | limit | growth | universe | all] ...

- speed: candles a second into the lake without a limit, next to ccxt paginating the same candles
- limit: the share of the permitted calls that `--rate auto` uses, and of calls that are refused
- growth: what a page costs from 10 to 500 instruments
- universe: the whole market through the command line

Results are kept in RESULTS.md.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rehearsal import (
    BASISLAKE,
    HERE,
    Counts,
    Finished,
    Server,
    environment,
    exchange,
    machine,
    measure,
)
from ingest.rate_limit.allowance import AUTO, Rate

CCXT = "ccxt==4.5.90"

WEEKS = 60
ROUNDS = 5
CACHE_MB = 3_000
# One in so many instruments goes to ccxt: its rate is steady, and runs of equal length that
# alternate meet the same disturbances.
CCXT_ONE_IN = 4

# Calls a second that the exchange permits, its pool in calls, and weeks that take some minutes.
LIMITS = ((20, 100, 80), (20, 5, 80), (12, 60, 80), (12, 5, 80), (5, 25, 40))
# Time by which `auto` has found the limit.
FOUND_S = 10

SIZES = (10, 30, 100, 300, 500)


def main() -> None:
    """Run the chosen parts, each with an exchange and lakes of its own."""
    parts = {"speed": speed, "limit": limit, "growth": growth, "universe": universe}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", choices=[*parts, "all"], default="all")
    chosen = parser.parse_args().parts
    print(machine())
    for name, part in parts.items():
        if name in chosen or "all" in chosen:
            with tempfile.TemporaryDirectory() as folder:
                print(f"\n{name}", flush=True)
                part(Path(folder))


def speed(folder: Path) -> None:
    """Time our backfill and ccxt alternately; the exchange has all pages in its cache."""
    python = environment(folder / "ccxt", CCXT)
    lives = folder / "lives.json"
    with exchange("--weeks", str(WEEKS), "--cache-mb", str(CACHE_MB)) as server:
        found = _backfill(folder, server, rate=0).printed
        lives.write_text(json.dumps(found["lives"][::CCXT_ONE_IN]))
        pagination = (python or "", HERE / "ccxt_pages.py", server.exchange_url, lives)
        if python:
            measure(pagination, server)
        runs: dict[str, list[dict[str, Any]]] = {"ours": [], "ccxt": []}
        for _ in range(ROUNDS):
            runs["ours"].append(_said("backfill into the lake", _backfill(folder, server, rate=0)))
            if python:
                runs["ccxt"].append(_said("ccxt, nothing written", measure(pagination, server)))
    _say_medians(runs)


def limit(folder: Path) -> None:
    """Find the permitted rate with `--rate auto`, and use it; then set the rate as a number."""
    for permitted, pool, weeks in LIMITS:
        terms = ("--limit", str(permitted), "--burst", str(pool))
        with exchange("--weeks", str(weeks), *terms) as server:
            samples = _Samples(server)
            _backfill(folder, server, rate=AUTO, samples=samples)
        _say(f"auto, {permitted} calls/s permitted, pool of {pool}", "")
        samples.say("  from the first call", 0, permitted)
        samples.say(f"  from {FOUND_S} s on", FOUND_S, permitted)
    most = LIMITS[0][0]
    with exchange("--weeks", str(LIMITS[0][2]), "--limit", str(most)) as server:
        run = _backfill(folder, server, rate=most)
    printed, counts = run.printed, run.counts
    used = (counts.calls - counts.limited) / (most * printed["seconds"])
    _say(f"{most} calls/s permitted and given", "")
    _say("  calls, refused ones included", f"{counts.calls:,}")
    _say("  seconds to the last commit", f"{printed['seconds']:.1f}")
    _say("  of the permitted calls used", f"{used:.1%}")
    _say("  of the calls answered 10028", f"{counts.limited / counts.calls:.1%}")


def growth(folder: Path) -> None:
    """Backfill more and more instruments of the whole market."""
    head = ("instruments", "pages", "candles", "seconds", "ms/page", "CPU ms/page", "us/candle")
    print("".join(f"{title:>13}" for title in (*head, "peak MB", "others")))
    with exchange("--universe", "full") as server:
        for most in SIZES:
            run = _backfill(folder, server, rate=0, most=most)
            printed = run.printed
            pages, candles = printed["calls"], printed["candles"]
            cells = (
                f"{printed['instruments']:,}",
                f"{pages:,}",
                f"{candles:,}",
                f"{printed['seconds']:.1f}",
                f"{printed['seconds'] / pages * 1e3:.2f}",
                f"{printed['cpu_s'] / pages * 1e3:.2f}",
                f"{printed['seconds'] / candles * 1e6:.2f}",
                f"{printed['peak_mb']:,.0f}",
                f"{run.others:.0%}",
            )
            print("".join(f"{cell:>13}" for cell in cells), flush=True)


def universe(folder: Path) -> None:
    """Backfill everything by the command line."""
    with exchange("--universe", "full") as server:
        urls = ("--exchange-url", server.exchange_url, "--history-url", server.history_url)
        command = (*BASISLAKE, "backfill", "--lake", folder / "lake", *urls, "--rate", "0")
        run = measure((*command, "--json"), server)
    found, counts = run.printed, run.counts
    _say("instruments complete", f"{found['complete']:,} of {found['instruments']:,}")
    _say("candles", f"{found['candles_written']:,}")
    _say("calls", f"{counts.calls:,}")
    _say("seconds, process", f"{run.seconds:.1f}")
    _say("seconds, first call to last commit", f"{found['seconds']:.1f}")
    _say("candles/s", f"{found['candles_written'] / found['seconds']:,.0f}")
    _say("CPU ms a page, process", f"{run.cpu_s / counts.calls * 1e3:.2f}")
    _say("exchange, CPU ms a page", f"{run.exchange_cpu_s / counts.calls * 1e3:.2f}")
    _say("others on the processors", f"{run.others:.0%}")
    _say("peak memory, MB", f"{run.peak_mb:,.0f}")
    _say("raw_candles, bytes a candle", f"{found['bytes_written'] / found['candles_written']:.2f}")


class _Samples:
    """The exchange's counts during a run."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._taken: list[tuple[float, Counts]] = []

    def take(self) -> None:
        self._taken.append((time.monotonic(), self._server.counts()))

    def say(self, what: str, seconds: float, permitted: float) -> None:
        """Print the shares of permitted calls used and of calls refused, from some seconds after
        the first call to the last call.
        """
        begun = [(at, counts) for at, counts in self._taken if counts.calls]
        later = [(at, counts) for at, counts in begun if at - begun[0][0] >= seconds]
        last = next(s for s in later if s[1].calls == later[-1][1].calls)
        (first_s, before), (last_s, after) = later[0], last
        calls, limited = after.calls - before.calls, after.limited - before.limited
        used = (calls - limited) / (permitted * (last_s - first_s))
        _say(
            what,
            f"{used:.1%} of the permitted calls used, {limited / calls:.1%} of {calls:,} calls "
            f"answered 10028 in {last_s - first_s:.0f} s",
        )


def _backfill(
    folder: Path,
    server: Server,
    *,
    rate: Rate,
    most: int | None = None,
    samples: _Samples | None = None,
) -> Finished:
    """Backfill into a new lake, in a separate process; the lake is deleted."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        program = (sys.executable, "-m", "benchmarks.backfill_once", f"{scratch}/lake")
        some = () if most is None else (str(most),)
        command = (*program, server.exchange_url, server.history_url, str(rate), *some)
        return measure(command, server, samples.take if samples else None)


def _said(what: str, run: Finished) -> dict[str, Any]:
    """Print the report of a run, and the exchange's effort; return the report."""
    printed, counts = run.printed, run.counts
    print(
        f"{what:22} {printed['candles']:>10,} candles {printed['calls']:>6,} pages "
        f"{printed['seconds']:>6.2f} s {printed['candles'] / printed['seconds']:>8,.0f}/s "
        f"{_cpu_ms(printed):>6.2f} ms CPU a page, the exchange "
        f"{run.exchange_cpu_s / counts.calls * 1e3:.2f} ({counts.cached / counts.calls:.0%} "
        f"cached), {printed['peak_mb']:,.0f} MB, others {run.others:.0%}",
        flush=True,
    )
    return printed


def _say_medians(runs: dict[str, list[dict[str, Any]]]) -> None:
    rates = {
        name: median(printed["candles"] / printed["seconds"] for printed in found)
        for name, found in runs.items()
        if found
    }
    for name, rate in rates.items():
        _say(f"{name}, candles/s, median of {ROUNDS}", f"{rate:,.0f}")
        _say(f"{name}, CPU ms a page, median", f"{median(map(_cpu_ms, runs[name])):.2f}")
    if "ccxt" in rates:
        _say(f"ours / {CCXT}", f"{rates['ours'] / rates['ccxt']:.2f}")


def _cpu_ms(printed: dict[str, Any]) -> float:
    return float(printed["cpu_s"] / printed["calls"] * 1e3)


def _say(what: str, figure: str) -> None:
    print(f"{what:44} {figure}", flush=True)


if __name__ == "__main__":
    main()
