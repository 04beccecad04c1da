"""Who asks the exchange for a backfill in an engine: workers, each machine at a pace of its own."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import lake
from basislake.engines import Engine, cluster
from basislake.settings import ExchangeSettings
from ingest.callers import Asked, Callers, ask
from ingest.exchange import Exchange
from lake import Lake
from lake.spans import Span

_making = threading.Lock()


@contextmanager
def callers(engine: Engine, settings: ExchangeSettings, where: Lake) -> Iterator[Callers | None]:
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
        yield Callers(
            found.pool,
            functools.partial(ask_from_worker, settings, where.uri),
            most=sum(min(threads, settings.threads) for threads in found.threads.values()),
            machines=1 if where.is_local else len(found.threads),
        )


def ask_from_worker(settings: ExchangeSettings, uri: str, instrument: str, window: Span) -> Asked:
    """Ask for a window from any process, at the pace of its machine.

    Args:
        settings: of the exchange.
        uri: of the lake, which nothing is read from or written to.
        instrument: its name.
        window: see `ingest.exchange.Exchange.candles`.

    Raises:
        LakeError: the pace cannot be kept.
    """
    # Two threads that begin at once should not make two.
    with _making:
        exchange = _exchange(settings, uri)
    return ask(exchange, instrument, window)


@functools.cache
def _exchange(settings: ExchangeSettings, uri: str) -> Exchange:
    """The connections of this process, which outlive a task: a new one costs more than a call."""
    return settings.exchange(lake.open(uri))
