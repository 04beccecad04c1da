"""A stand-in for an object store, on loopback, see `tests.store_server`; and a proxy before it that
can be slow, lose replies or be away. Each runs in a process of its own.

Run as a program, with a port, this is the proxy before that one; it prints its own.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

SECRET = "never-to-be-shown-7f3a"  # noqa: S105  (of a store on loopback)
_SERVER = str(Path(__file__).with_name("store_server.py"))
_BUFFER = 65_536
# How Arrow begins a file.
_BEGUN = re.compile(rb"POST (?!.*_delta_log).*\.parquet\?uploads")
_CONDITION = re.compile(rb"(?im)^(if-none-match|x-goog-if-generation-match):.*\r\n")


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A store that answers at a URL, and has one bucket.

    Attributes:
        url: of the server.
        scheme: of lakes in it: `s3`, or `gs` for Google's.
    """

    url: str
    scheme: str = "s3"

    def uri(self, name: str) -> str:
        """Where a lake of this name is."""
        return f"{self.scheme}://bucket/{name}"

    @property
    def options(self) -> dict[str, str]:
        """Storage options to reach it."""
        return {name.lower(): value for name, value in self._settings.items()}

    def environment(self, machine: Path) -> dict[str, str]:
        """The environment of a process on some machine, which has a cache of its own."""
        ours = ("AWS_", "GOOGLE_", "BASISLAKE_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return {**kept, **self._settings, "XDG_CACHE_HOME": str(machine)}

    @property
    def _settings(self) -> dict[str, str]:
        if self.scheme == "gs":
            account = {"gcs_base_url": self.url, "disable_oauth": True, "private_key": SECRET}
            names = {"client_email": "", "private_key_id": ""}
            return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({**account, **names})}
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "basislake",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }


@contextmanager
def serving() -> Iterator[ObjectStore]:
    """Run a store for as long as the block lasts."""
    process = _python(_SERVER)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        requests.put(f"{url}/bucket", timeout=30).raise_for_status()
        yield ObjectStore(url)
    finally:
        process.kill()
        process.communicate()


class Proxy:
    """A store behind something that can break, in a process of its own.

    Attributes:
        store: as it is seen through it.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Start it; it passes everything on."""
        port = store.url.rpartition(":")[2]
        self._process = _python(__file__, port)
        self.store = ObjectStore(f"http://127.0.0.1:{self._read()}")

    def set(
        self,
        *,
        delay_s: float = 0.0,
        lost_replies: int = 0,
        lost_commits: int = 0,
        is_away: bool = False,
        ignores_conditions: bool = False,
        most_files: int | None = None,
    ) -> None:
        """Change how it behaves.

        Args:
            delay_s: before each request is passed on.
            lost_replies: so many more commits reach the store, whose replies are lost.
            lost_commits: so many more commits are lost on their way; then the store is away.
            is_away: every connection is closed at once.
            ignores_conditions: the store replaces what a put must not replace.
            most_files: so many more files of rows may be begun; the next ones are held until this
                is set again.
        """
        # The arguments, by their names.
        assert self._ask({name: v for name, v in locals().items() if name != "self"}) == 0

    @property
    def losses(self) -> int:
        """How many replies and commits were lost so far."""
        return self._ask("losses")

    @property
    def held(self) -> int:
        """How many files wait for leave to be begun."""
        return self._ask("held")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, said: object) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _python(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


class _Between:
    """What runs in the proxy's process: each request has a connection of its own."""

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self.delay_s, self.lost_replies, self.lost_commits = 0.0, 0, 0
        self.is_away = self.ignores_conditions = False
        self.most_files: int | None = None
        self._changed = threading.Condition()
        self.losses = self.held = 0
        self.listener = socket.create_server(("127.0.0.1", 0))

    def accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def change(self, message: dict[str, Any]) -> None:
        with self._changed:
            vars(self).update(message)
            self._changed.notify_all()

    def _begin_file(self) -> None:
        """Wait until one more may be begun."""
        with self._changed:
            self.held += 1
            self._changed.wait_for(lambda: self.most_files is None or self.most_files > 0)
            self.held -= 1
            if self.most_files is not None:
                self.most_files -= 1

    def _pass(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.is_away:
                return
            begin = client.recv(_BUFFER)
            line = begin.partition(b"\r\n")[0]
            is_commit = re.match(rb"PUT (?!.*/_probe-).*_delta_log", line)
            if is_commit and self.lost_commits:
                self.losses, self.lost_commits = self.losses + 1, self.lost_commits - 1
                self.is_away = True
                return
            if _BEGUN.match(line):
                self._begin_file()
            if self.ignores_conditions:
                begin = _CONDITION.sub(b"", begin)
            begin = begin.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            time.sleep(self.delay_s)
            with socket.create_connection(self._upstream) as server:
                server.sendall(begin)
                threading.Thread(target=_forward, args=(client, server), daemon=True).start()
                if is_commit and self.lost_replies:
                    self.losses, self.lost_replies = self.losses + 1, self.lost_replies - 1
                    while server.recv(_BUFFER):
                        pass
                else:
                    _forward(server, client)
                # The other thread still reads from the client, which would keep it open.
                client.shutdown(socket.SHUT_RDWR)


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BUFFER):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _stand_between(port: int) -> None:
    between = _Between(port)
    threading.Thread(target=between.accept, daemon=True).start()
    _tell(between.listener.getsockname()[1])
    for line in sys.stdin:
        said = json.loads(line)
        if isinstance(said, dict):
            between.change(said)
            _tell(0)
        else:
            _tell(getattr(between, said))


if __name__ == "__main__":
    _stand_between(int(sys.argv[1]))
