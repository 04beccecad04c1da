"""A PostgreSQL server on a data folder of its own: set up, started, asked whether it is ready,
stopped.

It listens on a Unix socket in its data folder only. The callers see to it that nobody else starts
or stops the same server meanwhile.
"""

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

from load.programs import NEWEST, Programs, check_user, environment, user_of

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
SUPERUSER = "postgres"
_PID_FILE = "postmaster.pid"
_STATUS_LINE = 7

# Texts sort by code point on every machine, and upper() and lower() know all of Unicode.
_INITDB = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
_SORTED = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_FIRST_WITH_SORTED = 17

# What a data folder is set up with, and its owner may change in postgresql.conf. Nothing is
# replicated, so a table that is filled in the transaction that makes it needs no log; and the rest
# of a load's log takes few checkpoints.
_SETTINGS = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
}

# What every start sets, also in data folders that an earlier basislake made. There is no password,
# so no other user of this machine, and no other machine, may connect. The socket's folder is
# relative to the data folder, whose path may be longer than a socket's may be.
_FIXED = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The memory that processes of one query share is in /dev/shm by default, which containers keep
    # to 64 MB, and which logind empties when a user logs out.
    **({"dynamic_shared_memory_type": "sysv"} if Path("/dev/shm").exists() else {}),  # noqa: S108
}

_POLL_S = 0.01
# A server that crashed replays its log before it takes connections.
_LONGEST_RECOVERY_S = 600.0
# A stop writes what is in memory to disk; after that long it is cut short, which loses nothing.
_LONGEST_STOP_S = 60.0
# A server that ends has closed its socket a moment before it is gone; one whose main process was
# killed has others that end when they notice.
_LAST_MOMENTS_S = 2.0
_LONGEST_WAKE_S = 20.0
_STILL_IN_USE = "is still in use"
_LARGEST_LOG_BYTES = 1_000_000

_ANSWER_S = 10.0
_PROTOCOL = 196_608  # 3.0
_CANNOT_CONNECT_NOW = b"C57P03\x00"
_SEVERE = ("FATAL:", "PANIC:", "error:")


class RefusedError(Exception):
    """PostgreSQL does not do what it is asked; the message is its reason."""


class State(Enum):
    """What a server answers to somebody who connects."""

    ABSENT = "nobody listens"
    BUSY = "it is starting, recovering or ending"
    READY = "it takes connections"


class Postmaster:
    """The server of a data folder, whether it runs or not.

    Attributes:
        data: its folder; absolute, without symbolic links.
        log: the file that it writes its messages to, next to the folder.
    """

    def __init__(self, data: Path, reachable: Path) -> None:
        """Start nothing yet.

        Args:
            data: folder of the data.
            reachable: the same folder by a path that is short enough for a Unix socket.
        """
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self._socket = str(reachable / SOCKET)

    def set_up(self, version: str = NEWEST, *, lock: int | None = None) -> None:
        """Make the data of a server that was never started, in an empty or absent folder.

        Args:
            version: major version of PostgreSQL.
            lock: file descriptor of a lock. initdb holds it, too, as it goes on where this process
                is killed.

        Raises:
            LoadError: PostgreSQL cannot; the message has its reason.
            OSError: the folder cannot be made.
        """
        programs = Programs.of(version)
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_as = user_of(self.data, programs)
        if not run_as:
            check_user()
        sorted_by = _SORTED if int(version) >= _FIRST_WITH_SORTED else ()
        settings = [f"--set={name}={value}" for name, value in _SETTINGS.items()]
        options = (*_INITDB, *sorted_by, *settings, f"--username={SUPERUSER}")
        done = subprocess.run(  # noqa: S603
            [programs / "initdb", *options, f"--pgdata={self.data}"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.data,
            env=environment(),
            pass_fds=() if lock is None else (lock,),
            **run_as,
        )
        if done.returncode:
            raise RefusedError(_reason(done.stderr) or f"initdb ended with {done.returncode}")

    def start(self) -> None:
        """Start the server, or wait for one that another program started or is stopping.

        Raises:
            LoadError: it cannot be started; the message has its reason.
            OSError: the same.
        """
        until_s = time.monotonic() + _LONGEST_WAKE_S
        while not self._is_answering():
            _wait(lambda: self._pid() is None, _LAST_MOMENTS_S)
            if self._pid() is None:
                # Its number may be another program's by now, which PostgreSQL takes for a server.
                (self.data / _PID_FILE).unlink(missing_ok=True)
            failure = self._launch()
            if not failure:
                return
            is_passing = _STILL_IN_USE in failure or self.state() is not State.ABSENT
            if not is_passing or time.monotonic() > until_s:
                raise RefusedError(failure)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop the server where it runs; what was committed is safe.

        One that another machine or container runs goes on.

        Raises:
            OSError: it belongs to another user.
        """
        state, pid = self.state(), self._pid()
        if state is State.ABSENT or pid is None:
            return
        # While it recovers from the crash of one of its processes, only this ends it.
        signals = [signal.SIGINT, signal.SIGQUIT] if state is State.READY else [signal.SIGQUIT]
        for how in signals:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            if _wait(lambda: self._pid() is None, _LONGEST_STOP_S):
                return

    def state(self) -> State:
        """Ask the server whether it is ready, as a client that connects."""
        fields = f"user\0{SUPERUSER}\0database\0{SUPERUSER}\0\0".encode()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_S)
            try:
                client.connect(self._socket)
            except TimeoutError:
                return State.BUSY
            except OSError:
                return State.ABSENT
            try:
                client.sendall(struct.pack("!ii", len(fields) + 8, _PROTOCOL) + fields)
                answer = client.recv(4096)
            except OSError:
                return State.BUSY
        return State.READY if answer and _CANNOT_CONNECT_NOW not in answer else State.BUSY

    def version(self) -> str:
        """Return the major version that made the data; none where there are no data.

        Raises:
            OSError: the folder cannot be read.
        """
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return ""

    def noted_pid(self) -> str:
        """Return the process number that the server noted; none where it does not run."""
        return (self._noted() or [""])[0]

    def _is_answering(self) -> bool:
        """Whether it runs and takes connections, waiting while it recovers or ends."""
        _wait(lambda: self.state() is not State.BUSY, _LONGEST_RECOVERY_S)
        return self.state() is State.READY

    def _launch(self) -> str:
        """Start the server and wait until it is ready; otherwise return why it is not."""
        programs = Programs.of(self.version())
        settings = [f"--{name}={value}" for name, value in _FIXED.items()]
        mode = "wb" if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES else "ab"
        with self.log.open(mode) as log:
            told_before = log.tell()
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
            # Whenever it ends it is buried, or its number would stay taken.
            threading.Thread(target=process.wait, name="postgres", daemon=True).start()
            return ""
        told = self.log.read_bytes()[told_before:].decode(errors="replace")
        return _reason(told) or f"postgres ended with {process.returncode}"

    def _is_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        noted = self._noted()
        is_its = len(noted) > _STATUS_LINE and noted[0] == str(process.pid)
        return is_its and noted[_STATUS_LINE] == "ready"

    def _pid(self) -> int | None:
        """The process number of the server; None where it is none, or that of another program."""
        text = self.noted_pid()
        if text.isdecimal() and _works_in(int(text), self.data):
            return int(text)
        return None

    def _noted(self) -> list[str]:
        try:
            return [line.strip() for line in (self.data / _PID_FILE).read_text().split("\n")]
        except FileNotFoundError:
            return []


def _works_in(pid: int, folder: Path) -> bool:
    """Whether a process is there, is no zombie, and is a server of this folder."""
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").samefile(folder)
        except OSError:
            return False
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "postgres" in shown and not shown.startswith("Z")


def _wait(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; whether it is."""
    until_s = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(_POLL_S)
    return True


def _reason(told: str) -> str:
    """The first line of a program's messages that says what went wrong, else the last line."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    severe = [line for line in lines if any(word in line for word in _SEVERE)]
    line = (severe or lines[-1:] or [""])[0]
    for word in _SEVERE:
        line = line.partition(word)[2].strip() or line
    return line
