"""The simulated exchange: a Deribit on loopback, made of pure functions of a seed.

It is the oracle of all tests and imports nothing of the program under test, so that the two can
only agree by both being right.
"""

from basislake.exchange import changes
from basislake.exchange.calls import Call
from basislake.exchange.clock import Clock
from basislake.exchange.counters import Counters
from basislake.exchange.faults import (
    Changed,
    CutOff,
    Fault,
    FaultScript,
    Hang,
    Reset,
    Trickle,
    closed_door,
    reply,
    rpc_error,
    server_error,
    too_many_requests,
)
from basislake.exchange.kinds import KINDS, Kind, read_rates
from basislake.exchange.limit import CreditLimit, Pool
from basislake.exchange.market import Contract, candles
from basislake.exchange.replay import replay_universe
from basislake.exchange.server import SimulatedExchange, serve_forever
from basislake.exchange.universe import Universe, records, weekly_universe

__all__ = [
    "KINDS",
    "Call",
    "Changed",
    "Clock",
    "Contract",
    "Counters",
    "CreditLimit",
    "CutOff",
    "Fault",
    "FaultScript",
    "Hang",
    "Kind",
    "Pool",
    "Reset",
    "SimulatedExchange",
    "Trickle",
    "Universe",
    "candles",
    "changes",
    "closed_door",
    "read_rates",
    "records",
    "replay_universe",
    "reply",
    "rpc_error",
    "serve_forever",
    "server_error",
    "too_many_requests",
    "weekly_universe",
]
