"""A lake of a small market whose exchange misbehaved: gaps, refused candles, a spike, no answer."""

from datetime import UTC, datetime
from pathlib import Path

from basislake.simulator import changes
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import Change, Columns
from basislake.simulator.faults import Changed, server_error
from basislake.simulator.server import SimulatedExchange
from lake import Lake
from lake import open as open_lake
from tests.market import fetch, small_market
from tests.staged import built

LOST = {"BTC-5APR24": ("03-27 12:00", "03-27 12:01"), "ETH-PERPETUAL": ("03-26 04:05",)}
REFUSED = ("ETH-12APR24", "04-02 07:00")
SPIKE = ("BTC-5APR24", "03-28 15:02")
UNANSWERED = ("ETH-28JUN24", "04-01 12:00")
EMPTY = {"BTC-19APR24", "ETH-19APR24"}


def at(text: str) -> datetime:
    """A time of 2024: month, day, hour and minute."""
    return datetime.strptime(f"2024-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def ailing_lake(folder: Path) -> Lake:
    """Fetch and build what such an exchange serves."""
    lake = open_lake(str(folder))
    with SimulatedExchange(small_market()) as server:
        for name, times in LOST.items():
            for text in times:
                _order(server, name, text, changes.drop_minutes(milliseconds(at(text))))
        _order(server, *REFUSED, _multiplied(REFUSED[1], "low", -1.0))
        _order(server, *SPIKE, _multiplied(SPIKE[1], "high", 1.5))
        name, text = UNANSWERED
        server.faults.add(
            CHART, None, server_error(), instrument=name, minute_ms=milliseconds(at(text))
        )
        fetch(server, lake, retries=1)
    built(lake)
    return lake


def _order(server: SimulatedExchange, name: str, text: str, change: Change) -> None:
    ms = milliseconds(at(text))
    server.faults.add(CHART, None, Changed(change), instrument=name, minute_ms=ms)


def _multiplied(text: str, column: str, factor: float) -> Change:
    ms = milliseconds(at(text))

    def change(good: Columns) -> Columns:
        cells = list(good[column])
        if ms in good["ticks"]:
            row = good["ticks"].index(ms)
            cells[row] *= factor
        return good | {column: cells}

    return change
