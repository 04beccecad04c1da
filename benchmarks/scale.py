"""Measures what grows with the lake: each stage on 200, 500, 1,000 and 2,000 futures.

    python -m benchmarks.scale [lake | load]... [--folder FOLDER] [--futures N...]

- lake: commits in a backfill's batches, plan, build of everything, with nothing new and after
  1,000 new minutes of one future, fingerprint, maintain, status, opening the lake in DuckDB and a
  query over all rows of basis; bytes and files
- load: a first load into an embedded PostgreSQL, and one with nothing new

Two perpetuals of 3.5 M minutes and futures of 20,000; synthetic, nothing is fetched. One
lake grows from size to size; `load` wants one that `lake` left in the folder. Each step is a
process of its own. Results are kept in RESULTS.md.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.rehearsal import BASISLAKE, Finished, machine, measure, step

SIZES = (200, 500, 1_000, 2_000)
# Title of each step, and its name in `scale_steps`.
STEPS = (
    ("plan", "plan"),
    ("build, everything", "build, all"),
    ("build, nothing new", "build"),
    ("commit, 1,000 minutes of one", "late"),
    ("build, one changed", "build"),
    ("fingerprint", "fingerprint"),
    ("status", "status"),
    ("open in DuckDB", "open"),
    ("query over all rows of basis", "query"),
)


def main() -> None:
    """Run the chosen parts at each size."""
    parts = {"lake": _lake, "load": _load}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", choices=[*parts, "all"], default="all")
    parser.add_argument("--folder", type=Path, help="of the lake, which is kept")
    parser.add_argument("--futures", type=int, nargs="+", default=SIZES, help="to grow to")
    chosen = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch)
        for futures in chosen.futures:
            for part in parts if "all" in chosen.parts else chosen.parts:
                parts[part](folder, futures)


def _lake(folder: Path, futures: int) -> None:
    committed = step("scale_steps", "commit", folder, futures)
    candles = _size(folder, futures)["candles"]
    _say("commit", committed, committed.printed["candles"], futures)
    for title, name in STEPS:
        _say(title, step("scale_steps", name, folder, futures), candles, futures)
    _say_size(_size(folder, futures))
    for title in ("maintain", "maintain, nothing to do"):
        done = measure([*BASISLAKE, "maintain", "--json", "--lake", folder])
        _say(title, done, candles, futures)
    _say_size(_size(folder, futures))


def _load(folder: Path, futures: int) -> None:
    shutil.rmtree(folder / "postgres", ignore_errors=True)
    for title in ("load, first", "load, nothing new"):
        done = measure([*BASISLAKE, "load", "--json", "--lake", folder])
        _say(title, done, done.printed["rows_loaded"], futures)
    shutil.rmtree(folder / "postgres")


def _size(folder: Path, futures: int) -> dict[str, Any]:
    return step("scale_steps", "size", folder, futures).printed


def _say(what: str, done: Finished, rows: int, futures: int) -> None:
    seconds = done.printed["seconds"]
    each = f"{seconds / rows * 1e6:8.3f} us a row" if rows else f"{'':16}"
    printed = {k: n for k, n in done.printed.items() if k in ("commits", "windows", "made")}
    print(
        f"{futures:>5} {what:34} {seconds:>8.2f} s {each} {seconds / futures * 1e3:>8.2f} "
        f"ms a future {done.cpu_s:>7.1f} cpu s {done.peak_mb:>6,.0f} MB {done.others:>4.0%} "
        f"others  {printed or ''}",
        flush=True,
    )


def _say_size(printed: dict[str, Any]) -> None:
    printed.pop("seconds")
    print("      " + ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in printed.items()))


if __name__ == "__main__":
    main()
