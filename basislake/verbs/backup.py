"""`backup` and `restore`: a lake in another folder or store, with every version."""

import os
import time

import click

import lake
from basislake.options import json_option, lake_option
from basislake.output import Progress, duration, print_json, print_table, say
from basislake.settings import check_exists
from lake import Lake
from lake.copying import Copied, copy


@click.command(short_help="Copy the lake to another folder or store")
@click.argument("destination", metavar="PATH|URI")
@lake_option
@json_option
def backup(destination: str, where: Lake, *, as_json: bool) -> int:
    """Copy the lake with all its versions to a folder or an object store, and prove the copy.

    Copies what the destination lacks, so a second backup is quick and a killed one goes on. Works
    beside a running backfill or `follow`, also where that gives up old builds meanwhile. At the end
    every row of the copy is read and its fingerprint compared with the lake's; a file of the copy
    that is damaged is copied once more. Exit code 1 where they still differ. The copy is a lake
    like any other. PostgreSQL is not copied: `basislake load` fills one from the lake.

    \b
    Example:
        basislake backup /mnt/disk/lake
        basislake backup s3://bucket/lake
    """
    check_exists(where)
    return _copied(where, lake.open(destination), as_json=as_json)


@click.command(short_help="Bring a backup back")
@click.argument("source", metavar="PATH|URI")
@lake_option
@json_option
def restore(source: str, where: Lake, *, as_json: bool) -> int:
    """Copy a backup to where the lake should be, and prove the copy, as `backup` does.

    The lake's place must be empty, or hold an older state of the same lake, or the same one: files
    that are damaged in it are brought back. Anything else is refused and left as it is.

    \b
    Example:
        basislake restore /mnt/disk/lake --lake ./lake-data
    """
    origin = lake.open(source)
    origin.check_exists()
    return _copied(origin, where, as_json=as_json)


def _copied(source: Lake, target: Lake, *, as_json: bool) -> int:
    started_s = time.monotonic()
    done = copy(source, target, os.cpu_count() or 1, Progress("files"))
    seconds = time.monotonic() - started_s
    for side, damaged in ((target, done.proof.damaged), (source, done.proof.damaged_source)):
        for path in damaged:
            told = "holds other rows than were written, or cannot be read"
            say(f"Damaged: {path} at {side.uri} {told}.")
    if not done.is_equal:
        say(f"Error: the copy at {target.uri} differs from {source.uri}; {_advice(done)}")
    if as_json:
        print_json(_figures(source, target, done) | {"seconds": seconds})
    else:
        rows = [[name, value] for name, value in _figures(source, target, done).items()]
        print_table("Copy", ["what", "value"], [*rows, ["lasted", duration(seconds)]])
    return 0 if done.is_equal else 1


def _advice(done: Copied) -> str:
    if done.proof.damaged_source:
        return (
            "files of the source are damaged. Where another copy holds them whole, put them there "
            "under the same path; what a build made, `basislake build --full` makes anew there. "
            "All else was copied."
        )
    return "what was damaged there was copied once more and is damaged again; look at its disk."


def _figures(source: Lake, target: Lake, done: Copied) -> dict[str, object]:
    return {
        "source": source.uri,
        "copy": target.uri,
        "raw_version": done.versions["raw_candles"],
        "files_copied": done.files,
        "bytes_copied": done.bytes,
        "files_held": done.held,
        "files_mended": done.proof.mended,
        "fingerprint": done.proof.fingerprint,
        "equal": done.is_equal,
    }
