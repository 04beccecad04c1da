"""Where the tasks of a build run: threads here, or the workers of a Dask cluster.

A task is a function of plain values, handed to a `concurrent.futures.Executor`; nothing of ours
distributes.
"""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from lake.errors import LakeError, UsageError

LOCAL = "local"
DASK = "dask"
_ADDRESS = "dask://"

# A worker that ends takes its tasks with it; they run again on others, so many times each.
_MOST_RERUNS = 3
_WAIT_FOR_SCHEDULER_S = 10


def check_engine(engine: str, workers: int | None) -> None:
    """Refuse what is no engine.

    Args:
        engine: `local`, `dask` or `dask://host:port`.
        workers: processes of a cluster made on the spot.

    Raises:
        UsageError: it is none of these, or the number of workers does not go with it.
    """
    if engine not in (LOCAL, DASK) and not engine.startswith(_ADDRESS):
        raise UsageError(f"There is no engine {engine!r}; use local, dask or dask://host:port.")
    if workers is not None and engine != DASK:
        raise UsageError("--workers goes with --engine dask, which makes a cluster on the spot.")


@contextmanager
def executor(
    engine: str = LOCAL, *, threads: int | None = None, workers: int | None = None
) -> Iterator[Executor]:
    """Give something to run tasks in, for as long as the block lasts.

    Args:
        engine: `local`, threads of this process; `dask`, processes of a cluster that is made here
            and ends with the block; `dask://host:port`, the cluster of a scheduler.
        threads: of this process, two for each core by default: Polars and Arrow compute outside the
            interpreter's lock, and while one waits for it or for the disk, another computes.
        workers: of the cluster made here, as many as cores by default.

    Raises:
        UsageError: the engine is not installed, or no scheduler answers.
    """
    if engine == LOCAL:
        with ThreadPoolExecutor(threads or 2 * _cores(), thread_name_prefix="build") as pool:
            yield pool
        return
    with _dask(engine, workers or _cores()) as pool:
        yield pool


@contextmanager
def _dask(engine: str, workers: int) -> Iterator[Executor]:
    try:
        from distributed import Client, KilledWorker, LocalCluster  # noqa: PLC0415
        from distributed.utils import silence_logging_cmgr  # noqa: PLC0415
    except ImportError as exc:
        raise UsageError(
            "--engine dask needs Dask: pip install 'basislake[dask]'. Nothing was done."
        ) from exc
    with ExitStack() as stack:
        # A cluster that ends complains with tracebacks; what fails is raised here.
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        if engine == DASK:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            client = stack.enter_context(Client(stack.enter_context(cluster), set_as_default=False))
        else:
            client = stack.enter_context(_connected(Client, engine))
        try:
            yield client.get_executor(pure=False, retries=_MOST_RERUNS)
        except (KilledWorker, CancelledError) as exc:
            raise LakeError(
                f"The Dask cluster lost its scheduler, or too many workers: {exc}. What was "
                "committed is safe; run the command again."
            ) from exc


def _connected(client: Any, engine: str) -> Any:  # noqa: ANN401  (the library may be absent)
    address = "tcp://" + engine.removeprefix(_ADDRESS)
    try:
        return client(address, timeout=_WAIT_FOR_SCHEDULER_S, set_as_default=False)
    except (OSError, ValueError) as exc:
        raise UsageError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`. "
            "Nothing was done."
        ) from exc


def _cores() -> int:
    return os.cpu_count() or 1
