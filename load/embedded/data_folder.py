"""The data folder of an embedded PostgreSQL server, created by `initdb`."""

import os
import subprocess
from pathlib import Path

from load.embedded.programs import (
    NEWEST,
    Programs,
    RefusedError,
    check_user,
    complaint,
    environment,
    user_of,
)

SUPERUSER = "postgres"

# Texts sort by code point on every machine; upper() and lower() cover all of Unicode.
_INITDB = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
_SORTED = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_FIRST_WITH_SORTED = 17

# Initial settings, which the owner of the folder may change in postgresql.conf. Nothing is
# replicated, so a table that is created and filled in one transaction needs no log; and the log of
# the rest of a load needs few checkpoints. The months that grow with each minute, 150 MB of 16
# instruments, stay in the server's memory.
_SETTINGS = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "shared_buffers": "256MB",
}


def initialise(data: Path, version: str = NEWEST, *, lock: int | None = None) -> None:
    """Create the data of a new server, in an empty or missing folder.

    Args:
        data: the folder; absolute.
        version: major version of PostgreSQL.
        lock: file descriptor of a lock. initdb inherits it, since it continues if this process
            is killed.

    Raises:
        RefusedError: PostgreSQL refuses.
        LoadError: no program, or no user, is available for it.
        OSError: the folder cannot be created.
    """
    programs = Programs.of(version)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_as = user_of(data, programs)
    check_user(run_as.get("user", os.geteuid()))
    sorted_by = _SORTED if int(version) >= _FIRST_WITH_SORTED else ()
    settings = [f"--set={name}={value}" for name, value in _SETTINGS.items()]
    options = (*_INITDB, *sorted_by, *settings, f"--username={SUPERUSER}")
    done = subprocess.run(  # noqa: S603
        [programs / "initdb", *options, f"--pgdata={data}"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=data,
        env=environment(),
        pass_fds=() if lock is None else (lock,),
        **run_as,
    )
    if done.returncode:
        raise RefusedError(complaint(done.stderr) or f"initdb ended with {done.returncode}")


def version_of(data: Path) -> str:
    """Return the major version of the data; empty if there are no data.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        return (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return ""
