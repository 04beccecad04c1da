"""A follow run of a simulated exchange with its own clock: days of it take seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from basislake.follow.background_tasks import Work
from basislake.follow.follow import Follower
from basislake.settings.exchange import ExchangeSettings
from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe, weekly_universe
from ingest.deribit.client import Exchange
from ingest.follow_schedule import Schedule
from ingest.plan.selection import Selection
from ingest.rate_limit.limiter import Limiter
from ingest.rate_limit.refusal_messages import Refusals
from lake import Lake
from tests.market import NOW

# A Thursday evening: some hours later a weekly expires and another one is listed.
EVENING = NOW.replace(day=4, hour=20)


def evening_market(days: int, days_to_come: int) -> Universe:
    """A market of bitcoin's weeklies that has been there for some days on that evening."""
    begin, until = EVENING - timedelta(days=days), EVENING + timedelta(days=days_to_come)
    return weekly_universe(11, begin, EVENING, currencies=("BTC",), until=until)


class Swift(ExchangeSettings):
    """Settings without retries, under which a wait for leave to call takes no time to speak of."""

    @contextmanager
    def open(
        self,
        lake: Lake | None = None,
        tell: Callable[[str], None] = print,
        refusals: Refusals | None = None,
    ) -> Iterator[Exchange]:
        limiter = Limiter(
            0,
            folder=lake.machine_folder if lake else None,
            url=self.url,
            clock=lambda: time.time() * 1e4,
            sleep=lambda s: time.sleep(s / 1e4),
            tell=tell,
            refusals=refusals,
        )
        exchange = Exchange(self.url, self.history_url, limiter=limiter, retries=0, tell=tell)
        try:
            yield exchange
        finally:
            exchange.close()


def follower(
    server: SimulatedExchange,
    lake: Lake,
    schedule: Schedule,
    said: list[str],
    *,
    build: Callable[[], None] = lambda: None,
    maintain: Callable[[], None] = lambda: None,
    history_url: str = "",
) -> Follower:
    """One that sleeps by moving the exchange's clock on; the lists of expired instruments may be
    elsewhere.
    """
    clock = server.clock
    assert isinstance(clock, Clock)
    return Follower(
        lake,
        Swift(server.www_url, history_url or server.history_url),
        Selection(),
        schedule,
        work=Work(build, maintain),
        say=said.append,
        clock=lambda: clock() / 1000,
        sleep=clock.advance,
    )
