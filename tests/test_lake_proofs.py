"""The proofs of funding and deliveries: sound data is proved, and each fault is named alone."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from lake import Lake
from tests.carrying import (
    DAY,
    HOUR,
    OTHER,
    PERPETUAL,
    SINCE,
    deliveries,
    funding,
    settlement,
    totals,
)
from tests.lakes import Row, instrument, interval, lake_of

HOURS = [*funding(), *funding(OTHER, since=SINCE + 5 * HOUR)]
# The record of the last says that it is still traded.
FUTURES = ("BTC-31JAN20", "ETH-31JAN20", "BTC-7FEB20", "BTC-27MAR20")
DAYS = 62
Rows = dict[str, list[Row]]


def expiry(name: str) -> datetime:
    return datetime.strptime(name.partition("-")[2], "%d%b%y").replace(hour=8, tzinfo=UTC)


def price(name: str) -> float:
    return 9000.25 + (expiry(name).date() - SINCE.date()).days


def sound() -> Rows:
    """The curated rows of two perpetuals, of futures that expired, and of one that is traded."""
    records = [{**instrument(n, expiry(n)), "active": n == FUTURES[-1]} for n in FUTURES]
    records.append({**instrument("BTC-25DEC20", expiry("BTC-25DEC20")), "active": True})
    delivered = [settlement(n, expiry(n), price(n), type="delivery") for n in FUTURES]
    return {
        "instruments": [*records, instrument(PERPETUAL), instrument(OTHER)],
        "funding": list(HOURS),
        "funding_totals": totals(HOURS),
        "deliveries": [d for i in ("btc_usd", "eth_usd") for d in deliveries(i, SINCE, DAYS)],
        "settlements": [*delivered, settlement(FUTURES[0], SINCE, 9000.0)],
    }


def found(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """What the proofs name."""
    return {
        "funding": lake.sql(
            "SELECT instrument, month, hours, expected_hours, reason FROM funding_proof "
            "WHERE NOT proved"
        ).rows(),
        "chain": lake.sql("FROM index_chain").rows(),
        "delivery": lake.sql(
            "SELECT instrument, expires_at, reason FROM delivery_proof WHERE NOT proved"
        ).rows(),
    }


FEBRUARY, MARCH = date(2020, 2, 1), date(2020, 3, 1)


def test_what_is_sound_is_proved_to_the_last_digit(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, **sound())
    assert found(lake) == {"funding": [], "chain": [], "delivery": []}
    proof = lake.sql("SELECT * EXCLUDE (sum_interest_1h) FROM funding_proof").rows()
    months = {(name, month): rest for name, month, *rest in proof}
    known = {(row["instrument"], row["month"]): row["total"] for row in totals(HOURS)}
    assert set(months) == set(known)
    assert months[PERPETUAL, date(2020, 1, 1)][:2] == [39, 39]
    assert months[OTHER, date(2020, 1, 1)][:2] == [34, 34]
    assert months[OTHER, FEBRUARY][:2] == [29 * 24] * 2
    for key, (*_, total, difference, is_proved, rejected, unlisted, reason) in months.items():
        assert (total, is_proved, reason) == (known[key], True, None)
        assert (rejected, unlisted) == (0, 0)
        assert difference == pytest.approx(0, abs=1e-15)
    delivered = lake.sql("FROM delivery_proof").rows()
    assert delivered == [
        (name, expiry(name), price(name), price(name), 0.0, True, None)
        for name in sorted(FUTURES, key=lambda name: (expiry(name), name))
    ]


def test_hours_that_are_due_before_the_first_that_is_stored_are_not_proved(
    tmp_path: Path,
) -> None:
    rows, march = sound(), datetime(2020, 3, 1, tzinfo=UTC)
    others = [row["hour_end"] for row in HOURS if row["instrument"] == OTHER]
    early, since = [end for end in others if end <= march], others[0] - HOUR
    rows["funding"] = [r for r in HOURS if r["instrument"] != OTHER or r["hour_end"] not in early]
    rows["funding_totals"].append({"instrument": OTHER, "month": date(2019, 12, 1), "total": 0.1})
    due = {**interval(OTHER, since, march, "failed"), "dataset": "funding"}
    before = {**interval(OTHER, since - 99 * HOUR, since, "no_data"), "dataset": "funding"}
    lake = lake_of(tmp_path, coverage=[before, due], **rows)
    assert found(lake)["funding"] == [
        (OTHER, date(2020, 1, 1), 0, 34, "some hours are not fetched yet"),
        (OTHER, FEBRUARY, 0, 29 * 24, "some hours are not fetched yet"),
    ]  # fmt: skip


class Faults:
    """Rows of which some are changed, each once."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def change(self, table: str, *key: Any, **cells: Any) -> None:  # noqa: ANN401
        own = self._take(table, *key)
        self.rows[table].append({**own, **cells})

    def drop(self, table: str, *key: Any) -> None:  # noqa: ANN401
        self._take(table, *key)

    def _take(self, table: str, *key: Any) -> Row:  # noqa: ANN401
        is_own: Callable[[Row], bool] = lambda row: tuple(row.values())[: len(key)] == key  # noqa: E731
        (own,) = filter(is_own, self.rows[table])
        self.rows[table].remove(own)
        return own


def test_each_fault_is_found_and_nothing_else_is_named(tmp_path: Path) -> None:
    faults = Faults(sound())
    late = SINCE + 40 * DAY
    known = {(row["instrument"], row["month"]): row["total"] for row in totals(HOURS)}
    faults.change("funding_totals", PERPETUAL, FEBRUARY, total=known[PERPETUAL, FEBRUARY] + 2e-6)
    # So near that it is taken for another way of adding up.
    faults.change("funding_totals", OTHER, FEBRUARY, total=known[OTHER, FEBRUARY] + 5e-7)
    faults.drop("funding_totals", PERPETUAL, MARCH)
    faults.drop("funding", OTHER, late)
    faults.change("funding", PERPETUAL, late, prev_index_price=1.5)
    early, eth, week, last = FUTURES
    faults.drop("deliveries", "eth_usd", expiry(eth))
    faults.drop("settlements", week)
    faults.change("deliveries", "btc_usd", expiry(last), delivery_price=price(last) + 0.25)
    unknown = settlement("BTC-14FEB20", expiry("BTC-14FEB20"), 9015.25, type="delivery")
    faults.rows["settlements"].append(unknown)
    faults.rows["instruments"].append(instrument("BTC-31DEC19", expiry("BTC-31DEC19")))
    lake = lake_of(tmp_path, **faults.rows)
    before = next(
        row["index_price"]
        for row in HOURS
        if (row["instrument"], row["hour_end"]) == (PERPETUAL, late - HOUR)
    )
    assert found(lake) == {
        "funding": [
            (PERPETUAL, FEBRUARY, 696, 696, "the two sums differ"),
            (PERPETUAL, MARCH, 744, 744, "the total is not fetched yet"),
            (OTHER, MARCH, 743, 744, "some hours are not fetched yet"),
        ],
        "chain": [(PERPETUAL, late, 1.5, before)],
        "delivery": [
            ("BTC-14FEB20", None, "delivered, and not in instruments"),
            (
                "BTC-31DEC19",
                expiry("BTC-31DEC19"),
                "the delivery is not fetched yet; the delivery price is not fetched yet",
            ),
            (eth, expiry(eth), "the delivery price is not fetched yet"),
            (week, expiry(week), "the delivery is not fetched yet"),
            (last, expiry(last), "the two prices differ"),
        ],
    }
    assert early not in {name for name, *_ in found(lake)["delivery"]}


def rejected(dataset: str, name: str, ts: datetime, *rules: str, **cells: Any) -> Row:  # noqa: ANN401
    return {
        "dataset": dataset,
        "instrument": name,
        "ts": ts,
        "rules": list(rules or ["null_value"]),
        "row": json.dumps(cells),
    }


def unlisted(dataset: str, name: str, start: datetime, end: datetime, status: str) -> Row:
    return {**interval(name, start, end, status), "dataset": dataset}


def test_a_proof_names_a_row_that_was_rejected_and_one_that_the_exchange_does_not_list(
    tmp_path: Path,
) -> None:
    faults, late = Faults(sound()), SINCE + 40 * DAY
    february = datetime(2020, 2, 1, tzinfo=UTC)
    _, eth, week, last = FUTURES
    # Of each dataset a row was rejected, and one is not listed.
    faults.drop("funding", PERPETUAL, late)
    faults.drop("funding", OTHER, late)
    faults.drop("funding", OTHER, late + HOUR)
    faults.drop("funding_totals", PERPETUAL, FEBRUARY)
    faults.drop("deliveries", "eth_usd", expiry(eth))
    faults.drop("settlements", eth)
    faults.drop("settlements", week)
    faults.drop("deliveries", "btc_usd", expiry(last))
    faults.drop("settlements", last)
    superseded = rejected("funding", PERPETUAL, late - DAY, "superseded")
    faults.rows["rejected"] = [
        superseded,
        rejected("funding", PERPETUAL, late),
        rejected("funding", OTHER, late),
        rejected("funding_totals", PERPETUAL, february),
        rejected("deliveries", "eth_usd", expiry(eth)),
        rejected("settlements", week, expiry(week) + DAY / 7, type="delivery"),
        rejected("settlements", eth, expiry(eth) - DAY, type="settlement"),
        # Its record says that it is still traded.
        rejected("settlements", last, expiry(last), type="delivery"),
    ]
    faults.rows["coverage"] = [
        unlisted("funding", OTHER, late, late + HOUR, "missing"),
        unlisted("settlements", eth, expiry(eth) - DAY, expiry(eth), "no_data"),
        unlisted("deliveries", "btc_usd", expiry(last) - DAY, expiry(last), "missing"),
        # Neither holds the day of an expiry.
        unlisted("settlements", week, expiry(week), expiry(week) + DAY, "missing"),
        unlisted("deliveries", "eth_usd", expiry(eth), expiry(eth) + DAY, "missing"),
    ]
    lake = lake_of(tmp_path, **faults.rows)
    of_hours = "SELECT rejected_hours, unlisted_hours FROM funding_proof WHERE NOT proved"
    assert lake.sql(of_hours).rows() == [(0, 0), (1, 0), (1, 1)]
    # The hour after the one that is absent has none before it.
    assert found(lake) == {
        "funding": [
            (PERPETUAL, FEBRUARY, 696, 696, "the total was rejected"),
            (PERPETUAL, MARCH, 743, 744, "some hours were rejected"),
            (
                OTHER, MARCH, 742, 744,
                "some hours were rejected; some hours are not listed by the exchange",
            ),
        ],
        "chain": [],
        "delivery": [
            (
                eth, expiry(eth),
                "the delivery is not listed by the exchange; the delivery price was rejected",
            ),
            (week, expiry(week), "the delivery was rejected"),
            (
                last, expiry(last),
                "the delivery was rejected; the delivery price is not listed by the exchange",
            ),
        ],
    }  # fmt: skip
