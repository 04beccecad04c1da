"""Times the report of 500 futures and two perpetuals, its verification and its evidence.

    python -m benchmarks.report [FOLDER]

Without a folder a lake of 50 M synthetic candles is staged and built first, as `build.py` does it,
and goes away at the end. Each step is a process of its own. Results are kept in RESULTS.md.
"""

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rehearsal import BASISLAKE, machine, run, staged

FUTURES = 500


def main() -> None:
    """Print seconds, peak memory and bytes of each step."""
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = sys.argv[1] if sys.argv[1:] else staged(Path(scratch), FUTURES)
        for name, options in (
            ("report", []),
            ("report --verify", ["--verify"]),
            ("report --evidence", ["--evidence", scratch]),
        ):
            line = ("report", "--json", *options, "--output", scratch, "--lake", folder)
            start_s = time.monotonic()
            # A criterion that is not met is not a failure here.
            printed, usage = run((*BASISLAKE, *line), codes=(0, 1))
            seconds, peak_mb = time.monotonic() - start_s, usage.ru_maxrss / 1e3
            page = f", page {printed['bytes']:,} bytes" if "bytes" in printed else ""
            print(f"{name:20} {seconds:6.1f} s {peak_mb:7,.0f} MB{page}", flush=True)


if __name__ == "__main__":
    main()
