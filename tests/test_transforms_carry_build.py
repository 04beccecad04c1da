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
from lake.snapshot import Snapshot
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
from tests.lakes import LINEAGE, Row
from transforms import build as builds
from transforms.build import BuildResult
from transforms.carry_validation import CURATIONS
from transforms.rules import WARNING_RULES

Build = Callable[..., BuildResult]
CURATED_OF = {c.raw: c.table for c in CURATIONS}


@pytest.fixture(name="where")
def fixture_where(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture(name="build", scope="module")
def fixture_build() -> Iterator[Build]:
    with ThreadPoolExecutor(1) as executor:
        yield lambda where, **how: builds.build(where, executor, "test", **how)


def elsewhere(build: Build, where: Lake) -> dict[str, Any]:
    """What one build of all that counts makes in an empty lake."""
    with TemporaryDirectory() as folder:
        build(where, target=Lake(folder))
        return found(Lake(folder))


def found(where: Lake) -> dict[str, Any]:
    return {**contents(where), "warnings": where.state().read(WARNINGS).rows()}


def versions(where: Lake) -> dict[str, int | None]:
    return {table.name: where.snapshot(table).version for table in (*CARRY, WARNINGS)}


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
    where: Lake, build: Build
) -> None:
    rows = everything()
    first = {table: own[: len(own) // 2] for table, own in rows.items()}
    receive(where, first)
    # Of each dataset a row comes again with another last value, and once more.
    again = {table: [broken(own[3], **{table.names[-2]: 0.5})] for table, own in rows.items()}
    receive(where, again)
    receive(where, {table: [own[3]] for table, own in rows.items()})
    receive(where, {table: [row for t, row, _ in BROKEN if t is table] for table in rows})
    result = build(where)
    raw = {table: where.snapshot(table).rows for table in RAW_CARRY}
    still = where.state()
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
    where: Lake, build: Build
) -> None:
    rows = everything()
    hours = rows[RAW_FUNDING]
    receive(where, {**rows, RAW_FUNDING: hours[2:]})
    build(where)
    before, held = versions(where), where.snapshot(FUNDING).files
    # Nothing of carry.
    receive(where, {})
    build(where)
    assert versions(where) == before
    # An hour before all others and a rejected one: neither is known.
    wrong = broken(hours[1], index_price=None)
    receive(where, {RAW_FUNDING: [hours[0], wrong]})
    build(where)
    now = versions(where)
    assert {name for name in before if before[name] != now[name]} == {"funding", "rejected"}
    assert set(held) < set(where.snapshot(FUNDING).files)
    # One that was rejected comes right; one that counts comes with a rate over the cap.
    high = broken(hours[30], interest_8h=-0.02)
    newest = receive(where, {RAW_FUNDING: [hours[1], high]})
    build(where)
    assert set(held).isdisjoint(where.snapshot(FUNDING).files)
    assert found(where) == elsewhere(build, where)
    warned = where.state().read(WARNINGS).rows()
    assert warned == [(PERPETUAL, "funding_over_cap", 1), (PERPETUAL, "funding_sum", 1)]
    # A month later of another table; the warnings of this one are kept.
    receive(where, {RAW_DELIVERIES: deliveries("btc_usd", SINCE + 60 * DAY, 1)})
    build(where)
    assert where.state().read(WARNINGS).rows() == warned
    assert where.state().read(DELIVERIES).height == 121
    # As of an older batch and back; a build then is what it is now.
    build(past(where, 1))
    assert found(where) == elsewhere(build, past(where, 1))
    unproved = "SELECT instrument, month FROM funding_proof WHERE NOT proved"
    assert past(where, 1).sql(unproved).rows() == [(PERPETUAL, date(2020, 1, 1))]
    assert past(where, newest).sql(unproved).rows() == []
    build(where)
    assert found(where) == elsewhere(build, where)
    still = versions(where)
    assert build(where).carry["deliveries"] == 121
    assert versions(where) == still


class Killed(Lake):
    """A lake to which a build commits until it is killed before it commits to one table."""

    def __init__(self, where: Lake, before: Table) -> None:
        super().__init__(where.uri)
        self._before = before

    def commit(self, base: Snapshot, *args: Any, **kwargs: Any) -> Snapshot:  # noqa: ANN401
        if base.table is self._before:
            raise LakeError("killed")
        return super().commit(base, *args, **kwargs)


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
    where: Lake, build: Build, before: Table
) -> None:
    receive(where, {table: rows[:1] for table, rows in small().items()})
    build(where)
    old = found(where)
    receive(where, {table: rows[1:] for table, rows in small().items()})
    with pytest.raises(LakeError, match="killed"):
        build(where, target=Killed(where, before))
    assert found(where) == old
    build(where)
    assert found(where) == elsewhere(build, where) != old


def test_a_full_build_replaces_damaged_tables_and_other_rules_make_all_again(
    where: Lake, build: Build
) -> None:
    receive(where, small())
    build(where)
    whole = found(where)
    for table in CARRY:
        for file in where.snapshot(table).files:
            (Path(where.uri) / table.name / file.path).write_bytes(b"no file of ours")
    receive(where, {RAW_FUNDING: funding(hours=3)[2:]})
    with pytest.raises(LakeError, match="build --full"):
        build(where)
    build(where, full=True)
    again = found(where)
    assert [again[table.name] for table in (FUNDING, SETTLEMENTS)] == [
        whole[table.name] for table in (FUNDING, SETTLEMENTS)
    ]
    # What other rules had made is made again, though nothing came.
    last = where.snapshot(BUILDS)
    row = last.read().tail(1).with_columns(rules=pl.lit("other"))
    base = where.snapshot(FUNDING)
    where.commit(base, [], LINEAGE, removing=base.files, counters={BUILD: 2})
    other = where.write(BUILDS, row)
    where.commit(last, [other], LINEAGE, removing=last.files, counters={BUILD: 2})
    assert where.state().read(FUNDING).is_empty()
    build(where)
    assert found(where) == again


def test_rows_that_appear_late_under_a_number_of_then_are_not_lost(
    where: Lake, build: Build
) -> None:
    rows = small()
    receive(where, {table: own[:1] for table, own in rows.items()})
    build(where)
    # Its writer had the number before, and was slow.
    late = where.write(RAW_FUNDING, where.read(RAW_FUNDING).with_columns(hour_end=SINCE + 9 * HOUR))
    where.commit(where.snapshot(RAW_FUNDING), [late], LINEAGE)
    receive(where, {RAW_DELIVERIES: rows[RAW_DELIVERIES][1:]})
    build(where)
    assert where.state().read(FUNDING).height == 2
    assert found(where) == elsewhere(build, where)


def test_hours_that_came_one_by_one_are_compacted_and_still_built_from(
    where: Lake, build: Build
) -> None:
    for hour in funding(hours=5):
        receive(where, {RAW_FUNDING: [hour]})
        build(where)
    assert len(where.snapshot(FUNDING).files) == 5
    held = found(where)
    maintain(where, "test")
    assert len(where.snapshot(FUNDING).files) == 1
    assert len(where.snapshot(RAW_FUNDING).files) == 1
    assert found(where) == held
    before = versions(where)
    receive(where, {})
    build(where)
    assert versions(where) == before


def test_the_warning_rules_of_funding_are_told_from_those_of_candles_by_their_names() -> None:
    of_carry = {rule.name for c in CURATIONS for rule in c.warnings}
    assert all(name.startswith("funding_") for name in of_carry)
    assert not any(rule.name.startswith("funding_") for rule in WARNING_RULES)
