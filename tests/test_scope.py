"""The scope of a lake: what it should contain, and which commands follow it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from basislake import PROGRAM
from basislake.pipeline.retry_commands import retry_arguments
from basislake.report.evidence import evidence
from basislake.report.facts import gather
from basislake.simulator.fault_forms import server_error
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from basislake.status.health import health
from basislake.verbs.run import FRONTS_SQL
from ingest.plan.scope import described, outside, scope_of, set_scope, within
from ingest.plan.selection import Selection, select
from lake import TABLES, Lake
from lake import open as open_lake
from lake.backup.copy import copy
from lake.coverage import IS_CANDLES, Subject
from lake.errors import LakeError, UsageError
from lake.properties import scope as stored_scope
from lake.tables import INSTRUMENTS
from tests.lakes import LISTED_AT, copied, instrument, lake_of
from tests.market import NOW, basislake, fetch, status_of
from tests.reporting import MADE_AT

DAY = timedelta(days=1)
CHART = "get_tradingview_chart_data"
NAMES = ("BTC-PERPETUAL", "BTC-10JAN20", "ETH-10JAN20", "ETH-PERPETUAL", "ETH-31JAN20")


@pytest.fixture
def lake(market_lake: Lake, tmp_path: Path) -> Lake:
    """A copy of the market's lake, for one test."""
    return copied(market_lake, tmp_path)


@pytest.fixture
def known(tmp_path: Path) -> Lake:
    """A lake that knows some instruments and has no candle."""
    rows = [
        instrument(name, None if "PERP" in name else LISTED_AT + int(name[4:6]) * DAY)
        for name in NAMES
    ]
    return lake_of(tmp_path / "known", instruments=rows)


def scoped(lake: Lake, *flags: object) -> Any:  # noqa: ANN401  (JSON)
    done = basislake(None, "scope", "--lake", lake.uri, "--json", *flags)
    assert done.code == 0, done.err
    return done.json


def test_a_scope_is_set_shown_replaced_and_given_up(known: Lake) -> None:
    assert scoped(known)["scope"]["is_everything"]
    found = scoped(known, "--currency", "eth", "--since", "2020-01-15")
    assert (found["known"], found["in_scope"]) == (5, 2)
    assert found["instruments"] == ["ETH-31JAN20", "ETH-PERPETUAL"]
    assert scoped(known) == found
    assert scope_of(known) == select(["ETH"], since=datetime(2020, 1, 15, tzinfo=UTC))
    shown = basislake(None, "scope", "--lake", known.uri).out
    assert shown.startswith("Scope: ETH, since 2020-01-15.\nIn scope: 2 of 5 known instruments.")
    assert scoped(known, "--instruments", "BTC-10JAN20")["instruments"] == [
        "BTC-10JAN20", "BTC-PERPETUAL",
    ]  # fmt: skip
    assert scoped(known, "--all")["in_scope"] == 5
    assert scope_of(known) == Selection()


def test_a_scope_may_be_set_before_anything_is_known(tmp_path: Path) -> None:
    new = open_lake(str(tmp_path / "new"))
    assert basislake(None, "scope", "--lake", new.uri).code == 1
    scoped(new, "--instruments", "BTC-29MAR24")
    assert scope_of(open_lake(new.uri)).names == ("BTC-29MAR24",)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--instruments", "BTC-11JAN20"], "Did you mean BTC-10JAN20"),
        (["--currency", "SOL"], "no futures of 'SOL'"),
        (["--since", "2024-01-02", "--until", "2024-01-01"], "--since must be before --until"),
    ],
)
def test_what_cannot_be_held_is_no_scope(known: Lake, flags: list[str], message: str) -> None:
    done = basislake(None, "scope", "--lake", known.uri, *flags)
    assert (done.code, message in done.err) == (2, True)
    assert scope_of(known) == Selection()


def test_a_scope_of_a_newer_program_is_not_taken_for_everything(known: Lake) -> None:
    stored_scope.store(known, {"colour": ["red"]}, PROGRAM)
    with pytest.raises(LakeError, match="does not know colour"):
        scope_of(known)
    assert basislake(None, "status", "--lake", known.uri).code == 1
    assert scoped(known, "--all")["scope"]["is_everything"]


def test_a_copy_of_a_lake_has_its_scope(known: Lake, tmp_path: Path) -> None:
    target = open_lake(str(tmp_path / "copy"))
    for scope in (select(["ETH"]), Selection()):
        set_scope(known, scope, PROGRAM)
        copy(known, target, PROGRAM, 1)
        assert scope_of(open_lake(target.uri)) == scope


def day(number: int) -> datetime:
    return LISTED_AT + number * DAY


@pytest.mark.parametrize(
    ("given", "scope", "result"),
    [
        (Selection(), select(["ETH"], since=day(1)), select(["ETH"], since=day(1))),
        (select(["BTC"]), select(names=["ETH-X"], since=day(1)), select(["BTC"], since=day(1))),
        (select(names=["BTC-X"]), select(["ETH"]), select(names=["BTC-X"])),
        (select(since=day(2)), select(["ETH"], since=day(1), until=day(9)),
         select(["ETH"], since=day(2), until=day(9))),
        (Selection(is_all=True), select(["ETH"], since=day(1)), Selection(is_all=True)),
    ],
)  # fmt: skip
def test_a_flag_replaces_its_part_of_the_scope(
    given: Selection, scope: Selection, result: Selection
) -> None:
    assert within(given, scope) == result


def test_flags_that_leave_no_minute_of_the_scope_are_wrong_usage() -> None:
    with pytest.raises(
        UsageError, match="The scope of the lake, until 2020-01-02, leaves no minute"
    ):
        within(select(since=day(3)), select(until=day(1)))


def test_what_is_out_of_scope_has_a_reason(known: Lake) -> None:
    rows = known.read(INSTRUMENTS)
    scope = select(["ETH"], since=day(15))
    assert outside(rows, scope) == {
        "BTC-10JAN20": "the scope is ETH, since 2020-01-16",
        "BTC-PERPETUAL": "the scope is ETH, since 2020-01-16",
        "ETH-10JAN20": "expired before the scope's start, 2020-01-16",
    }
    # A name that nobody knows yet puts nothing else out of scope, and nothing into it.
    assert set(outside(rows, select(names=["BTC-10JAN20", "BTC-99JAN20"]))) == set(NAMES[2:])
    assert set(outside(rows, select(names=["BTC-99JAN20"]))) == set(NAMES)
    assert described(select(names=["A", "B", "C", "D"])) == "A, B, C and 1 more, and perpetuals"


def plans(server: SimulatedExchange, lake: Lake, *flags: object) -> dict[str, Any]:
    done = basislake(server, "plan", "--lake", lake.uri, "--json", *flags)
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def test_status_and_plan_say_the_same_of_the_scope(
    server: SimulatedExchange, universe: Universe, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    assert basislake(server, "instruments", "--lake", lake.uri).code == 0
    everything = plans(server, lake)
    expired = next(name for name, c in universe.contracts.items() if c.is_expired(universe.now_ms))
    for flags in ([], ["--currency", "ETH"], ["--instruments", expired], ["--since", "2024-04-01"]):
        scoped(lake, *(flags or ["--all"]))
        planned, message = plans(server, lake), status_of(lake)
        assert message["to_fetch"] == {key: planned[key] for key in message["to_fetch"]}
        assert message["to_fetch"]["candles"] > 0
        assert message["instruments"]["not_begun"] == message["instruments"]["in_scope"]
        assert planned == plans(server, lake, *flags)
        assert plans(server, lake, "--all")["candles"] == everything["candles"]
    # What was fetched of it counts at once, and the rest is not asked for by name only.
    scoped(lake, "--instruments", expired)
    assert basislake(server, "backfill", "--lake", lake.uri).code == 0
    message = status_of(lake)
    assert (message["instruments"]["complete"], message["instruments"]["in_scope"]) == (2, 2)
    assert message["minutes"]["present"] == message["minutes"]["due"] > 0
    assert (message["to_fetch"]["calls"], message["minutes"]["to_fetch"]) == (0, 0)
    scoped(lake, "--all")
    message = status_of(lake)
    assert message["to_fetch"]["candles"] == plans(server, lake)["candles"] > 0
    assert message["minutes"]["due"] > 2 * message["minutes"]["present"]
    assert message["instruments"]["complete"] == 1
    assert [step["verb"] for step in message["next"]][:2] == [
        "backfill", f"scope --instruments {expired}",
    ]  # fmt: skip


def test_a_backfill_keeps_to_the_scope_and_names_what_failed(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    scoped(lake, "--currency", "ETH", "--since", "2024-04-03")
    server.faults.add(CHART, None, server_error(), instrument="ETH-5APR24")
    done = basislake(server, "backfill", "--lake", lake.uri, "--retries", "0")
    assert done.code == 1
    command = f"basislake backfill --instruments ETH-5APR24 --lake {lake.uri}"
    assert f" INFO {command}\n" in done.err.partition("To ask again for just what failed:\n")[2]
    asked = lake.read(TABLES["asks"])
    assert set(asked["instrument"].str.slice(0, 3).str.to_uppercase()) == {"ETH"}
    assert set(asked["dataset"]) >= {"candles", "funding", "deliveries", "settlements"}
    asked = asked.filter(IS_CANDLES)
    assert asked["start"].min() == datetime(2024, 4, 3, tzinfo=UTC)
    shown = basislake(None, "status", "--lake", lake.uri)
    assert (shown.code, shown.out.count(command)) == (1, 2)
    assert status_of(lake)["failed"] == ["ETH-5APR24"]
    assert status_of(lake)["retry"] == command
    server.faults.clear()
    _, *arguments = command.split()
    assert basislake(server, *arguments).code == 0
    assert status_of(lake)["failed"] == []
    # Out of scope nothing has failed.
    scoped(lake, "--all")


@pytest.mark.parametrize(
    ("given", "scope", "commands"),
    [
        (
            Selection(),
            Selection(),
            [
                "backfill --instruments BTC-A,ETH-A",
                "backfill --instruments BTC-B,ETH-PERPETUAL --data funding,settlements",
                "backfill --currency ETH --data deliveries",
            ],
        ),
        (
            Selection(("ETH",), since=datetime(2024, 4, 3, tzinfo=UTC), data=("candles",)),
            Selection(),
            ["backfill --instruments BTC-A,ETH-A --since 2024-04-03 --data candles"],
        ),
        # Only for the lives of the futures is a perpetual wanted.
        (Selection(names=("ETH-A",)), Selection(), ["backfill --instruments ETH-A"]),
        (Selection(), Selection(names=("ETH-A",)), ["backfill"]),
        (Selection(is_all=True), Selection(names=("ETH-A",)), ["backfill --all"]),
    ],
)
def test_what_failed_is_asked_for_again_and_nothing_else(
    given: Selection, scope: Selection, commands: list[str]
) -> None:
    failed = [
        Subject("candles", "BTC-A"),
        Subject("candles", "ETH-A"),
        Subject("funding", "ETH-A"),
        Subject("settlements", "BTC-B"),
        Subject("funding", "ETH-PERPETUAL"),
        Subject("deliveries", "eth_usd"),
    ]
    if given.data:
        failed = failed[:2]
    assert retry_arguments(failed, given, scope) == commands


@pytest.mark.slow
def test_acceptance_is_judged_within_the_scope(server: SimulatedExchange, tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    march = select(["ETH"], since=NOW - 3 * DAY)
    fetch(server, lake, march)
    verdicts = {}
    for name, scope in (("march", march), ("everything", Selection())):
        set_scope(lake, scope, PROGRAM)
        still = lake.state()
        facts = gather(still, MADE_AT, None, 1)
        found = evidence(still, facts, tmp_path / name)
        first = found.criteria[0]
        verdicts[name] = first.passed
        assert f"within the scope ({described(scope)})" in first.figure
        text = (tmp_path / name / "acceptance.txt").read_text()
        assert f"\nScope: {described(scope)}\n" in text
        of = facts.first("summary")
        assert (of["covered_pct"] == 100) == (name == "march")
    assert verdicts == {"march": True, "everything": False}


def test_health_judges_what_is_in_scope(lake: Lake) -> None:
    late = datetime.now(UTC) + 100 * DAY
    assert {problem[21:24] for problem in health(lake, late, DAY).problems} == {"BTC", "ETH"}
    set_scope(lake, select(["ETH"]), PROGRAM)
    found = health(lake, late, DAY)
    assert {problem[21:24] for problem in found.problems} == {"ETH"}
    assert found.scope == "ETH"
    # A scope that has ended brings no more minutes.
    set_scope(lake, select(["ETH"], until=NOW - DAY), PROGRAM)
    assert health(lake, late, DAY).problems == []
    done = basislake(None, "health", "--lake", lake.uri)
    assert done.out.splitlines()[-1].startswith("Healthy: nothing failed")
    assert done.out.splitlines()[-1].endswith("(scope: ETH, until 2024-04-04T12:00:30+00:00).")


def test_what_is_left_out_is_named_with_the_reason(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    scoped(lake, "--currency", "BTC")
    done = basislake(server, "instruments", "--left-out", "--lake", lake.uri, "--json").json
    records = done["left_out_records"]
    assert sum(done["left_out"].values()) == len(records) > 0
    assert len({record["instrument"] for record in records}) == len(records)
    assert {"instrument", "reason"} == set(records[0])
    assert {row["instrument"][:3] for row in done["out_of_scope"]} == {"ETH"}
    shown = basislake(server, "instruments", "--left-out", "--lake", lake.uri).out
    assert all(row["instrument"] in shown for row in [*records, *done["out_of_scope"]])
    ends = [row["expires_at"] or "" for row in done["instruments"]]
    assert ends == sorted(ends)


def test_the_list_of_instruments_is_of_all_stored_ones_with_all_or_without(known: Lake) -> None:
    scoped(known, "--currency", "ETH")
    at = ("instruments", "--offline", "--lake", known.uri, "--json")
    found = basislake(None, *at).json
    assert {row["instrument"] for row in found["instruments"]} == set(NAMES)
    assert basislake(None, *at, "--all").json == found


def test_the_front_quarterlies_are_the_newest_rows_of_basis(market_lake: Lake) -> None:
    found = market_lake.sql(FRONTS_SQL).to_dicts()
    for front in found:
        rows = market_lake.sql(
            "FROM basis JOIN instruments USING (instrument) "
            f"WHERE base = '{front['coin']}' AND strftime(expires_at, '%m-%d') = '06-28' "
            "ORDER BY ts"
        )
        newest = rows.row(-1, named=True)
        assert front.items() - {("coin", newest["base"])} <= newest.items()
    assert [front["coin"] for front in found] == ["BTC", "ETH"]
