"""Funding, delivery prices and settlements in PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake import Lake
from lake.carry_tables import (
    DELIVERIES,
    FUNDING,
    RAW_DELIVERIES,
    RAW_FUNDING,
    RAW_SETTLEMENTS,
    SETTLEMENTS,
)
from lake.tables import WARNINGS
from load.preview import parity
from load.results import LoadResult
from tests.carry import time_of
from tests.carrying import (
    DAY,
    HOUR,
    OTHER,
    PERPETUAL,
    SINCE,
    deliveries,
    funding,
    receive,
    settlement,
)
from tests.lakes import Row, curate, instrument, record
from tests.loading import ODD, Target
from transforms.build import build

RECORDED = Path(__file__).parents[2] / "shared" / "recordings" / "carry"
NAMES = ("funding_rates", "delivery_prices", "settlements")


def hours(count: int = 8) -> list[Row]:
    """Hours of two perpetuals, of values that a detour over text would change."""
    rows = [row for name in (OTHER, PERPETUAL) for row in funding(name, count)]
    since = rows[0]["hour_end"]
    return [{**row, "interest_1h": ODD[(row["hour_end"] - since) // HOUR % 8]} for row in rows]


def days() -> list[Row]:
    """Settlements of two instruments, and a delivery at the moment of a settlement."""
    own = [settlement(name, SINCE + n * DAY, 9000.0) for name in (PERPETUAL, OTHER) for n in (0, 1)]
    return [*own, {**own[1], "type": "delivery", "index_price": 0.1 + 0.2}]


def filled(target: Target) -> None:
    curate(target.lake, FUNDING, hours())
    curate(
        target.lake, DELIVERIES, deliveries("eth_usd", SINCE, 3) + deliveries("btc_usd", SINCE, 2)
    )
    curate(target.lake, SETTLEMENTS, days())


def sent(result: LoadResult) -> dict[str, tuple[int, int, int]]:
    """Partitions sent, of these appended, and rows sent of each table of which any were."""
    counts = {n: (t.loaded, t.appended, t.rows) for n, t in result.tables.items()}
    return {name: count for name, count in counts.items() if count[0]}


def written(target: Target) -> set[tuple[object, ...]]:
    """Which transaction wrote each row of funding."""
    return set(target.query("SELECT instrument, timestamp, xmin::text FROM funding_rates"))


def test_a_load_brings_them_bit_for_bit_into_a_database_that_was_loaded_without(
    target: Target,
) -> None:
    target.load()
    target.execute(
        *(f"DROP TABLE {name}" for name in NAMES),
        "CREATE TABLE kept AS SELECT * FROM lake_loads",
    )
    filled(target)
    assert sent(target.load()) == {
        "funding_rates": (1, 0, 16), "delivery_prices": (1, 0, 5), "settlements": (1, 0, 5),
    }  # fmt: skip
    names = ("instrument", "hour_end", "index_price", "interest_1h", "interest_8h")
    wanted = {tuple(row[name] for name in names) for row in hours()}
    columns = "instrument, timestamp, index_price, interest_1h, interest_8h"
    assert set(target.query(f"SELECT {columns} FROM funding_rates")) == wanted
    paid = [rate for (rate,) in target.query("SELECT interest_1h FROM funding_rates")]
    assert sum(str(rate) == "-0.0" for rate in paid) == 2
    first = SINCE.date()
    assert target.query("SELECT * FROM delivery_prices ORDER BY index_name, date") == [
        ("btc_usd", first, 9000.25), ("btc_usd", first + timedelta(1), 9001.25),
        *(("eth_usd", first + timedelta(n), 9000.25 + n) for n in range(3)),
    ]  # fmt: skip
    columns = ", ".join(f'"{name}"' for name in SETTLEMENTS.names)
    got = target.query(f"SELECT {columns} FROM settlements")
    assert set(got) == {tuple(row.values()) for row in days()}
    ledger = "SELECT \"table\", partition, rows FROM {} WHERE partition <> 'all'"
    assert target.query(ledger.format("lake_loads")) == target.query(ledger.format("kept"))
    assert target.compare().equal
    held = {
        p.table: (p.lake_rows, p.database_rows)
        for p in parity(target.lake, target.uri, target.schema)
    }
    assert [held[name] for name in NAMES] == [(16, 16), (5, 5), (5, 5)]
    keys = target.query(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'p' AND conrelid::regclass::text = ANY($1) ORDER BY 1", list(NAMES),
    )  # fmt: skip
    assert dict(keys) == {
        "delivery_prices": "PRIMARY KEY (index_name, date)",
        "funding_rates": 'PRIMARY KEY (instrument, "timestamp")',
        "settlements": "PRIMARY KEY (instrument, settled_at, type)",
    }


def test_only_what_is_new_is_sent_and_other_rows_are_not_touched(target: Target) -> None:
    filled(target)
    target.load()
    assert sent(target.load()) == {}
    before = written(target)
    # The next hour of one perpetual.
    *_, newest = hours(9)
    curate(target.lake, FUNDING, [*hours(), newest])
    assert sent(target.load()) == {"funding_rates": (1, 1, 1)}
    assert before < written(target)
    # An hour before comes late, and the newest has another rate.
    late = funding("BTC-LATE", 1)
    curate(target.lake, FUNDING, [*hours(), *late, {**newest, "interest_8h": 0.25}])
    assert sent(target.load()) == {"funding_rates": (1, 0, 18)}
    assert before < written(target)
    sums = "SELECT count(*), max(interest_8h) FROM funding_rates"
    assert target.query(sums) == [(18, 0.25)]
    assert target.compare().equal
    # A cell that is not the lake's is found, and mended by a load of all.
    target.execute("UPDATE delivery_prices SET delivery_price = 1 WHERE index_name = 'btc_usd'")
    (wrong,) = target.compare().differences
    assert (wrong.table, wrong.partition, wrong.cells) == (
        "delivery_prices", "all", {"delivery_price": 2},
    )  # fmt: skip
    assert (wrong.first["date"], wrong.first["lake"]) == (
        date(2020, 1, 30), {"delivery_price": 9000.25},
    )  # fmt: skip
    target.load(full=True)
    assert target.compare().equal


def recorded(name: str) -> Any:  # noqa: ANN401
    (path,) = RECORDED.glob(f"{name}_2026-09-20.json")
    return json.loads(path.read_text())


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings in ../shared are not here")
def test_recorded_rows_are_built_proved_and_loaded_to_the_last_digit(
    target: Target, tmp_path: Path
) -> None:
    target.lake = lake = Lake(str(tmp_path / "recorded"))
    rates = ("index_price", "prev_index_price", "interest_1h", "interest_8h")
    hours = recorded("get_funding_rate_history_BTC-PERPETUAL")
    days = recorded("get_delivery_prices_btc_usd")["data"]
    settled = recorded("get_last_settlements_by_currency_BTC")["settlements"]
    cells = ("type", "position", "mark_price", "index_price")
    future, expiry = "BTC-20SEP26", datetime(2026, 9, 20, 8, tzinfo=UTC)
    record(lake, [instrument(future, expiry), instrument(PERPETUAL)])
    receive(
        lake,
        {
            RAW_FUNDING: [
                {"instrument": PERPETUAL, "hour_end": time_of(row["timestamp"])}
                | {name: row[name] for name in rates}
                for row in hours
            ],
            RAW_DELIVERIES: [
                {
                    "index_name": "btc_usd",
                    "delivered_at": datetime.fromisoformat(f"{row['date']}T08:00Z"),
                    "delivery_price": row["delivery_price"],
                }
                for row in days
            ],
            RAW_SETTLEMENTS: [
                {"instrument": row["instrument_name"], "settled_at": time_of(row["timestamp"])}
                | {name: row[name] for name in cells}
                for row in settled
                if row["type"] != "exercise"
            ],
        },
    )
    with ThreadPoolExecutor(1) as executor:
        assert build(lake, executor, "test").carry["rejected"] == 0
    assert lake.sql("SELECT fsum(interest_1h) FROM funding").item() == 2.160401415896643e-4
    assert lake.sql("FROM index_chain").is_empty()
    assert lake.read(WARNINGS).is_empty()
    assert lake.sql("FROM delivery_proof").rows() == [
        (future, expiry, 80321.21, 80321.21, 0.0, True, None)
    ]
    target.load()
    held = "SELECT timestamp, index_price, interest_1h, interest_8h FROM funding_rates"
    assert set(target.query(held)) == {
        (time_of(row["timestamp"]), *(row[n] for n in rates if n != "prev_index_price"))
        for row in hours
    }
    prices = "SELECT date::text, delivery_price FROM delivery_prices"
    assert set(target.query(prices)) == {(row["date"], row["delivery_price"]) for row in days}
    one = "SELECT type, position, index_price FROM settlements WHERE instrument = $1"
    assert target.query(one, future) == [("delivery", 31999610.0, 80321.21)]
