"""What the benchmarks share: the simulated exchange in a process of its own, measured processes,
and what machine this is.

It imports nothing but the standard library: a process's peak memory is counted from what its parent
held when it started it, so a parent that measures others has to be small.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
BASISLAKE = (sys.executable, "-c", "from basislake.cli.main import main; main()")

_CHART = "get_tradingview_chart_data"
_START_S = 60
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Counts:
    """The exchange's counts of candle calls.

    Attributes:
        calls: received.
        limited: refused with 10028.
        cached: answered from the cache of rendered pages.
    """

    calls: int
    limited: int
    cached: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running simulated exchange.

    Attributes:
        exchange_url: base URL of `www`.
        history_url: base URL of the history host.
        control_url: base URL of the counters.
        instruments: how many it lists.
        process: that it runs in.
    """

    exchange_url: str
    history_url: str
    control_url: str
    instruments: int
    process: int

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that it has used; 0 if the system does not report it."""
        table = Path(f"/proc/{self.process}/stat")
        if not table.exists():
            return 0.0
        # After the program's name, in brackets, which may contain spaces.
        fields = table.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def counts(self) -> Counts:
        """Read the counters."""
        found = self._counters("GET")
        return Counts(found["by_method"].get(_CHART, 0), found["limited"], found["cached"])

    def forget(self) -> None:
        """Reset the counters."""
        self._counters("POST")

    def _counters(self, verb: str) -> dict[str, Any]:
        address = urlsplit(self.control_url)
        with closing(HTTPConnection(address.netloc)) as connection:
            connection.request(verb, f"{address.path}/counters")
            found: dict[str, Any] = json.load(connection.getresponse())
            return found


@dataclass(frozen=True, slots=True)
class Finished:
    """Measurements of a successful process.

    Attributes:
        printed: the JSON object that it printed.
        seconds: from its start to its end.
        cpu_s: seconds of processor time, of the user and of the system, start included.
        exchange_cpu_s: processor time of the exchange meanwhile.
        others: the share of the machine's processors that other processes took meanwhile.
        peak_mb: its peak memory.
        counts: of the exchange meanwhile.
    """

    printed: dict[str, Any]
    seconds: float
    cpu_s: float
    exchange_cpu_s: float
    others: float
    peak_mb: float
    counts: Counts


@contextmanager
def exchange(*options: str) -> Iterator[Server]:
    """Run `basislake exchange` with some options, and stop it at the end."""
    command = [*BASISLAKE, "exchange", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Server(**_first_object(process), process=process.pid)
    finally:
        process.terminate()
        process.wait()


def measure(
    command: Sequence[str | Path],
    server: Server | None = None,
    sample: Callable[[], object] | None = None,
) -> Finished:
    """Run a command that prints one JSON object, and measure its process.

    Args:
        command: program and arguments.
        server: that it calls, if any; its counters are reset.
        sample: called about twice a second.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    if server:
        server.forget()
    start_s, exchange_s, busy_s = time.monotonic(), server.cpu_s if server else 0.0, _busy_s()
    printed, usage = run(command, sample)
    seconds = time.monotonic() - start_s
    exchange_s = server.cpu_s - exchange_s if server else 0.0
    cpu_s = usage.ru_utime + usage.ru_stime
    others_s = max(0.0, _busy_s() - busy_s - cpu_s - exchange_s)
    others = others_s / seconds / (os.cpu_count() or 1)
    counts = server.counts() if server else Counts(0, 0, 0)
    return Finished(printed, seconds, cpu_s, exchange_s, others, usage.ru_maxrss / 1e3, counts)


def step(module: str, name: str, folder: str | Path, *arguments: object) -> Finished:
    """Measure a step of `build` or `scale_steps` on the lake in a folder."""
    given = (sys.executable, "-m", f"benchmarks.{module}", name, folder, *map(str, arguments))
    return measure(given)


def staged(folder: Path, futures: int) -> Path:
    """Make and build a lake of synthetic candles in a folder, unless it exists; see `build_lake`.

    Returns:
        Its folder.
    """
    lake = folder / f"lake-{futures}"
    if not lake.exists():
        step("build", "stage", lake, futures)
        step("build", "full", lake)
    return lake


def run(
    command: Sequence[str | Path],
    sample: Callable[[], object] | None = None,
    codes: Container[int] = (0,),
) -> tuple[dict[str, Any], resource.struct_rusage]:
    """Run a command that prints one JSON object; return that, and the measurements of its process.

    Args:
        command: program and arguments.
        sample: called about twice a second.
        codes: exit codes that are no failure.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=out, stderr=said)
        try:
            while not (ended := os.wait4(process.pid, os.WNOHANG if sample else 0))[0]:
                time.sleep(_POLL_S)
                if sample:
                    sample()
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        out.seek(0)
        said.seek(0)
        if process.returncode not in codes:
            raise SystemExit(f"{command} failed:\n{said.read().decode()}")
        return json.load(out), ended[2]


def environment(folder: Path, *packages: str) -> Path | None:
    """Make a virtual environment with some packages, unless it exists.

    Returns:
        Its interpreter; None where the packages cannot be installed, which is said.
    """
    python = folder / "bin" / "python"
    if python.exists():
        return python
    try:
        venv.create(folder, with_pip=True)
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run((*install, *packages), check=True, capture_output=True, text=True)
    except (subprocess.CalledProcessError, OSError) as exc:
        why = str(getattr(exc, "stderr", None) or exc).strip().splitlines()[-1]
        print(f"{', '.join(packages)}: not installed, so there is less to compare with: {why}")
        return None
    return python


def machine() -> str:
    """Describe this machine: processors, memory, system, Python."""
    model = _first("/proc/cpuinfo", "model name") or platform.processor()
    memory_kb = (_first("/proc/meminfo", "MemTotal") or "0").split()[0]
    return (
        f"{os.cpu_count()} x {model}, {int(memory_kb) / 2**20:.0f} GiB, {platform.platform()}, "
        f"Python {platform.python_version()}"
    )


def _busy_s() -> float:
    """Seconds of processor time of all processes; 0 if the system does not report it."""
    fields = [int(field) for field in (_first("/proc/stat", "cpu ") or "0").split()]
    # user, nice, system; idle and iowait; irq, softirq.
    return (sum(fields[:3]) + sum(fields[5:7])) / os.sysconf("SC_CLK_TCK")


def _first_object(process: subprocess.Popen[str]) -> dict[str, Any]:
    lines: list[str] = []
    deadline_s = time.monotonic() + _START_S
    while process.stdout and time.monotonic() < deadline_s:
        lines.append(process.stdout.readline())
        if lines[-1].startswith("}"):
            found: dict[str, Any] = json.loads("".join(lines))
            return found
        if not lines[-1]:
            break
    raise SystemExit("The simulated exchange did not start.")


def _first(path: str, name: str) -> str | None:
    """The first value of a name in one of the kernel's tables."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line[len(name) :].lstrip(" \t:") for line in lines if line.startswith(name)), None)
