"""`backup` and `restore`: a lake in another folder or store."""

import time

from basislake import PROGRAM
from basislake.output.json_output import print_json
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.tables import print_table
from basislake.output.units import duration, size
from basislake.settings.named_lake import check_exists
from lake import Lake
from lake import open as open_lake
from lake.backup.copy import Copied, copy
from lake.machine.cores import cores


def backup(destination: str, lake: Lake, *, as_json: bool) -> int:
    """See `basislake.cli.commands.backup`; return the exit code."""
    check_exists(lake)
    return _copied(lake, open_lake(destination), as_json=as_json)


def restore(source: str, lake: Lake, *, as_json: bool) -> int:
    """See `basislake.cli.commands.restore`; return the exit code."""
    origin = open_lake(source)
    origin.check_exists()
    return _copied(origin, lake, as_json=as_json)


def _copied(source: Lake, target: Lake, *, as_json: bool) -> int:
    started_s = time.monotonic()
    done = copy(source, target, PROGRAM, cores(), Progress("files"))
    seconds = time.monotonic() - started_s
    for side, damaged in ((target, done.damaged), (source, done.damaged_source)):
        for path in damaged:
            problem = "has rows that do not match its name, or is unreadable"
            say(f"Damaged: {path} at {side.uri} {problem}.")
    if not done.is_equal:
        say(f"Error: the copy at {target.uri} differs from {source.uri}; {_advice(done)}")
    if as_json:
        print_json(_figures(source, target, done) | {"seconds": seconds})
    else:
        _show(_figures(source, target, done), done.bytes, seconds)
    return 0 if done.is_equal else 1


def _show(figures: dict[str, object], bytes_copied: int, seconds: float) -> None:
    shown = {
        **{name.replace("_", " "): str(value) for name, value in figures.items()},
        "bytes copied": size(bytes_copied),
        "equal": figures["equal"],
        "lasted": duration(seconds),
    }
    print_table("Copy", ["figure", "value"], list(shown.items()))


def _advice(done: Copied) -> str:
    if done.damaged_source:
        return (
            "files of the source are damaged. Everything else was copied. If another copy has "
            "these files intact, put them into the source under the same path; `basislake build "
            "--full` writes those of curated tables again."
        )
    return "its damaged files were copied again and are still damaged. Check the disk there."


def _figures(source: Lake, target: Lake, done: Copied) -> dict[str, object]:
    return {
        "source": source.uri,
        "copy": target.uri,
        "batch": done.batch,
        "files_copied": done.files,
        "bytes_copied": done.bytes,
        "files_held": done.held,
        "files_mended": done.mended,
        "fingerprint": done.fingerprint,
        "equal": done.is_equal,
    }
