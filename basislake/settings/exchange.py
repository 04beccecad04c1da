"""Settings of the exchange: its address, rate limit, time limit and retries."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from basislake.output.screen import say
from ingest.deribit import defaults
from ingest.deribit.client import Exchange
from ingest.deribit.hosts import HISTORY_URL, WWW_URL, base_of, exchange_name
from ingest.rate_limit.allowance import AUTO, Rate
from ingest.rate_limit.limiter import Limiter
from ingest.rate_limit.refusal_messages import Refusals
from ingest.rate_limit.remembered import Expected, Remembered, expected
from lake import Lake
from lake.properties.origin import check_origin


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """How to call the exchange.

    Attributes:
        url: of `www`.
        history_url: of the history host.
        rate: candle calls per second, 0 for no limit; `auto` finds what the exchange permits.
        timeout_s: of one call.
        retries: per window.
        threads: calls in flight at once.
    """

    # Not in the repr, which an engine may log: a URL may contain a password.
    url: str = field(default=WWW_URL, repr=False)
    history_url: str = field(default=HISTORY_URL, repr=False)
    rate: Rate = AUTO
    timeout_s: float = defaults.TIMEOUT_S
    retries: int = defaults.RETRIES
    threads: int = defaults.THREADS

    @contextmanager
    def open(
        self,
        lake: Lake | None = None,
        tell: Callable[[str], None] = say,
        refusals: Refusals | None = None,
    ) -> Iterator[Exchange]:
        """Yield the exchange, and close the connections at the end.

        Args:
            lake: a lake, whose runs on this machine share one rate limit; by default the limit is
                for this process alone.
            tell: called with messages about lasting failures, and about refusals.
            refusals: those that a continuing run has already logged.

        Raises:
            UsageError: see `check`.
        """
        if lake is not None:
            self.check(lake)
        with closing(self.exchange(lake, tell, refusals)) as exchange:
            yield exchange

    def exchange(
        self,
        lake: Lake | None = None,
        tell: Callable[[str], None] = say,
        refusals: Refusals | None = None,
    ) -> Exchange:
        """Return the exchange as `open` does; the caller closes it."""
        folder = lake.machine_folder if lake else None
        return Exchange(
            self.url,
            self.history_url,
            limiter=Limiter(
                self.rate,
                folder=folder,
                url=self.url,
                tell=tell,
                refusals=refusals,
                remembered=Remembered(self.url),
            ),
            timeout_s=self.timeout_s,
            retries=self.retries,
            tell=tell,
        )

    def expected(self) -> Expected:
        """Return the rate that a backfill will have; makes no call."""
        return expected(self.rate, Remembered(self.url).read(time.time()))

    def check(self, lake: Lake) -> None:
        """Refuse to mix two exchanges in one lake; makes no call.

        Raises:
            UsageError: the URL is invalid, or the lake's data is from another exchange.
            LakeError: the lake cannot be read.
        """
        check_origin(lake, exchange_name(base_of(self.url)))
