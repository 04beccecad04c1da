"""Builds of funding, its totals, delivery prices and settlements."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest

from lake import Lake
from lake.carry_tables import (
    CARRY,
    DELIVERIES,
    FUNDING,
    RAW_CARRY,
    RAW_DELIVERIES,
    RAW_FUNDING,
    RAW_FUNDING_TOTALS,
    RAW_SETTLEMENTS,
    REJECTED,
    SETTLEMENTS,
)
from lake.errors import LakeError
from lake.history.as_of import past
from lake.maintenance.maintain import maintain
from lake.state import BUILD
from lake.table import Table
from lake.tables import BUILDS, WARNINGS
from tests.carrying import (
    DAY,
    HOUR,
    PERPETUAL,
    SINCE,
    contents,
    deliveries,
    everything,
    funding,
    receive,
    settlement,
)
from tests.lakes import LINEAGE, Killed, Row
from transforms import build as builds
from transforms.build import BuildResult
from transforms.carry_validation import CURATIONS
from transforms.rules import WARNING_RULES

Build = Callable[..., BuildResult]
CURATED_OF = {c.raw: c.table for c in CURATIONS}


@pytest.fixture(name="build", scope="module")
def fixture_build() -> Iterator[Build]:
    with ThreadPoolExecutor(1) as executor:
        yield lambda lake, **how: builds.build(lake, executor, "test", **how)


def elsewhere(build: Build, lake: Lake) -> dict[str, Any]:
    """What one build of all that counts makes in an empty lake."""
    with TemporaryDirectory() as folder:
        build(lake, target=Lake(folder))
        return found(Lake(folder))


def found(lake: Lake) -> dict[str, Any]:
    return {**contents(lake), "warnings": lake.state().read(WARNINGS).rows()}


def versions(lake: Lake) -> dict[str, int | None]:
    return {table.name: lake.snapshot(table).version for table in (*CARRY, WARNINGS)}


def broken(row: Row, **cells: Any) -> Row:  # noqa: ANN401
    return {**row, **cells}


# Of each dataset a row that breaks each of its rules, and the rules.
BROKEN: list[tuple[Table, Row, list[str]]] = [
    (RAW_FUNDING, broken(funding()[5], index_price=None), ["null_value"]),
    (RAW_FUNDING, broken(funding()[6], index_price=-1.0), ["nonpositive_price"]),
    (
        RAW_FUNDING,
        broken(funding()[7], index_price=0.0, interest_1h=None),
        ["null_value", "nonpositive_price"],
    ),
    (
        RAW_FUNDING_TOTALS,
        {"instrument": PERPETUAL, "month": SINCE.date().replace(day=1), "total": None},
        ["null_value"],
    ),
    (
        RAW_DELIVERIES,
        broken(deliveries("btc_usd", SINCE - DAY, 1)[0], delivery_price=0.0),
        ["nonpositive_price"],
    ),
    (
        RAW_SETTLEMENTS,
        settlement("BTC-31JAN20", SINCE, 1.0, position=-1.0, mark_price=None),
        ["null_value", "negative_position"],
    ),
]


def test_each_raw_row_is_curated_or_rejected_and_the_newest_of_a_key_counts(
    at: Lake, build: Build
) -> None:
    rows = everything()
    first = {table: own[: len(own) // 2] for table, own in rows.items()}
    receive(at, first)
    # Of each dataset a row comes again with another last value, and once more.
    again = {table: [broken(own[3], **{table.names[-2]: 0.5})] for table, own in rows.items()}
    receive(at, again)
    receive(at, {table: [own[3]] for table, own in rows.items()})
    receive(at, {table: [row for t, row, _ in BROKEN if t is table] for table in rows})
    result = build(at)
    raw = {table: at.snapshot(table).rows for table in RAW_CARRY}
    still = at.state()
    rejected = still.read(REJECTED)
    for table, own in CURATED_OF.items():
        dataset = own.name
        refused = rejected.filter(dataset=dataset)
        assert raw[table] == still.snapshot(own).rows + refused.height
        superseded = refused.filter(refused["rules"].list.contains("superseded"))
        assert len(superseded) >= 2
        cells = [json.loads(row)[own.names[-1]] for row in superseded["row"]]
        assert 0.5 in cells
        assert rows[table][3] in still.read(own).to_dicts()
        rules = {tuple(r) for r in refused["rules"].to_list()} - {("superseded",)}
        assert rules == {tuple(names) for t, _, names in BROKEN if t is table}
    assert result.carry == {table.name: still.snapshot(table).rows for table in CARRY}
    assert (result.candles, result.raw_version) == (0, 4)


def test_new_keys_are_added_other_changes_make_a_dataset_again_and_the_rest_stays(
    at: Lake, build: Build
) -> None:
    rows = everything()
    hours = rows[RAW_FUNDING]
    receive(at, {**rows, RAW_FUNDING: hours[2:]})
    build(at)
    before, held = versions(at), at.snapshot(FUNDING).files
    # Nothing of carry.
    receive(at, {})
    build(at)
    assert versions(at) == before
    # An hour before all others and a rejected one: neither is known.
    wrong = broken(hours[1], index_price=None)
    receive(at, {RAW_FUNDING: [hours[0], wrong]})
    build(at)
    now = versions(at)
    assert {name for name in before if before[name] != now[name]} == {"funding", "rejected"}
    assert set(held) < set(at.snapshot(FUNDING).files)
    # One that was rejected comes right; one that counts comes with a rate over the cap.
    high = broken(hours[30], interest_8h=-0.02)
    newest = receive(at, {RAW_FUNDING: [hours[1], high]})
    build(at)
    assert set(held).isdisjoint(at.snapshot(FUNDING).files)
    assert found(at) == elsewhere(build, at)
    warned = at.state().read(WARNINGS).rows()
    assert warned == [(PERPETUAL, "funding_over_cap", 1), (PERPETUAL, "funding_sum", 1)]
    # A month later of another table; the warnings of this one are kept.
    receive(at, {RAW_DELIVERIES: deliveries("btc_usd", SINCE + 60 * DAY, 1)})
    build(at)
    assert at.state().read(WARNINGS).rows() == warned
    assert at.state().read(DELIVERIES).height == 121
    # As of an older batch and back; a build then is what it is now.
    build(past(at, 1))
    assert found(at) == elsewhere(build, past(at, 1))
    unproved = "SELECT instrument, month FROM funding_proof WHERE NOT proved"
    assert past(at, 1).sql(unproved).rows() == [(PERPETUAL, date(2020, 1, 1))]
    assert past(at, newest).sql(unproved).rows() == []
    build(at)
    assert found(at) == elsewhere(build, at)
    still = versions(at)
    assert build(at).carry["deliveries"] == 121
    assert versions(at) == still


def small() -> dict[Table, list[Row]]:
    """A few rows of each dataset, the last of which is rejected."""
    return {
        RAW_FUNDING: [*funding(hours=3), broken(funding(hours=4)[3], index_price=0.0)],
        RAW_FUNDING_TOTALS: everything()[RAW_FUNDING_TOTALS],
        RAW_DELIVERIES: deliveries("btc_usd", SINCE, 3),
        RAW_SETTLEMENTS: [settlement(PERPETUAL, SINCE + n * DAY, 9000.0) for n in range(3)],
    }


@pytest.mark.parametrize("before", [REJECTED, BUILDS], ids=lambda table: table.name)
def test_a_kill_leaves_the_tables_of_the_build_before_and_the_next_build_finishes(
    at: Lake, build: Build, before: Table
) -> None:
    receive(at, {table: rows[:1] for table, rows in small().items()})
    build(at)
    old = found(at)
    receive(at, {table: rows[1:] for table, rows in small().items()})
    with pytest.raises(LakeError, match="killed"):
        build(at, target=Killed(at, before))
    assert found(at) == old
    build(at)
    assert found(at) == elsewhere(build, at) != old


def test_a_full_build_replaces_damaged_tables_and_other_rules_make_all_again(
    at: Lake, build: Build
) -> None:
    receive(at, small())
    build(at)
    whole = found(at)
    for table in CARRY:
        for file in at.snapshot(table).files:
            (Path(at.uri) / table.name / file.path).write_bytes(b"no file of ours")
    receive(at, {RAW_FUNDING: funding(hours=3)[2:]})
    with pytest.raises(LakeError, match="build --full"):
        build(at)
    build(at, full=True)
    again = found(at)
    assert [again[table.name] for table in (FUNDING, SETTLEMENTS)] == [
        whole[table.name] for table in (FUNDING, SETTLEMENTS)
    ]
    # What other rules had made is made again, though nothing came.
    last = at.snapshot(BUILDS)
    row = last.read().tail(1).with_columns(rules=pl.lit("other"))
    base = at.snapshot(FUNDING)
    at.commit(base, [], LINEAGE, removing=base.files, counters={BUILD: 2})
    other = at.write(BUILDS, row)
    at.commit(last, [other], LINEAGE, removing=last.files, counters={BUILD: 2})
    assert at.state().read(FUNDING).is_empty()
    build(at)
    assert found(at) == again


def test_rows_that_appear_late_under_a_number_of_then_are_not_lost(at: Lake, build: Build) -> None:
    rows = small()
    receive(at, {table: own[:1] for table, own in rows.items()})
    build(at)
    # Its writer had the number before, and was slow.
    late = at.write(RAW_FUNDING, at.read(RAW_FUNDING).with_columns(hour_end=SINCE + 9 * HOUR))
    at.commit(at.snapshot(RAW_FUNDING), [late], LINEAGE)
    receive(at, {RAW_DELIVERIES: rows[RAW_DELIVERIES][1:]})
    build(at)
    assert at.state().read(FUNDING).height == 2
    assert found(at) == elsewhere(build, at)


def test_hours_that_came_one_by_one_are_compacted_and_still_built_from(
    at: Lake, build: Build
) -> None:
    for hour in funding(hours=5):
        receive(at, {RAW_FUNDING: [hour]})
        build(at)
    assert len(at.snapshot(FUNDING).files) == 5
    held = found(at)
    maintain(at, "test")
    assert len(at.snapshot(FUNDING).files) == 1
    assert len(at.snapshot(RAW_FUNDING).files) == 1
    assert found(at) == held
    before = versions(at)
    receive(at, {})
    build(at)
    assert versions(at) == before


def test_the_warning_rules_of_funding_are_told_from_those_of_candles_by_their_names() -> None:
    of_carry = {rule.name for c in CURATIONS for rule in c.warnings}
    assert all(name.startswith("funding_") for name in of_carry)
    assert not any(rule.name.startswith("funding_") for rule in WARNING_RULES)
