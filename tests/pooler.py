"""A pooler in front of a PostgreSQL: a session of the server belongs to a client for the length of
a transaction only, as behind PgBouncer with `pool_mode = transaction`.

PgBouncer itself where it is installed, and a stand-in that speaks as much of the protocol as is
needed; both without passwords.
"""

import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import wait_until

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
# What the server says when a transaction has ended.
_READY = (b"Z", b"Z\0\0\0\5I")
_USER = b"user\0postgres\0database\0postgres\0application_name\0pooled\0\0"


@contextmanager
def pgbouncer(directory: str) -> Iterator[str]:
    """Run PgBouncer for the server whose socket is in a directory; its URI.

    Raises:
        FileNotFoundError: it is not installed.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise FileNotFoundError("pgbouncer")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (
        f"[databases]\npostgres = host={directory} port=5432 user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 8\n"
    )
    # It refuses to run as root; where the tests do, the embedded server has a user of its own.
    user = Path(directory).stat().st_uid if os.geteuid() == 0 else None
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as settings:
        settings.write(text)
        settings.flush()
        Path(settings.name).chmod(0o644)
        with subprocess.Popen([program, "-q", settings.name], user=user, text=True) as process:
            try:
                wait_until(process, lambda: _accepts(port))
                yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
            finally:
                process.terminate()


def _accepts(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


class Pooler:
    """The stand-in; it ignores requests to cancel."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/.s.PGSQL.5432"
        self._idle: list[_Server] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"postgresql://postgres@127.0.0.1:{self._listener.getsockname()[1]}/postgres"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for server in self._idle:
            server.socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while (code := _startup(client)) in (_SSL, _GSS):
                client.sendall(b"N")
            if code == _CANCEL:
                return
            server = self._lent()
            self._idle.append(server)
            key = _message(b"K", bytes(8))
            client.sendall(_message(b"R", bytes(4)) + server.greeting + key + _READY[1])
            self._relay(client)

    def _lent(self) -> "_Server":
        return self._idle.pop() if self._idle else _Server(self._path)

    def _relay(self, client: socket.socket) -> None:
        """Hand messages to and fro; after each transaction the session is anybody's. A client that
        leaves in a transaction takes the session with it.
        """
        server: _Server | None = None
        asked, answered = _Messages(client), _Messages()
        while True:
            answered.socket = server.socket if server else None
            sources = [client, *([server.socket] if server else [])]
            for source in select.select(sources, [], [])[0]:
                if source is client:
                    for kind, message in asked.read():
                        if kind == b"X":
                            if server:
                                server.socket.close()
                            return
                        server = server or self._lent()
                        server.socket.sendall(message)
                elif server:
                    messages = answered.read()
                    client.sendall(b"".join(message for _, message in messages))
                    if messages and messages[-1] == _READY:
                        self._idle.append(server)
                        server = None


class _Server:
    """A session of the server."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        body = struct.pack("!i", 196608) + _USER
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.greeting = b""
        messages, kind = _Messages(self.socket), b""
        while kind != b"Z":
            for kind, message in messages.read():
                if kind == b"S":
                    self.greeting += message


class _Messages:
    """The messages that arrive at a socket."""

    def __init__(self, source: socket.socket | None = None) -> None:
        self.socket = source
        self._left = b""

    def read(self) -> list[tuple[bytes, bytes]]:
        """Wait for more; kind and bytes of each message that is complete."""
        assert self.socket
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionResetError
        self._left += received
        found = []
        while len(self._left) >= 5:
            end = 1 + struct.unpack("!i", self._left[1:5])[0]
            if len(self._left) < end:
                break
            found.append((self._left[:1], self._left[:end]))
            self._left = self._left[end:]
        return found


def _startup(client: socket.socket) -> int:
    """The code that a client begins with."""
    length, code = struct.unpack("!ii", client.recv(8, socket.MSG_WAITALL))
    client.recv(length - 8, socket.MSG_WAITALL)
    return int(code)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
