"""Calls of a simulated exchange over HTTP, and the market that it serves."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import requests

from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe

CHART = "get_tradingview_chart_data"
UNIVERSE = weekly_universe(
    7, datetime(2024, 3, 1, 8, tzinfo=UTC), datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)
)
EXPIRED = UNIVERSE.contracts["BTC-22MAR24"]
ACTIVE = UNIVERSE.contracts["ETH-28JUN24"]

Ask: TypeAlias = Callable[..., requests.Response]
Chart: TypeAlias = Callable[[str, int, int], dict[str, Any]]


def ask_of(exchange: SimulatedExchange, session: requests.Session) -> Ask:
    """A function that calls a method of the exchange with parameters."""

    def ask(method: str, base: str = exchange.www_url, **params: object) -> requests.Response:
        query = {name: str(value) for name, value in params.items()}
        return session.get(f"{base}/api/v2/public/{method}", params=query, timeout=60)

    return ask


def chart_of(ask: Ask) -> Chart:
    """A function that returns the candles of an instrument between two times, both inclusive."""

    def chart(instrument: str, start_ms: int, end_ms: int) -> dict[str, Any]:
        answer = ask(
            CHART,
            instrument_name=instrument,
            start_timestamp=start_ms,
            end_timestamp=end_ms,
            resolution="1",
        )
        assert answer.status_code == 200
        result: dict[str, Any] = answer.json()["result"]
        return result

    return chart
