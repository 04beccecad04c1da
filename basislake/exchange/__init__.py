"""The simulated exchange: a Deribit on loopback, made of pure functions of a seed.

It is the oracle of all tests and imports nothing of the program under test, so that the two can
only agree by both being right.
"""

from basislake.exchange.faults import (
    Fault,
    FaultScript,
    reply,
    rpc_error,
    server_error,
    too_many_requests,
)
from basislake.exchange.market import Contract, candles
from basislake.exchange.replay import replay_universe
from basislake.exchange.server import Call, SimulatedExchange, serve_forever
from basislake.exchange.universe import Universe, records, weekly_universe

__all__ = [
    "Call",
    "Contract",
    "Fault",
    "FaultScript",
    "SimulatedExchange",
    "Universe",
    "candles",
    "records",
    "replay_universe",
    "reply",
    "rpc_error",
    "serve_forever",
    "server_error",
    "too_many_requests",
    "weekly_universe",
]
