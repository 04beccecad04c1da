"""What `status` shows for each coin, and which next step it suggests."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from basislake.status.holdings import holdings
from basislake.status.next_steps import next_steps
from basislake.status.overview import coins, committed_at
from ingest.plan.selection import Selection
from lake.tables import BASIS, COVERAGE
from tests.lakes import LISTED_AT, instrument, interval, lake_of
from tests.market import basislake

EQUAL = {"futures_ohlcv": {"equal": True, "behind": 0}}
HOUR = timedelta(hours=1)
NAMES = ("BTC-A", "BTC-B", "BTC-PERPETUAL")


def status(*states: str, is_open: bool = True, **others: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """A finished lake, unless said otherwise; `states` of two futures and a perpetual."""
    rows = [
        {"instrument": name, "kind": kind, "state": state, "is_open": is_open}
        for name, kind, state in zip(
            NAMES, ("future", "future", "perpetual"), states or ("complete",) * 3, strict=True
        )
    ]
    found = {
        "tables": {"builds": {"rows": 0}},
        "scope": {"is_everything": True},
        "scope_problem": None,
        "instruments": {"known": 3, "not_begun": states.count("not_begun")},
        "minutes": {"failed": 7},
        "to_fetch": {"calls": 2, "candles": 9_000, "all_calls": 2},
        "datasets": {},
        "standings": rows,
        "failed": [],
        "running": [],
        "behind": [],
        "database": EQUAL,
        "database_error": None,
    }
    return found | others


BACKFILL = ("backfill", "fetches at most 9,000 candles in 2 calls")


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (status(), []),
        (status("current", "complete", "current"), []),
        (status("not_begun", "not_begun", "not_begun"), [BACKFILL]),
        # Who asked for one future may want no other.
        (
            status("complete", "not_begun", "begun"),
            [
                BACKFILL,
                ("scope --instruments BTC-A", "limits the lake's scope to these instruments"),
            ],
        ),
        (status("complete", "not_begun", "begun", scope={"is_everything": False}), [BACKFILL]),
        # Open instruments that a run has left behind.
        (
            status("begun", "complete", "begun", tables={"builds": {"rows": 1}}),
            [("run", "fetches at most 9,000 candles in 2 calls")],
        ),
        (
            status("begun", "complete", "begun", tables={"builds": {"rows": 1}}, is_open=False),
            [BACKFILL],
        ),
        (
            status("begun", "complete", "begun", failed=["BTC-A", "BTC-PERPETUAL"]),
            [
                (
                    "backfill --instruments BTC-A,BTC-PERPETUAL",
                    "asks again for 7 minutes without an answer",
                )
            ],
        ),
        (
            status("begun", "not_begun", "complete", failed=["BTC-A"], scope={"is_everything": 0}),
            [
                ("backfill --instruments BTC-A", "asks again for 7 minutes without an answer"),
                BACKFILL,
            ],
        ),
        (status("begun", "begun", "begun", running=[{"state": "running"}]), []),
        (status("begun", "begun", "begun", running=[{"state": "stuck"}]), []),
    ],
)
def test_what_to_fetch_next_follows_from_what_is_in_scope(
    found: Mapping[str, Any], steps: list[tuple[str, str]]
) -> None:
    assert list(next_steps(found)) == steps


@pytest.mark.parametrize(
    ("found", "verbs"),
    [
        (status(behind=["basis"], database=None), ["build", "load"]),
        (status(database={"a": {"equal": False, "behind": 2}}), ["load"]),
        # A load would send nothing.
        (status(database={"a": {"equal": False, "behind": 0}}), ["load --verify"]),
        (status(behind=["basis"], database=None, database_error="away"), ["build"]),
        # A lake with instruments alone has nothing for a database.
        (status(database=None), []),
        (status(instruments={"known": 0}), ["instruments"]),
        (status(scope_problem="no such instrument"), ["scope --all"]),
    ],
)
def test_the_next_steps_follow_from_what_there_is(
    found: Mapping[str, Any], verbs: list[str]
) -> None:
    assert [verb for verb, _ in next_steps(found)] == verbs


def test_a_coin_has_its_minutes_by_status_and_its_newest_candle(tmp_path: Path) -> None:
    lake = lake_of(
        tmp_path,
        instruments=[
            instrument("BTC-PERPETUAL"),
            instrument("BTC-28FEB20", LISTED_AT + 99 * HOUR),
            instrument("ETH-28FEB20", LISTED_AT + 99 * HOUR),
        ],
        coverage=[
            interval("BTC-28FEB20", LISTED_AT, LISTED_AT + HOUR, "no_data"),
            interval("BTC-28FEB20", LISTED_AT + HOUR, LISTED_AT + 3 * HOUR, "present"),
            interval("BTC-28FEB20", LISTED_AT + 3 * HOUR, LISTED_AT + 4 * HOUR, "failed"),
        ],
    )
    newest = LISTED_AT + 3 * HOUR - timedelta(minutes=1)
    of_btc = {"no_data": 60, "present": 120, "failed": 60}
    held = holdings(lake, Selection(), LISTED_AT + 5 * HOUR)
    found = [
        (c["coin"], c["kind"], c["instruments"], c["with_candles"], c["coverage"], c["newest_ts"])
        for c in coins(held)
    ]
    assert found == [
        ("BTC", "future", 1, 1, of_btc, newest),
        ("BTC", "perpetual", 1, 0, {}, None),
        ("ETH", "future", 1, 0, {}, None),
    ]
    assert committed_at(lake.snapshot(BASIS)) is None
    assert committed_at(lake.snapshot(COVERAGE)) is not None
    text = basislake(None, "status", "--lake", tmp_path, "--json").json
    assert text["coins"][0]["coverage"] == of_btc
    shown = basislake(None, "status", "--lake", tmp_path).out
    assert f"basislake backfill --lake {tmp_path}" in shown
