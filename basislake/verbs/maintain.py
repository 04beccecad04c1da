"""`maintain`: compacts files and cleans up files and logs of the lake; no row changes."""

import time
from datetime import timedelta

from basislake import PROGRAM
from basislake.output.json_output import print_json
from basislake.output.progress import Progress
from basislake.output.tables import print_table
from basislake.settings.named_lake import check_exists
from lake import Lake
from lake.maintenance.maintain import Maintained
from lake.maintenance.maintain import maintain as maintain_lake


def maintain(lake: Lake, hours: float | None, *, unsafe: bool, is_dry: bool, as_json: bool) -> int:
    """See `basislake.cli.commands.maintain`; return the exit code."""
    check_exists(lake)
    started_s = time.monotonic()
    keep = None if hours is None else timedelta(hours=hours)
    line = Progress("groups of files")
    done = maintain_lake(lake, PROGRAM, keep, unsafe=unsafe, dry=is_dry, report=line)
    if as_json:
        figures = {"compacted": done.compacted, "removed": done.removed}
        print_json({**figures, "seconds": time.monotonic() - started_s})
    else:
        _show(done, is_dry=is_dry)
    return 0


def _show(done: Maintained, *, is_dry: bool) -> None:
    rows: list[list[object]] = [
        ["small files", done.compacted.files_before],
        ["compacted into", done.compacted.files_after],
        ["rows", done.compacted.rows],
        *([f"files of {name} removed", count] for name, count in done.removed.items() if count),
    ]
    print_table("To be done" if is_dry else "Done", ["what", "count"], rows)
