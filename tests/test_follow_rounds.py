"""Single rounds: their cost, the subjects they leave to others, and the faults they survive."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from basislake.simulator import changes
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.carry import MarketCarry
from basislake.simulator.clock import Clock
from basislake.simulator.contracts import listed_contract, milliseconds
from basislake.simulator.fault_forms import Changed, rpc_error, server_error
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import make_universe, weekly_universe
from ingest.backfill.locks import SubjectLocks
from ingest.backfill.run_records import runs
from ingest.datasets.candles import candles_of
from ingest.follow_schedule import Schedule
from ingest.plan.scope import set_scope
from lake import Lake
from lake.carry_tables import RAW_DELIVERIES, RAW_SETTLEMENTS
from lake.errors import LoadError, UsageError
from lake.tables import COVERAGE, RAW_CANDLES
from lake.time.intervals import MINUTE
from lake.time.steps import DAYS
from tests.carry import CARRY, carry_truth, stored_carry
from tests.following import follower
from tests.market import NOW, basislake, coverage, rows, truths
from tests.processes import wait_until

UNIVERSE = weekly_universe(3, NOW - timedelta(days=3), NOW, currencies=("BTC",))
OPEN = [name for name, c in UNIVERSE.contracts.items() if not c.is_expired(UNIVERSE.now_ms)]
FETCHING = Schedule(build_every=None)
PERPETUAL = "BTC-PERPETUAL"


@pytest.fixture
def clock() -> Clock:
    return Clock(UNIVERSE.now_ms)


@pytest.fixture
def server(clock: Clock) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(UNIVERSE, clock=clock) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "rounds"), [(1, 12), (15, 4)])
def test_each_round_is_a_commit_and_for_each_open_instrument_a_call_and_a_file(
    server: SimulatedExchange, at: Lake, clock: Clock, minutes: int, rounds: int
) -> None:
    one = follower(server, at, Schedule(minutes * MINUTE, build_every=None), [])
    clock.advance(one.round())
    before = at.snapshot(RAW_CANDLES)
    server.forget_calls()
    for _ in range(rounds):
        clock.advance(one.round())
    after = at.snapshot(RAW_CANDLES)
    # A future that was not traded yet is asked, too, and brings no file.
    assert server.calls_of(CHART) == rounds * len(OPEN)
    assert server.calls_of("get_time") == rounds
    assert server.calls_of("get_instruments") <= 4 * (rounds * minutes // 5 + 1)
    assert after.version is not None
    assert before.version is not None
    assert after.version - before.version == rounds
    assert len(after.files) - len(before.files) <= rounds * len(OPEN)
    assert rows(at, "raw_candles").equals(truths(UNIVERSE, clock() - minutes * 60_000))
    assert len(runs(at, 10)) == 1


def test_between_two_closes_a_round_makes_no_candle_call(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    one = follower(server, at, FETCHING, [])
    one.round()
    server.forget_calls()
    clock.advance(20)
    assert one.round() == 15
    assert server.calls_of(CHART) == 0


@pytest.mark.slow
def test_other_data_are_asked_for_when_their_time_has_come_and_only_then(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    set_scope(at, CARRY, "test")
    one = follower(server, at, FETCHING, [])
    methods = (
        "get_funding_rate_history",
        "get_delivery_prices",
        "get_last_settlements_by_instrument",
        "get_funding_rate_value",
    )

    def calls_at(day: int, hour: int, minute: int) -> list[int]:
        clock.set(milliseconds(datetime(2024, day // 100, day % 100, hour, minute, 10, tzinfo=UTC)))
        server.forget_calls()
        one.round()
        return [server.calls_of(method) for method in methods]

    one.round()
    # An hour is asked for a minute after it, a day's settlements five minutes after 08:00, a
    # month's total an hour after its last.
    assert calls_at(405, 12, 1) == [1, 0, 0, 0]
    assert calls_at(405, 12, 2) == [0, 0, 0, 0]
    assert calls_at(405, 12, 59) == [0, 0, 0, 0]
    assert calls_at(406, 8, 4) == [1, 0, 0, 0]
    assert calls_at(406, 8, 5) == [0, 1, len(OPEN), 0]
    assert calls_at(406, 8, 6) == [0, 0, 0, 0]
    assert calls_at(501, 0, 1)[3] == calls_at(501, 1, 0)[3] == 0
    assert calls_at(501, 1, 1)[3] == 1
    assert calls_at(501, 1, 2) == [0, 0, 0, 0]
    assert not one.result.failed
    stored = stored_carry(at)
    for name, expected in carry_truth(UNIVERSE, clock()).items():
        assert_frame_equal(stored[name], expected, check_exact=True)


ODD = "BTC-5APR24"


@pytest.mark.parametrize("time", ["06:00", "08:30"])
def test_a_future_is_settled_and_delivered_at_whatever_hour_it_expires(at: Lake, time: str) -> None:
    start, expiry = NOW - timedelta(days=2), datetime.fromisoformat(f"2024-04-05T{time}Z")
    perpetual = listed_contract(3, "BTC", PERPETUAL, start, None)
    odd = listed_contract(3, "BTC", ODD, start, expiry)
    now = datetime(2024, 4, 4, 20, 0, 30, tzinfo=UTC)
    universe = make_universe(3, [perpetual, odd], milliseconds(start), milliseconds(now))
    set_scope(at, CARRY, "test")
    clock = Clock(universe.now_ms)
    with SimulatedExchange(universe, clock=clock) as server:
        one = follower(server, at, FETCHING, [])
        one.round()
        morning = datetime(2024, 4, 5, 8, 5, 10, tzinfo=UTC)
        soon = expiry + timedelta(minutes=5, seconds=10)
        for moment in sorted({morning, soon, morning + timedelta(days=1)}):
            clock.set(milliseconds(moment))
            one.round()
            if moment == soon:
                # It is stored soon after the expiry.
                assert _delivered(at) == expiry
        assert not one.result.failed
    truth = MarketCarry(universe)
    rows = truth.settlements(ODD, clock())
    stored = at.read(RAW_SETTLEMENTS).filter(instrument=ODD).sort("settled_at", descending=True)
    assert stored["settled_at"].dt.epoch("ms").to_list() == [row["timestamp"] for row in rows]
    assert stored["index_price"].to_list() == [row["index_price"] for row in rows]
    assert stored["type"][0] == "delivery"
    days = at.read(RAW_DELIVERIES).filter(pl.col("delivered_at").dt.date() == expiry.date())
    assert days["delivery_price"].to_list() == [rows[0]["index_price"]]
    covered = at.read(COVERAGE).filter(pl.col("instrument").is_in([ODD, "btc_usd"]))
    assert covered.select("dataset", "status", "end").sort("dataset").rows() == [
        ("deliveries", "present", DAYS.floor(morning + timedelta(days=1))),
        ("settlements", "present", DAYS.ceil(expiry)),
    ]


def _delivered(at: Lake) -> datetime:
    """The second in which the future was delivered."""
    rows = at.read(RAW_SETTLEMENTS).filter(instrument=ODD, type="delivery")
    settled_at: datetime = rows["settled_at"].item()
    return settled_at.replace(microsecond=0)


def test_what_another_run_works_on_is_left_to_it_and_taken_up_afterwards(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    said: list[str] = []
    one = follower(server, at, FETCHING, said)
    other = SubjectLocks(at.machine_folder / "claims")
    assert other.take(candles_of(PERPETUAL))
    clock.advance(one.round())
    assert "1 left to another run" in said[-1]
    assert not one.result.failed
    assert set(rows(at, "raw_candles")["instrument"]) == set(UNIVERSE.contracts) - {PERPETUAL}
    other.release_all()
    one.round()
    assert rows(at, "raw_candles").equals(truths(UNIVERSE, clock()))


@pytest.mark.slow
def test_a_minute_that_one_round_lacked_is_asked_once_more_by_the_next_and_then_not_again(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    hurt = int((NOW - timedelta(hours=5)).replace(second=0).timestamp() * 1000)
    gap = Changed(changes.drop_minutes(hurt))
    server.faults.add(CHART, None, gap, instrument=PERPETUAL, minute_ms=hurt)
    one = follower(server, at, FETCHING, [])
    asked = []
    for number in range(5):
        if number == 3:
            # As after a kill: another process knows only what the lake holds.
            one = follower(server, at, FETCHING, [])
        server.forget_calls()
        clock.advance(one.round())
        calls = (c for c in server.calls if (c.method, c.instrument) == (CHART, PERPETUAL))
        asked.append(sum(call.holds(hurt) for call in calls))
    # The first round asks twice, as it believes no single answer.
    assert asked == [2, 1, 0, 0, 0]
    ((name, start, end),) = coverage(at, status="missing")
    assert (name, start.timestamp() * 1000, end - start) == (PERPETUAL, hurt, MINUTE)


@pytest.mark.slow
def test_an_instrument_that_is_refused_is_told_once_and_asked_less_and_less(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    said: list[str] = []
    one = follower(server, at, FETCHING, said)
    clock.advance(one.round())
    server.forget_calls()
    server.faults.add(CHART, None, rpc_error(13020, "not_found"), instrument=PERPETUAL)
    for _ in range(20):
        clock.advance(one.round())
    asked = [c for c in server.calls if (c.method, c.instrument) == (CHART, PERPETUAL)]
    assert 4 <= len(asked) <= 6
    assert sum("Failed: " in line for line in said) <= 5
    assert not any("Waiting" in line for line in said)
    assert one.result.lag
    assert one.result.lag.instrument == PERPETUAL
    assert (one.result.lag.instrument_seconds or 0) > 20 * 60
    server.faults.clear()
    clock.advance(3600)
    one.round()
    assert rows(at, "raw_candles").equals(truths(UNIVERSE, clock()))
    assert not coverage(at, status="failed")


@pytest.mark.slow
def test_waits_grow_while_the_exchange_is_away_and_the_lag_with_them(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    said: list[str] = []
    one = follower(server, at, FETCHING, said)
    clock.advance(one.round())
    server.faults.add("get_time", None, server_error())
    waits = []
    for _ in range(9):
        waits.append(one.round())
        one.wait(waits[-1])
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]

    def is_shown() -> bool:
        # The record is renewed at most once a second of this machine's.
        one.wait(2)
        shown = basislake(None, "status", "--lake", at.uri).out
        return "waiting for the exchange or the lake; lag 0:2" in shown

    wait_until(None, is_shown)
    server.faults.clear()
    one.round()
    text = [line for line in said if line.startswith(("Waiting: ", "Resumed after "))]
    assert len(text) == 2
    assert text[0].startswith("Waiting: ")
    assert rows(at, "raw_candles").equals(truths(UNIVERSE, clock()))


@pytest.mark.slow
def test_a_build_or_load_that_fails_is_told_once_and_fetching_goes_on(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    tries: list[int] = []
    said: list[str] = []

    def build() -> None:
        tries.append(len(tries))
        if len(tries) < 4:
            raise LoadError("The database is away.")

    one = follower(server, at, Schedule(build_every=timedelta(minutes=2)), said, build=build)
    for _ in range(10):
        clock.advance(one.round())
    assert len(tries) == 5
    assert one.result.builds == 2
    assert said.count("Build or load failed: The database is away. Fetching continues.") == 1
    assert rows(at, "raw_candles").equals(truths(UNIVERSE, clock() - 60_000))


@pytest.mark.slow
def test_a_lake_that_cannot_be_written_is_waited_for(
    server: SimulatedExchange, at: Lake, clock: Clock
) -> None:
    said: list[str] = []
    one = follower(server, at, FETCHING, said)
    clock.advance(one.round())
    claims = at.machine_folder / "claims"
    aside = claims.with_name("aside")
    claims.rename(aside)
    claims.write_text("no folder")
    clock.advance(one.round())
    clock.advance(one.round())
    assert sum("cannot be locked" in line for line in said) == 1
    claims.unlink()
    clock.advance(60)
    one.round()
    assert "Resumed after" in said[-1] or "Resumed after" in said[-2]
    assert rows(at, "raw_candles").equals(truths(UNIVERSE, clock()))


def test_a_setting_that_is_wrong_from_the_start_ends_it_and_later_makes_it_wait(
    server: SimulatedExchange, at: Lake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody answers there, but what is called so needs certificates.
    elsewhere, said = "https://127.0.0.1:1", list[str]()
    one = follower(server, at, FETCHING, said, history_url=elsewhere)
    with monkeypatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", "/absent.pem")
        with pytest.raises(UsageError, match="REQUESTS_CA_BUNDLE"):
            one.round()
    clock.advance(one.round())
    with monkeypatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", "/absent.pem")
        assert one.round() == 5
    assert said[-1].startswith("Waiting: REQUESTS_CA_BUNDLE is not a file of certificates: ")
    one.round()
    assert said[-1].startswith("Resumed after ")
    assert one.result.outages == 1
