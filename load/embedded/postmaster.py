"""A PostgreSQL server on its own data folder: starts it, checks whether it is ready, stops it.

It listens on a Unix socket in its data folder only. The calling code ensures that no other program
starts or stops the same server meanwhile.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

from load.embedded.data_folder import SUPERUSER, version_of
from load.embedded.programs import Programs, RefusedError, complaint, environment, user_of

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
_PID_FILE = "postmaster.pid"
_STATUS_LINE = 7

# Settings of every start, even in data folders that an earlier basislake created. There is no
# password, so no other user of this machine, and no other machine, may connect. The socket's folder
# is relative to the data folder, whose path may be too long for a socket.
_FIXED = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # By default the shared memory of the processes of one query is in Linux's /dev/shm, which
    # containers limit to 64 MB and logind empties when a user logs out.
    **({"dynamic_shared_memory_type": "sysv"} if sys.platform.startswith("linux") else {}),
}

_POLL_S = 0.01
# A server that crashed replays its log before it accepts connections.
_LONGEST_RECOVERY_S = 600.0
# A stop writes the server's memory to disk; after so long it is forced, which loses nothing.
_LONGEST_STOP_S = 60.0
# A server that ends closes its socket a moment before its process ends; if the main process is
# killed, its children end when they notice.
_LAST_MOMENTS_S = 2.0
_LONGEST_WAKE_S = 20.0
_STILL_IN_USE = "is still in use"
_LARGEST_LOG_BYTES = 1_000_000

_ANSWER_S = 10.0
_PROTOCOL = 196_608  # 3.0
_CANNOT_CONNECT_NOW = b"C57P03\x00"

_PROC = Path("/proc/self")
# The kernel's report of the process at the other end of a socket: pid, user and group.
_PEER = struct.Struct("iII")
_KNOWS_PEERS = hasattr(socket, "SO_PEERCRED")


class ServerState(Enum):
    """A server's answer to a connection attempt."""

    ABSENT = "nobody listens"
    BUSY = "it is starting, recovering or ending"
    READY = "it accepts connections"


class Postmaster:
    """The server of a data folder, running or not.

    Attributes:
        data: its folder; absolute, without symbolic links.
        log: the file of its messages, next to the folder.
    """

    def __init__(self, data: Path, reachable: Path) -> None:
        """Prepare; nothing is started yet.

        Args:
            data: folder of the data.
            reachable: another path of the folder, short enough for a Unix socket.
        """
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self._socket = str(reachable / SOCKET)

    def start(self) -> None:
        """Start the server, or wait for one that another program started or is stopping.

        Raises:
            RefusedError: PostgreSQL does not start.
            LoadError: no program, or no user, is available for it.
            OSError: one of its files cannot be read or written.
        """
        until_s = time.monotonic() + _LONGEST_WAKE_S
        while not self._is_answering():
            _wait(lambda: self._pid() is None, _LAST_MOMENTS_S)
            self._forget_others()
            failure = self._launch()
            if not failure:
                return
            is_passing = _STILL_IN_USE in failure or self.state() is not ServerState.ABSENT
            if not is_passing or time.monotonic() > until_s:
                raise RefusedError(failure)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop the server if it runs; committed data are safe.

        A server that another machine or container runs is not stopped.

        Raises:
            OSError: it belongs to another user.
        """
        state, pid = self._ask()
        if not pid:
            return
        # While it recovers from the crash of a child process, only this signal ends it.
        signals = (
            [signal.SIGINT, signal.SIGQUIT] if state is ServerState.READY else [signal.SIGQUIT]
        )
        for how in signals:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            if _wait(lambda: self.noted_pid() != pid or not _command(pid), _LONGEST_STOP_S):
                return

    def state(self) -> ServerState:
        """Check whether the server is ready, by connecting as a client."""
        return self._ask()[0]

    def _ask(self) -> tuple[ServerState, int]:
        """The server's answer, and its pid; 0 if it runs in another container."""
        fields = f"user\0{SUPERUSER}\0database\0{SUPERUSER}\0\0".encode()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_S)
            try:
                client.connect(self._socket)
            except TimeoutError:
                return ServerState.BUSY, self.noted_pid() or 0
            except OSError:
                return ServerState.ABSENT, 0
            pid = _pid_of_peer(client) if _KNOWS_PEERS else self.noted_pid() or 0
            try:
                client.sendall(struct.pack("!ii", len(fields) + 8, _PROTOCOL) + fields)
                answer = client.recv(4096)
            except OSError:
                return ServerState.BUSY, pid
        is_ready = answer and _CANNOT_CONNECT_NOW not in answer
        return ServerState.READY if is_ready else ServerState.BUSY, pid

    def noted_pid(self) -> int | None:
        """Return the pid that the server wrote; None if it has stopped."""
        return _number(self.data / _PID_FILE)

    def _is_answering(self) -> bool:
        """Whether it runs and accepts connections, after waiting for a recovery or shutdown."""
        _wait(lambda: self.state() is not ServerState.BUSY, _LONGEST_RECOVERY_S)
        return self.state() is ServerState.READY

    def _forget_others(self) -> None:
        """Delete the pid file of a killed server whose pid is a zombie's or another program's by
        now, e.g. after a restart of the machine, and the pid file of the server whose data these
        data are a copy of. PostgreSQL would take such a process for the server.
        """
        for name in (_PID_FILE, f"{SOCKET}.lock"):
            path = self.data / name
            pid = _number(path)
            if pid and _is_known(pid) and not _serves(pid, self.data):
                path.unlink(missing_ok=True)

    def _launch(self) -> str:
        """Start the server and wait until it is ready; otherwise return the reason."""
        programs = Programs.of(version_of(self.data))
        settings = [f"--{name}={value}" for name, value in _FIXED.items()]
        mode = "wb" if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES else "ab"
        with self.log.open(mode) as log:
            messages_before = log.tell()
            process = subprocess.Popen(  # noqa: S603
                [programs / "postgres", "-D", str(self.data), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=environment(),
                start_new_session=True,  # Ctrl-C in this terminal does not reach it
                **user_of(self.data, programs),
            )
        try:
            _wait(
                lambda: self._is_ready(process) or process.poll() is not None, _LONGEST_RECOVERY_S
            )
        except BaseException:
            process.send_signal(signal.SIGQUIT)
            process.wait()
            raise
        if process.poll() is None:
            # Wait for its end, or its pid would stay in use as a zombie.
            threading.Thread(target=process.wait, name="postgres", daemon=True).start()
            return ""
        messages = self.log.read_bytes()[messages_before:].decode(errors="replace")
        return complaint(messages) or f"postgres ended with {process.returncode}"

    def _is_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        lines = _lines(self.data / _PID_FILE)
        is_complete = len(lines) > _STATUS_LINE
        return is_complete and (lines[0], lines[_STATUS_LINE]) == (str(process.pid), "ready")

    def _pid(self) -> int | None:
        """The pid of the server; None if it does not run, or the pid is that of another program."""
        pid = self.noted_pid()
        return pid if pid and _serves(pid, self.data) else None


def _number(path: Path) -> int | None:
    """The pid in the first line of a file; None if there is none."""
    first = [*_lines(path), ""][0]
    return int(first) if first.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text().split("\n")]
    except FileNotFoundError:
        return []


def _pid_of_peer(client: socket.socket) -> int:
    """The pid, in this container, of the process that listens at the other end; 0 if it is in
    another container.
    """
    found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(found)[0])


def _is_known(pid: int) -> bool:
    """Whether a process has this pid, even of another user, or a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, data: Path) -> bool:
    """Whether a process is the server of a folder."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except PermissionError:
        # With root in a container; the server of another user would have data of its own.
        if os.geteuid() != 0:
            return False
    except FileNotFoundError:
        if _PROC.exists():
            return False
    return "postgres" in _command(pid)


def _command(pid: int) -> str:
    """The program of a process; empty if it has ended."""
    if _PROC.exists():
        try:
            return (_PROC.parent / str(pid) / "cmdline").read_text(errors="replace").split("\0")[0]
        except OSError:
            return ""
    line = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _wait(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition is true; return whether it is."""
    until_s = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(_POLL_S)
    return True
