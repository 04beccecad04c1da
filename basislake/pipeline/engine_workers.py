"""Fetch workers of a backfill in an engine, with a rate limit for each machine."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from basislake.pipeline.engines import Cluster, Engine, cluster
from basislake.settings.exchange import ExchangeSettings
from ingest.backfill.fetch_workers import Asked, FetchWorkers, ask
from ingest.deribit.client import Exchange
from lake import Lake
from lake import open as open_lake
from lake.coverage import Subject
from lake.time.intervals import Span

_making = threading.Lock()


@contextmanager
def callers(
    engine: Engine, settings: ExchangeSettings, lake: Lake
) -> Iterator[FetchWorkers | None]:
    """Yield the fetch workers of an engine for the block; None for threads of this process.

    Args:
        engine: whose workers they are.
        settings: of the exchange; rate and threads apply to each machine.
        lake: the lake. All machines that mount a lake on disk share one rate limit.

    Raises:
        UsageError: the engine is not installed, or no scheduler or worker answers.
        LakeError: at the end, if the cluster was lost; committed data is safe.
    """
    if engine.is_local:
        yield None
        return
    with cluster(engine, threads=settings.threads) as found:
        yield FetchWorkers(
            found.pool,
            functools.partial(ask_from_worker, settings, lake.uri),
            functools.partial(_machines, found, settings.threads, is_one=lake.is_local),
        )


def _machines(found: Cluster, threads: int, *, is_one: bool) -> list[int]:
    """How many calls may be in flight on each machine, or in total if all count as one; after the
    last worker has left, one call that waits for the next worker.
    """
    most = [min(own, threads) for own in found.threads().values()] or [1]
    return [sum(most)] if is_one else most


def ask_from_worker(settings: ExchangeSettings, uri: str, subject: Subject, window: Span) -> Asked:
    """Fetch a window of a subject's rows from any process, within the rate limit of its machine,
    which the lake at the URI shares.

    Raises:
        LakeError: the rate limit cannot be shared.
    """
    # Two threads that begin at once must not both open connections.
    with _making:
        exchange = _exchange(settings, uri)
    return ask(exchange, subject, window)


@functools.cache
def _exchange(settings: ExchangeSettings, uri: str) -> Exchange:
    """The connections of this process, kept between tasks: a new one costs more than a call."""
    return settings.exchange(open_lake(uri))
