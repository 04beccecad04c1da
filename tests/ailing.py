"""Lakes of small markets whose exchange misbehaved: gaps, refused candles, a spike, no answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from basislake.simulator import changes
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.contracts import milliseconds
from basislake.simulator.fault_forms import Change, Changed, Columns, server_error
from basislake.simulator.server import SimulatedExchange
from lake import Lake
from lake import open as open_lake
from tests.lakes import built_lake
from tests.market import fetch, small_market
from tests.staged import built

LOST = {"BTC-5APR24": ("03-27 12:00", "03-27 12:01"), "ETH-PERPETUAL": ("03-26 04:05",)}
REFUSED = ("ETH-12APR24", "04-02 07:00")
SPIKE = ("BTC-5APR24", "03-28 15:02")
UNANSWERED = ("ETH-28JUN24", "04-01 12:00")


def at(text: str) -> datetime:
    """A time of 2024: month, day, hour and minute."""
    return datetime.strptime(f"2024-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def altered(factors: Mapping[str, float | None], *minutes_ms: int) -> Change:
    """Multiply cells of these minutes, or send null where None is given; other candles stay."""

    def change(good: Columns) -> Columns:
        changed = {name: list(good[name]) for name in factors}
        for row, tick in enumerate(good["ticks"]):
            if tick in minutes_ms:
                for name, factor in factors.items():
                    changed[name][row] = None if factor is None else good[name][row] * factor
        return good | changed

    return change


def ailing_lake(folder: Path) -> Lake:
    """Fetch and build what such an exchange serves."""
    lake = open_lake(str(folder))
    with SimulatedExchange(small_market()) as server:
        for name, times in LOST.items():
            for text in times:
                _order(server, name, text, changes.drop_minutes(milliseconds(at(text))))
        for (name, text), factors in ((REFUSED, {"low": -1.0}), (SPIKE, {"high": 1.5})):
            _order(server, name, text, altered(factors, milliseconds(at(text))))
        name, text = UNANSWERED
        server.faults.add(
            CHART, None, server_error(), instrument=name, minute_ms=milliseconds(at(text))
        )
        fetch(server, lake, retries=1)
    built(lake)
    return lake


def gapped_lake(folder: Path) -> Lake:
    """The same of an exchange that lacks a minute of everything, and some of one future."""
    universe = small_market(weeks=1)
    start_ms = universe.now_ms // 60_000 * 60_000 - 3_000 * 60_000
    alone = [start_ms + i * 60_000 for i in range(100, 115)]
    name = next(
        n for n, c in universe.contracts.items() if c.expires_ms and c.expires_ms > alone[-1]
    )
    with SimulatedExchange(universe) as server:
        lacked = Changed(changes.drop_minutes(start_ms))
        server.faults.add(CHART, None, lacked, minute_ms=start_ms)
        for ms in alone:
            dropped = Changed(changes.drop_minutes(*alone))
            server.faults.add(CHART, None, dropped, instrument=name, minute_ms=ms)
        fetch(server, open_lake(str(folder)))
        return built_lake(folder, server)


def _order(server: SimulatedExchange, name: str, text: str, change: Change) -> None:
    ms = milliseconds(at(text))
    server.faults.add(CHART, None, Changed(change), instrument=name, minute_ms=ms)
