"""Numbers of batches: never shared, never used again, ascending as rows become visible."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import polars as pl
import pytest

from ingest.backfill import asks
from lake import Lake, batches
from lake.batches import commit_batch, newest_batch
from lake.carry_tables import RAW_DELIVERIES
from lake.errors import ConflictError, UsageError
from lake.history.as_of import past
from lake.table import BATCH, Table
from lake.tables import ASKS, COVERAGE, RAW_CANDLES, RECORDS
from lake.time.intervals import MINUTE
from tests.lakes import (
    LINEAGE,
    append,
    append_to,
    ask,
    asked,
    instrument,
    record,
    schema_of,
    stored,
)
from tests.market import NOW
from tests.processes import ended, running
from tests.staged import Staged, built, content, is_same
from tests.strategies import T0, candles, minute

# A writer of another process: so many batches of a candle each, each number printed.
WRITER = """
import sys
from lake import Lake
from tests.lakes import append_to, stored
from tests.strategies import candles

at, name = Lake(sys.argv[1]), sys.argv[2]
for start in range(int(sys.argv[3])):
    print(stored(lambda: append_to(at, name, candles(1, start))))
"""


def asks_of(name: str, start: int) -> pl.DataFrame:
    return asked((name, minute(start), minute(start + 1), "present"))


@pytest.mark.slow
def test_processes_that_append_at_once_have_numbers_of_their_own(at: Lake) -> None:
    each = 12
    lines = [[sys.executable, "-c", WRITER, at.uri, name, str(each)] for name in ("A", "B")]
    with running(lines[0]) as one, running(lines[1]) as other:
        ends = [ended(process) for process in (one, other)]
    assert [end.code for end in ends] == [0, 0], ends
    text = [[int(line) for line in end.out.split()] for end in ends]
    assert sorted(text[0] + text[1]) == list(range(1, 2 * each + 1))
    rows = at.read(RAW_CANDLES)
    for name, numbers in zip(("A", "B"), text, strict=True):
        assert numbers == sorted(numbers)
        assert rows.filter(instrument=name).sort("ts")[BATCH].to_list() == numbers


def test_numbers_ascend_as_rows_become_visible_to_threads_too(at: Lake) -> None:
    """A reader who has seen a number never sees another row of it, or of an earlier one, later."""
    threads, each = 3, 6
    begin = Barrier(threads + 1)
    seen: list[tuple[int, int]] = []

    def write(name: str) -> list[int]:
        begin.wait()
        return [stored(partial(append_to, at, name, candles(1, start))) for start in range(each)]

    def read() -> None:
        begin.wait()
        while not seen or seen[-1][0] < threads * each:
            found = at.snapshot(RAW_CANDLES)
            rows = found.read()
            assert rows.height == found.counter(BATCH) == (rows[BATCH].max() or 0)
            seen.append((found.counter(BATCH), rows.height))

    with ThreadPoolExecutor(threads + 1) as pool:
        reading = pool.submit(read)
        text = list(pool.map(write, "ABC"))
        reading.result()
    assert sorted(number for own in text for number in own) == list(range(1, threads * each + 1))
    assert seen == sorted(seen)


def test_a_number_whose_writer_was_killed_is_not_used_again(at: Lake) -> None:
    record(at, [instrument("A")])
    killed = append(at, {"A": [candles(2)]})
    # The rows of `asks` were never committed; the next batch has the next number.
    number = append(at, {"A": [candles(1, 2)]})
    ask(at, number, ("A", minute(0), minute(3), "present"))
    assert (killed, number) == (2, 3)
    assert at.read(RAW_CANDLES)[BATCH].to_list() == [2, 2, 3]
    assert past(at, killed).scan("coverage").collect().is_empty()


def test_rows_of_carry_have_no_number_behind_what_another_writer_has_said(at: Lake) -> None:
    record(at, [instrument("A")])
    slow, fast = append(at, {"A": [candles(1)]}), append(at, {"A": [candles(1, 1)]})
    ask(at, fast, ("A", minute(0), minute(2), "present"))
    row = {"index_name": "btc_usd", "delivered_at": NOW, "delivery_price": 1.0}
    rows = pl.DataFrame([row], schema_of(RAW_DELIVERIES))
    number, _ = batches.append(at, RAW_DELIVERIES, rows, slow, LINEAGE)
    assert number > fast
    assert past(at, fast).read(RAW_DELIVERIES).is_empty()


@pytest.mark.parametrize("table", [ASKS, RECORDS], ids=lambda table: table.name)
def test_what_comes_late_has_a_later_number_than_what_was_there(at: Lake, table: Table) -> None:
    record(at, [instrument("A"), instrument("B")])
    slow = append(at, {"A": [candles(1)]})
    fast = append(at, {"B": [candles(1)]})

    def add(name: str, number: int) -> int:
        if table is ASKS:
            return batches.append(at, ASKS, asks_of(name, 0), number, LINEAGE)[0]
        rows = pl.DataFrame(
            [{**instrument(name), "program": "test", "at": NOW}], schema_of(RECORDS)
        )
        return batches.append(at, RECORDS, rows, number, LINEAGE)[0]

    assert add("B", fast) == fast
    before = past(at, fast)
    known = before.read(ASKS), before.read(RECORDS)
    late = add("A", slow)
    assert late > fast
    assert newest_batch(at) == late
    # As of a batch that a reader could have asked for, nothing has changed.
    assert past(at, fast).read(ASKS).equals(known[0])
    assert past(at, fast).read(RECORDS).equals(known[1])
    asks.update(at, "test")
    assert at.snapshot(COVERAGE).counter(BATCH) == at.snapshot(ASKS).counter(BATCH)


def test_asks_of_threads_at_once_ascend_and_none_is_lost(at: Lake) -> None:
    names, each = "ABC", 4
    record(at, [instrument(name) for name in names])
    begin = Barrier(len(names))

    def write(name: str) -> list[int]:
        begin.wait()
        numbers = []
        for start in range(each):
            number = stored(partial(append_to, at, name, candles(1, start)))
            tell = partial(batches.append, at, ASKS, asks_of(name, start), number, LINEAGE)
            numbers.append(stored(lambda tell=tell: tell()[0]))  # type: ignore[misc]
        return numbers

    with ThreadPoolExecutor(len(names)) as pool:
        text = list(pool.map(write, names))
    numbers = [number for own in text for number in own]
    assert len(set(numbers)) == len(numbers) == len(names) * each
    assert all(own == sorted(own) for own in text)
    rows = at.read(ASKS)
    assert sorted(rows[BATCH]) == sorted(numbers)
    # Each commit's number is larger than that of the one before it.
    newest = at.snapshot(ASKS)
    assert newest.version is not None
    heights = [
        at.snapshot(ASKS, version).counter(BATCH) for version in range(1, newest.version + 1)
    ]
    assert heights == sorted(set(heights))
    asks.update(at, "test")
    present = at.read(COVERAGE).filter(status="present")
    assert dict(present.select("instrument", "minutes").iter_rows()) == dict.fromkeys(names, each)


def test_a_claim_from_an_old_look_is_refused_and_stores_nothing(at: Lake) -> None:
    slow = at.snapshot(RAW_CANDLES)
    append(at, {"A": [candles(1)]})
    with pytest.raises(ConflictError):
        commit_batch(at, slow, (), LINEAGE)
    assert at.snapshot(RAW_CANDLES).counter(BATCH) == 1


def test_a_batch_that_is_still_being_stored_is_not_one_to_read_as_of(at: Lake) -> None:
    number = append(at, {"A": [candles(1)]})
    with pytest.raises(UsageError, match="There is no batch 1"):
        past(at, number)
    ask(at, number, ("A", T0, T0 + MINUTE, "present"))
    assert past(at, number).read(RAW_CANDLES).height == newest_batch(at) == 1


def test_a_build_as_of_a_batch_is_not_affected_by_what_comes_later(
    staged: Staged, lake: Lake
) -> None:
    batch = staged.last.batch
    name = min(lake.snapshot(RAW_CANDLES).by_partition())
    ts = lake.scan("raw_candles").filter(pl.col("instrument") == name).collect()["ts"]
    # Asked for again on purpose, and other than it was.
    number = append(lake, {name: [candles(1).with_columns(ts=pl.lit(ts[0]))]})
    ask(lake, number, (name, ts[0], ts[1], "present"))
    built(lake)
    assert not is_same(content(lake), staged.last.content)
    found = built(lake, as_of=batch, full=True)
    assert found.raw_version == batch
    assert is_same(content(past(lake, batch)), staged.last.content)
