"""Results of a task of a backfill: plain values that can be pickled, errors too."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from basislake.pipeline.engine_workers import ask_from_worker
from basislake.settings.exchange import ExchangeSettings
from basislake.simulator import fault_forms
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.fault_forms import AnyFault, Hang, Reset
from basislake.simulator.server import SimulatedExchange
from ingest.backfill.fetch_workers import Asked, ask, threads_here
from ingest.datasets.candles import candles_of
from ingest.deribit.call_counts import CallCounts
from ingest.deribit.client import Exchange
from lake.errors import (
    ClosedDoorError,
    ExchangeError,
    LakeError,
    RejectedError,
    StoppedError,
    ThrottledError,
    TransientError,
)
from lake.time.intervals import Span
from tests.market import small_market, swift, truth
from tests.processes import PATIENCE_S, wait_until

NAME = "BTC-PERPETUAL"
SUBJECT = candles_of(NAME)
UNIVERSE = small_market(weeks=1)
MINUTES = truth(UNIVERSE, NAME)["ts"]
WINDOW = Span(MINUTES[0], MINUTES[600])


@pytest.fixture
def exchange(server: SimulatedExchange) -> Iterator[Exchange]:
    with swift(server, retries=2) as client:
        yield client


def travelled(asked: Asked) -> Asked:
    found: Asked = pickle.loads(pickle.dumps(asked))  # noqa: S301  (it is our own)
    return found


def test_an_answer_travels(exchange: Exchange) -> None:
    asked = travelled(ask(exchange, SUBJECT, WINDOW))
    assert asked.page is not None
    assert asked.page.frame["ts"].equals(MINUTES[:600].alias("ts"))
    assert asked.page.present == [WINDOW]
    assert (asked.error, asked.tally) == (None, CallCounts(calls=1))


@pytest.mark.parametrize(
    ("fault", "kind", "tally"),
    [
        (Reset(), TransientError, CallCounts(calls=3, retries=2)),
        (fault_forms.server_error(), TransientError, CallCounts(calls=3, retries=2)),
        (fault_forms.rpc_error(-32602, "Invalid params"), RejectedError, CallCounts(calls=1)),
        (fault_forms.closed_door(), ClosedDoorError, CallCounts(calls=1)),
    ],
    ids=["reset", "server error", "refused", "closed door"],
)
def test_an_error_travels_with_its_meaning_and_its_calls(
    server: SimulatedExchange,
    exchange: Exchange,
    fault: AnyFault,
    kind: type[ExchangeError],
    tally: CallCounts,
) -> None:
    server.faults.add(CHART, None, fault)
    here = ask(exchange, SUBJECT, WINDOW)
    there = travelled(here)
    assert type(there.error) is kind
    assert str(there.error) == str(here.error)
    assert (there.page, there.tally) == (None, tally)
    assert there.ends_the_run == (kind is ClosedDoorError)


def test_the_wait_that_the_exchange_asked_for_travels_too() -> None:
    error = travelled(Asked(error=ThrottledError("too often", 7.0))).error
    assert isinstance(error, ThrottledError)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (fault_forms.rpc_error(-32602, "Invalid params"), RejectedError),
        (fault_forms.closed_door(), ClosedDoorError),
    ],
)
def test_threads_make_no_call_once_the_instrument_or_all_of_us_are_refused_and_all_say_so(
    server: SimulatedExchange, exchange: Exchange, fault: AnyFault, kind: type[ExchangeError]
) -> None:
    server.faults.add(CHART, None, fault)
    callers = threads_here(exchange, 1)
    futures = [callers.pool.submit(callers.ask, SUBJECT, WINDOW) for _ in range(5)]
    errors = [future.result().error for future in futures]
    callers.pool.shutdown()
    assert {type(error) for error in errors} == {kind}
    assert server.calls_of(CHART) == 1
    assert sum(future.result().tally.calls for future in futures) == 1


def test_a_caller_that_is_stopped_says_so(exchange: Exchange) -> None:
    exchange.stop()
    asked = ask(exchange, SUBJECT, WINDOW)
    assert (type(asked.error), asked.ends_the_run) == (StoppedError, True)


def test_a_pace_that_cannot_be_kept_is_no_matter_of_the_exchange(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings = ExchangeSettings(server.www_url, server.history_url)
    with pytest.raises(LakeError, match="rate limit cannot be shared"):
        ask_from_worker(settings, str(tmp_path / "file"), SUBJECT, WINDOW)


def test_a_process_keeps_its_connection_from_task_to_task(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    settings = ExchangeSettings(server.www_url, server.history_url, rate=0)
    for _ in range(3):
        assert ask_from_worker(settings, str(tmp_path), SUBJECT, WINDOW).page is not None
    assert server.calls_of(CHART) == 3
    assert server.counters.most_connections == 1


def test_a_task_shows_no_url_as_one_may_hold_a_password() -> None:
    assert "secret" not in repr(ExchangeSettings("http://me:secret@a", "http://me:secret@b"))


def test_a_client_that_is_closed_ends_its_calls_in_flight(
    server: SimulatedExchange, exchange: Exchange
) -> None:
    server.faults.add(CHART, None, Hang(2 * PATIENCE_S))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, exchange, SUBJECT, WINDOW)
        wait_until(None, lambda: server.calls_of(CHART) == 1)
        exchange.close()
        assert isinstance(asked.result(PATIENCE_S).error, StoppedError)
