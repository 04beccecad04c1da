"""Engines, in which the tasks of a build or a backfill run: local threads, or a Dask cluster.

A task is a function of plain values, submitted to a `concurrent.futures.Executor`; Dask does the
distribution.
"""

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from basislake import PROGRAM
from lake.errors import LakeError, UsageError
from lake.machine.cores import cores

LOCAL = "local"
DASK = "dask"
_ADDRESS = "dask://"

# If a worker ends, Dask runs its tasks again on others, at most this many times each.
_MOST_RERUNS = 3
_WAIT_FOR_SCHEDULER_S = 10
_LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Engine:
    """The place where tasks run.

    Attributes:
        name: `local`, threads of this process; `dask`, a new cluster of processes that ends with
            the work; `dask://host:port`, the cluster of a running scheduler.
        workers: processes of a new cluster, as many as cores by default.
    """

    name: str = LOCAL
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse unknown engines.

        Raises:
            UsageError: the name is none of these, or it excludes a number of workers.
        """
        if self.name not in (LOCAL, DASK) and not self.name.startswith(_ADDRESS):
            raise UsageError(
                f"There is no engine {self.name!r}; use local, dask or dask://host:port."
            )
        if self.workers is not None and self.name != DASK:
            raise UsageError(
                "--workers needs --engine dask, which starts a cluster on this machine."
            )

    @property
    def is_local(self) -> bool:
        """Whether tasks run in this process."""
        return self.name == LOCAL


HERE = Engine()


class Cluster:
    """Workers that wait for tasks.

    Attributes:
        pool: hands tasks to them.
    """

    def __init__(self, client: Any, clock: Callable[[], float] = time.monotonic) -> None:  # noqa: ANN401  (the library may be absent)
        """Count the workers of a client of Dask; the clock gives monotonic seconds."""
        self.pool: Executor = client.get_executor(pure=False, retries=_MOST_RERUNS)
        self._client = client
        self._clock = clock
        self._threads = self._look()

    def threads(self) -> Mapping[str, int]:
        """Return how many tasks run at once on each machine, by its address; workers come and go,
        so they are counted every few seconds.
        """
        if self._clock() - self._looked_s > _LOOK_EVERY_S:
            # If the scheduler is lost, the submitted tasks fail by themselves. A client that has
            # disconnected for good raises a RuntimeError; one that is closing has no scheduler.
            with suppress(OSError, RuntimeError, AttributeError):
                self._threads = self._look()
        return self._threads

    def _look(self) -> Mapping[str, int]:
        self._looked_s = self._clock()
        found: Counter[str] = Counter()
        for address, threads in self._client.nthreads().items():
            # Workers on one machine have different ports.
            found[address.rpartition(":")[0]] += threads
        return found


@contextmanager
def executor(engine: Engine, *, threads: int | None = None) -> Iterator[Executor]:
    """Yield an executor of an engine for the block.

    Args:
        engine: local or not.
        threads: of this process, two for each core by default: Polars and Arrow compute without
            the interpreter's lock, and while a thread waits for it or the disk, another computes.

    Raises:
        UsageError: the engine is not installed, or no scheduler or worker answers.
        LakeError: at the end, if the cluster was lost.
    """
    if engine.is_local:
        with ThreadPoolExecutor(threads or 2 * cores(), thread_name_prefix="build") as pool:
            yield pool
        return
    with cluster(engine) as workers:
        yield workers.pool


@contextmanager
def cluster(
    engine: Engine, *, threads: int | None = None, wait_s: float = _WAIT_FOR_SCHEDULER_S
) -> Iterator[Cluster]:
    """Yield the workers of an engine that is not local for the block.

    Args:
        engine: `dask` or `dask://host:port`.
        threads: of a new cluster, in total; one for each worker by default.
        wait_s: time limit for a scheduler to answer, and for its first worker.

    Raises:
        UsageError: the engine is not installed, or no scheduler or worker answers.
        LakeError: at the end, if the cluster was lost.
    """
    try:
        from distributed import Client, KilledWorker, LocalCluster  # noqa: PLC0415
        from distributed.utils import silence_logging_cmgr  # noqa: PLC0415
    except ImportError as exc:
        raise UsageError(
            "--engine dask needs Dask, which is not installed. Nothing was done. Install it with: "
            f"{sys.executable} -m pip install distributed"
        ) from exc
    with ExitStack() as stack:
        # A cluster that ends logs tracebacks; errors are raised here instead.
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        if engine.name == DASK:
            workers = engine.workers or cores()
            made = LocalCluster(
                n_workers=workers,
                threads_per_worker=-(-(threads or workers) // workers),
                # A free port, as another cluster may use the default one.
                dashboard_address="127.0.0.1:0",
                preload=__name__,
                silence_logs=logging.CRITICAL,
            )
            client = stack.enter_context(Client(stack.enter_context(made), set_as_default=False))
        else:
            client = stack.enter_context(_connected(Client, engine, wait_s))
        try:
            yield Cluster(client)
        except (KilledWorker, CancelledError) as exc:
            raise LakeError(
                f"The Dask cluster lost its scheduler, or too many workers: {exc}. What was "
                "committed is safe; run the command again."
            ) from exc


def dask_setup(_worker: object) -> None:
    """Start a worker of a new cluster in a process group of its own: a terminal sends Ctrl-C, and
    SIGHUP at its end, to a whole group, and only the command shall react. Ignoring the signals is
    not enough: Polars handles them again while it computes.
    """
    os.setpgrp()


def _connected(client: Any, engine: Engine, wait_s: float) -> Any:  # noqa: ANN401  (likewise)
    address = "tcp://" + engine.name.removeprefix(_ADDRESS)
    try:
        connected = client(address, timeout=wait_s, set_as_default=False)
    except (OSError, ValueError) as exc:
        raise UsageError(
            f"No Dask scheduler answers at {address}. Nothing was done. Start one with `dask "
            "scheduler`."
        ) from exc
    try:
        _check_workers(connected, address, wait_s)
    except UsageError:
        connected.close()
        raise
    return connected


def _check_workers(client: Any, scheduler: str, wait_s: float) -> None:  # noqa: ANN401  (likewise)
    """Refuse a cluster without workers, or with workers of another version of this program."""
    try:
        client.wait_for_workers(1, timeout=wait_s)
    except OSError as exc:
        raise UsageError(
            f"The Dask scheduler at {scheduler} has no workers. Nothing was done. Start some with "
            f"`dask worker {scheduler}`."
        ) from exc
    for worker, found in client.run(_program, on_error="return").items():
        if found != PROGRAM:
            raise UsageError(
                f"The Dask worker at {worker} does not run {PROGRAM}, but {found}. Nothing was "
                "done. Install the same version there."
            )


def _program() -> str:
    """Name and version of the program on a worker."""
    return PROGRAM
