"""A Dask cluster of real processes, whose workers act like separate machines."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="pip install distributed to run these")
from distributed import Client

from tests.processes import PATIENCE_S, TELLING, wait_until


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its neighbours see it.

    Attributes:
        address: all of 127.0.0.0/8 are this one, and differ to a scheduler.
        cache: its own cache folder; that of the environment by default.
    """

    address: str = "127.0.0.1"
    cache: Path | None = None


HERE = Machine()
DASK = (sys.executable, "-m", "dask")


@contextmanager
def cluster(
    env: Mapping[str, str],
    folder: Path,
    *,
    threads: int = 1,
    machines: Sequence[Machine] = (HERE, HERE),
    program: Sequence[str] = DASK,
) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler and some workers that have joined it, each a process, as docs/engines.md starts
    them.

    Args:
        env: of the scheduler and the workers.
        folder: to run in; what they say is in it.
        threads: of each worker.
        machines: where the workers are.
        program: that the scheduler and the workers run.
    """
    message = folder / "scheduler.json"
    quiet = ["--no-dashboard", "--scheduler-file", str(message)]
    lines = [
        ["scheduler", "--host", "127.0.0.1", "--port", "0", *quiet],
        *(
            ["worker", "--host", each.address, "--nthreads", str(threads), "--no-nanny", *quiet]
            for each in machines
        ),
    ]
    caches = [None, *(each.cache for each in machines)]
    # Kept with the test's folder where the test fails.
    with (folder / "cluster.log").open("w") as log:
        processes = [
            subprocess.Popen(
                [*program, *line], text=True, cwd=folder,
                env={**env, **TELLING, **({"XDG_CACHE_HOME": str(cache)} if cache else {})},
                stdout=log, stderr=log,
            )
            for line, cache in zip(lines, caches, strict=True)
        ]  # fmt: skip
    try:
        # It is there before it is written.
        wait_until(processes[0], lambda: message.exists() and message.read_text().endswith("}"))
        address = json.loads(message.read_text())["address"]
        if machines:
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(len(machines), timeout=PATIENCE_S)
        yield address.replace("tcp://", "dask://"), processes[1:]
    except BaseException:
        for process in processes:
            process.send_signal(signal.SIGABRT)
            process.wait(PATIENCE_S)
        raise
    finally:
        for process in processes:
            process.kill()
            process.communicate()
