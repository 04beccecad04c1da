"""What `status` says of each coin, and what it says to do next."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from basislake.overview import coins, committed_at, next_steps
from lake.tables import BASIS, COVERAGE
from tests.lakes import LISTED_AT, instrument, interval, lake_of
from tests.market import basislake

NOW = datetime(2024, 4, 5, 12, tzinfo=UTC)
EQUAL = {"futures_ohlcv": {"equal": True, "behind": 0}}
HOUR = timedelta(hours=1)


def status(at: datetime = NOW, newest: datetime = NOW, **others: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """A finished lake, unless said otherwise."""
    found = {
        "tables": {"raw_candles": {"committed_at": at}},
        "coins": [{"newest_ts": newest}, {"newest_ts": None}],
        "coverage": {"present": 5},
        "running": [],
        "behind": [],
        "database": EQUAL,
        "database_error": None,
    }
    return found | others


@pytest.mark.parametrize(
    ("found", "verbs"),
    [
        (status(), []),
        (status(coverage={}), ["backfill"]),
        (status(coverage={"present": 1, "failed": 2, "never_asked": 3}), ["backfill"]),
        (status(coverage={"present": 1, "never_asked": 3}), ["backfill"]),
        (status(coverage={"present": 1, "missing": 3, "no_data": 4}), []),
        (status(coverage={"failed": 1}, running=[{}]), []),
        (status(behind=["basis"], database=None), ["build", "load"]),
        (status(database={"a": {"equal": False, "behind": 2}}), ["load"]),
        # A load would send nothing.
        (status(database={"a": {"equal": False, "behind": 0}}), ["load --verify"]),
        (status(behind=["basis"], database=None, database_error="away"), ["build"]),
        (status(at=NOW - 25 * HOUR, newest=NOW - 26 * HOUR), ["run"]),
        # A market that was over when it was fetched, or a simulated one: nothing more will come.
        (status(at=NOW - 25 * HOUR, newest=NOW - 999 * HOUR), []),
        (status(at=NOW - 23 * HOUR, newest=NOW - 23 * HOUR), []),
    ],
)
def test_the_next_steps_follow_from_what_there_is(
    found: Mapping[str, Any], verbs: list[str]
) -> None:
    assert [verb for verb, _ in next_steps(found, NOW)] == verbs


def test_a_coin_has_its_minutes_by_status_and_its_newest_candle(tmp_path: Path) -> None:
    where = lake_of(
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
    assert [tuple(row.values()) for row in coins(where)] == [
        ("BTC", "future", 1, 1, of_btc, newest),
        ("BTC", "perpetual", 1, 0, {}, None),
        ("ETH", "future", 1, 0, {}, None),
    ]
    assert committed_at(where.snapshot(BASIS)) is None
    assert committed_at(where.snapshot(COVERAGE)) is not None
    told = basislake(None, "status", "--lake", tmp_path, "--json").json
    assert [step["verb"] for step in told["next"]] == ["backfill", "load"]
    assert told["coins"][0]["coverage"] == of_btc
    shown = basislake(None, "status", "--lake", tmp_path).out
    assert f"basislake backfill --lake {tmp_path}" in shown
