"""Calls of a simulated exchange over HTTP, and the market that it serves."""

from datetime import UTC, datetime
from typing import Any

import requests

from basislake.simulator.calls import CHART_METHOD
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import weekly_universe

START = datetime(2024, 3, 1, 8, tzinfo=UTC)
NOW = datetime(2024, 4, 5, 12, 0, 30, tzinfo=UTC)
UNIVERSE = weekly_universe(7, START, NOW)
EXPIRED = UNIVERSE.contracts["BTC-22MAR24"]


def ask(
    exchange: SimulatedExchange, method: str, base: str = "", **params: object
) -> requests.Response:
    """Call a method of the exchange, of one of its hosts, with parameters."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{base or exchange.www_url}/api/v2/public/{method}"
        query = {name: str(value) for name, value in params.items()}
        return session.get(url, params=query, timeout=60)


def ask_chart(
    exchange: SimulatedExchange, name: str, start_ms: int, end_ms: int
) -> requests.Response:
    """Ask for the candles of an instrument between two times, both inclusive."""
    window: dict[str, Any] = {"start_timestamp": start_ms, "end_timestamp": end_ms}
    return ask(exchange, CHART_METHOD, instrument_name=name, resolution="1", **window)


def chart(exchange: SimulatedExchange, name: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    """The candles that come of it."""
    answer = ask_chart(exchange, name, start_ms, end_ms)
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()["result"]
    return result
