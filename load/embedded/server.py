"""The embedded PostgreSQL server next to the lake: nothing to install.

It has no password and listens on a Unix socket only. It stops when the last program that uses it
ends, unless it is to be kept.
"""

import fcntl
import os
import pwd
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from lake.errors import LoadError
from lake.machine.shared_folder import NO_LOCKS
from load.embedded.data_folder import SUPERUSER, initialise, version_of
from load.embedded.postmaster import PORT, SOCKET, Postmaster
from load.embedded.programs import NEWEST, Programs, RefusedError

# Longest path of a Unix socket on every system; Linux permits a few more bytes.
_LONGEST_SOCKET_BYTES = 103

# Content of the lock file: that initdb is running, which a kill leaves unfinished; or the server
# that is to be kept after its last user.
_MAKING = "making"
_KEPT = "kept"


@contextmanager
def embedded(folder: Path, *, keep: bool | None = None) -> Iterator[str]:
    """Run a server for the duration of the block and yield its libpq URI.

    Blocks, in any processes, share one server; the last one stops it.

    Args:
        folder: of the server's data, created with its parents if missing; from then on the folder
            belongs to the server. Its lock and log are next to it. If run as root, the server runs
            as the owner of the folder (see `load.embedded.programs.user_of`).
        keep: whether the server continues after this block and later blocks, until it is
            stopped; False stops a kept one, None changes nothing.

    Raises:
        LoadError: the server cannot be started; its data are unchanged.
    """
    data = folder.resolve()
    with ExitStack() as stack:
        with _explained(data):
            path = stack.enter_context(_reachable(data, for_good=bool(keep)))
            server = Postmaster(data, path)
            with _gate(data) as note:
                _start(server, note)
                use = _join(data)
                if keep is not None:
                    _write(note, f"{_KEPT} {server.noted_pid()}" if keep else "")
        try:
            yield _uri(path)
        finally:
            # A server that was killed meanwhile recovers at its next start, and the block's own
            # exception is more useful than this one.
            with suppress(OSError), _gate(data) as note:
                _leave(server, note, use)
            os.close(use)


def psql_command(uri: str) -> str:
    """Return the shell command that opens a database in psql; the wheel's psql if none is
    installed.
    """
    program = "psql" if shutil.which("psql") else Programs.of(NEWEST) / "psql"
    return f"{shlex.quote(program)} {shlex.quote(uri)}"


def stop_command(folder: Path) -> str:
    """Return the command that stops a kept server; it disconnects clients."""
    data = folder.resolve()
    return f"kill -INT {Postmaster(data, data).noted_pid()}"


def _uri(path: Path) -> str:
    """The server's URI, with all settings that libpq would otherwise take from the environment."""
    host = quote(str(path), safe="/")
    return f"postgresql://{SUPERUSER}@/postgres?host={host}&port={PORT}&hostaddr="


@contextmanager
def _explained(data: Path) -> Iterator[None]:
    """Report the failure, and the owner of the data if that may be the reason."""
    try:
        yield
    except (OSError, RefusedError) as exc:
        message = str(exc).rstrip(".")
        if isinstance(exc, OSError) and exc.strerror:
            message = f"{exc.strerror} ({exc.filename or 'no file'})"
        if isinstance(exc, OSError) and exc.errno in NO_LOCKS:
            message = f"the file system of its folder has no locks ({exc.strerror})"
        raise LoadError(
            f"The embedded PostgreSQL cannot start in {data}{_of_another(data)}: {message}. Its "
            f"data are unchanged. See {Postmaster(data, data).log}, or set BASISLAKE_POSTGRES to "
            "another server."
        ) from exc


def _of_another(data: Path) -> str:
    try:
        owner = data.stat().st_uid
    except OSError:
        return ""
    if os.geteuid() in (0, owner):
        return ""
    try:
        return f", which belongs to the user {pwd.getpwuid(owner).pw_name}"
    except KeyError:
        return f", which belongs to the user id {owner}"


@contextmanager
def _reachable(data: Path, *, for_good: bool) -> Iterator[Path]:
    """Yield a path of the folder that is short enough for a Unix socket, and that libpq can parse.

    It is the folder's own path if that is short enough; otherwise a link to it, in a folder that
    only this user may enter.
    """
    path = str(data)
    if len(os.fsencode(f"{path}/{SOCKET}")) <= _LONGEST_SOCKET_BYTES and "," not in path:
        yield data
        return
    private = Path(tempfile.mkdtemp(prefix="basislake-", dir="/tmp"))
    try:
        link = private / "postgres"
        link.symlink_to(data)
        yield link
    finally:
        if not for_good:
            shutil.rmtree(private, ignore_errors=True)


@contextmanager
def _gate(data: Path) -> Iterator[IO[str]]:
    """Keep other programs from starting or stopping the server; yield the lock file.

    The kernel releases the lock if this process is killed.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    with data.with_name(f"{data.name}.lock").open("a+", encoding="utf-8") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        yield note


def _read(note: IO[str]) -> str:
    note.seek(0)
    return note.read()


def _write(note: IO[str], text: str) -> None:
    note.truncate(0)
    note.write(text)
    note.flush()


def _start(server: Postmaster, note: IO[str]) -> None:
    """Start the server; first create its data if there are none, or if a kill left them partial."""
    if "\n" in str(server.data):
        raise RefusedError("PostgreSQL does not accept a line break in its path")
    if _read(note) == _MAKING:
        _clear(server.data, note)
    if not version_of(server.data):
        if server.data.exists() and any(server.data.iterdir()):
            raise RefusedError("the folder holds other files")
        _write(note, _MAKING)
        try:
            initialise(server.data, lock=note.fileno())
        except BaseException:
            _clear(server.data, note)
            raise
        _write(note, "")
    server.start()


def _clear(data: Path, note: IO[str]) -> None:
    """Delete unfinished data."""
    for path in data.iterdir() if data.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _write(note, "")


def _join(data: Path) -> int:
    """Register as a user of the server, until the returned file is closed."""
    use = os.open(data, os.O_RDONLY)
    fcntl.flock(use, fcntl.LOCK_SH)
    return use


def _leave(server: Postmaster, note: IO[str], use: int) -> None:
    """Stop the server if it has no other user and is not to be kept."""
    if _read(note) == f"{_KEPT} {server.noted_pid()}":
        return
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    server.stop()
