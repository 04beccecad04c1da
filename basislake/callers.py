"""Who asks the exchange for a backfill in an engine: workers, each machine at a pace of its own."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import lake
from basislake.engines import Cluster, Engine, cluster
from basislake.exchange_settings import ExchangeSettings
from ingest.callers import Asked, FetchWorkers, ask
from ingest.exchange import Exchange
from lake import Lake
from lake.coverage import Subject
from lake.spans import Span

_making = threading.Lock()


@contextmanager
def callers(
    engine: Engine, settings: ExchangeSettings, where: Lake
) -> Iterator[FetchWorkers | None]:
    """Give those who ask, for as long as the block lasts; None for threads of this process.

    Args:
        engine: whose workers they are.
        settings: of the exchange; rate and threads are those of each machine.
        where: the lake. One on a disk keeps the pace of all who mount it, as of one machine.

    Raises:
        UsageError: the engine is not installed, or no scheduler or worker answers.
        LakeError: at the end, where the cluster was lost; what was committed is safe.
    """
    if engine.is_local:
        yield None
        return
    with cluster(engine, threads=settings.threads) as found:
        yield FetchWorkers(
            found.pool,
            functools.partial(ask_from_worker, settings, where.uri),
            functools.partial(_machines, found, settings.threads, is_one=where.is_local),
        )


def _machines(found: Cluster, threads: int, *, is_one: bool) -> list[int]:
    """How many calls may be under way at once on each machine, or on all that pass for one; where
    the last worker has left, one that waits for the next.
    """
    most = [min(held, threads) for held in found.threads().values()] or [1]
    return [sum(most)] if is_one else most


def ask_from_worker(settings: ExchangeSettings, uri: str, subject: Subject, window: Span) -> Asked:
    """Ask for a window from any process, at the pace of its machine.

    Args:
        settings: of the exchange.
        uri: of the lake, which nothing is read from or written to.
        subject: whose rows.
        window: of them.

    Raises:
        LakeError: the pace cannot be kept.
    """
    # Two threads that begin at once should not make two.
    with _making:
        exchange = _exchange(settings, uri)
    return ask(exchange, subject, window)


@functools.cache
def _exchange(settings: ExchangeSettings, uri: str) -> Exchange:
    """The connections of this process, which outlive a task: a new one costs more than a call."""
    return settings.exchange(lake.open(uri))
