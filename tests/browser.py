"""A real headless Chromium, driven over the pipe of its DevTools protocol: no port, no package."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
WAIT_S = 60.0
# The browser speaks the protocol over the file descriptors 3 and 4, whatever was there before.
_START = """
import fcntl, os, sys
high = [fcntl.fcntl(int(n), fcntl.F_DUPFD_CLOEXEC, 10) for n in sys.argv[1:3]]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium() -> str | None:
    """The path of a browser that starts on this machine, None where there is none."""
    found = (path for name in NAMES if (path := shutil.which(name)))
    return next((path for path in found if _starts(path)), None)


def _starts(path: str) -> bool:
    """Whether it is a browser; some systems have a stub that explains how to install one."""
    expected = subprocess.run([path, "--version"], capture_output=True, check=False, timeout=WAIT_S)
    return expected.returncode == 0


class Page:
    """One tab, without a network.

    Attributes:
        problems: what the console, uncaught errors and refused loads said.
        requested: addresses that the page asked for.
    """

    def __init__(self, browser: "Browser") -> None:
        self._browser = browser
        self.problems: list[str] = []
        self.requested: list[str] = []
        self._target = browser.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = {"targetId": self._target, "flatten": True}
        self._session = browser.call("Target.attachToTarget", attached)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.call("Network.emulateNetworkConditions", offline)

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call a method of the protocol and note what the page did meanwhile."""
        answer = self._browser.call(method, parameters, self._session)
        for event in self._browser.events:
            self._note(event["method"], event["params"])
        self._browser.events.clear()
        return answer

    def close(self) -> None:
        """Close it; its charts cost nothing any more."""
        self._browser.call("Target.closeTarget", {"targetId": self._target})
        self._browser.events.clear()

    def looks(self, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Give the window a width and a scheme of colours."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": width < 700})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, path: Path, ready: str) -> None:
        """Open a file and wait until an expression is true."""
        self.call("Page.navigate", {"url": path.as_uri()})
        self.wait(ready)

    def wait(self, ready: str) -> None:
        """Wait until an expression is true."""
        end_s = time.monotonic() + WAIT_S
        while self.value(f"Boolean({ready})") is not True:
            assert time.monotonic() < end_s, f"never came true: {ready}; {self.problems}"
            time.sleep(0.05)

    def value(self, expression: str) -> Any:  # noqa: ANN401  (whatever the expression gives)
        """The value of an expression; a promise is waited for."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", {"captureBeyondViewport": True})
        return b64decode(shot["data"])

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(said["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.problems.append(str(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.problems.append(str(said["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requested.append(said["request"]["url"])


class Browser:
    """The browser's process.

    Attributes:
        events: that came since they were last looked at.
    """

    def __init__(self, to: int, back: int) -> None:
        self._to = to
        self._back = os.fdopen(back, "rb")
        self._last = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self.events.append(answer)

    def close(self) -> None:
        """Close our ends of the pipes."""
        os.close(self._to)
        self._back.close()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = self._back.read1(1 << 20)
            assert data, "the browser is gone"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@contextmanager
def browser(path: str, folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is an empty folder, and end it."""
    (from_us, to), (back, from_it) = os.pipe(), os.pipe()
    command = [sys.executable, "-c", _START, str(from_us), str(from_it), path, *OPTIONS]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder}", "about:blank"],
        pass_fds=(from_us, from_it),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(from_us)
    os.close(from_it)
    running = Browser(to, back)
    try:
        yield running
    finally:
        running.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
