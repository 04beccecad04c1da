"""Times the report of 500 futures and two perpetuals, its verification and its evidence.

    python -m benchmarks.report [FOLDER]

Without a folder a lake of 50 M synthetic candles is staged and built first, as `build.py` does it,
and goes away at the end. Each step is a process of its own. Results are kept in RESULTS.md.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

from benchmarks.build_lake import ROWS_A_SPIKE
from benchmarks.rehearsal import machine

FUTURES = 500


def main() -> None:
    """Print seconds, peak memory and bytes of each step."""
    print(machine())
    if sys.argv[1:]:
        measure(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        for step in (["stage", folder, str(FUTURES), str(ROWS_A_SPIKE)], ["full", folder]):
            subprocess.run([sys.executable, "-m", "benchmarks.build", *step], check=True)
        measure(folder)


def measure(folder: str) -> None:
    """Make the report of a lake, verify it, and write its evidence."""
    with tempfile.TemporaryDirectory() as output:
        for name, options in (
            ("report", []),
            ("report --verify", ["--verify"]),
            ("report --evidence", ["--evidence", output]),
        ):
            seconds, peak_mb, printed = _run([*options, "--output", output, "--lake", folder])
            page = f", page {printed['bytes']:,} bytes" if "bytes" in printed else ""
            print(f"{name:20} {seconds:6.1f} s {peak_mb:7,.0f} MiB{page}", flush=True)


def _run(options: list[str]) -> tuple[float, float, dict[str, object]]:
    program = "from basislake.cli.main import main; main()"
    command = [sys.executable, "-c", program, "report", "--json", *options]
    with tempfile.TemporaryFile() as out:
        start_s = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start_s
        # A criterion that is not met is not a failure here.
        process.returncode = 0
        out.seek(0)
        return seconds, usage.ru_maxrss / 1024, json.load(out)


if __name__ == "__main__":
    main()
