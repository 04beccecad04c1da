"""The lake as of a batch or a time: in Python, in builds and by the command."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from basislake import PROGRAM
from basislake.pipeline.build_as_of import opened
from lake import Lake
from lake import open as open_lake
from lake.coverage import IS_CANDLES
from lake.errors import GoneError, LakeError, UsageError
from lake.history.as_of import past
from lake.history.fingerprint import fingerprint
from lake.maintenance.maintain import maintain
from lake.table import BATCH
from lake.tables import (
    ASKS,
    BUILDS,
    CURATED,
    INSTRUMENTS,
    RAW_CANDLES,
    RECORDS,
    TABLES,
)
from tests.lakes import LINEAGE, append, ask, lake_of
from tests.market import basislake
from tests.staged import CURATED_NAMES, TOLD, Stage, Staged, built, content, is_same
from tests.strategies import T0, candles
from transforms.build import SETTINGS
from transforms.rules_hash import rules_hash

FETCHED = ["instruments", "raw_candles", "coverage"]


def versions(lake: Lake) -> dict[str, int | None]:
    return {name: lake.snapshot(table).version for name, table in TABLES.items()}


def test_the_stages_differ_in_every_way_that_the_tests_below_are_about(staged: Staged) -> None:
    first, unbuilt, last = staged.first, staged.unbuilt, staged.last
    assert first.batch < unbuilt.batch < last.batch
    assert is_same(first.content, unbuilt.content, CURATED_NAMES)
    for table in ("instruments", "raw_candles", "candles", "basis", "coverage", "quality"):
        assert not first.content[table].equals(last.content[table]), table


@pytest.mark.parametrize("stage", ["first", "last"])
def test_a_lake_opened_as_of_a_batch_holds_what_it_held_then(staged: Staged, stage: str) -> None:
    then: Stage = getattr(staged, stage)
    found = open_lake(staged.lake.uri, as_of=then.batch)
    assert found.as_of == then.batch
    assert is_same(content(found), then.content)
    build = past(staged.lake, then.batch).build()
    assert (build or {})["batch"] == then.batch
    for table in ("raw_candles", "candles", "basis", "coverage"):
        counted = found.sql(f"SELECT count(*) AS n FROM {table}")["n"][0]
        assert counted == then.content[table].height
        assert found.snapshot(TABLES[table]).rows == counted
    assert is_same(content(open_lake(staged.lake.uri, version=then.batch)), then.content)


def test_where_the_newest_build_was_taken_back_the_one_before_is_read(
    staged: Staged, lake: Lake
) -> None:
    builds = DeltaTable(f"{lake.uri}/{BUILDS.name}")
    builds.restore(builds.version() - 1)
    assert is_same(content(lake), staged.first.content, CURATED_NAMES)


def test_as_of_a_batch_without_a_build_the_fetched_rows_are_there_and_the_others_say_why_not(
    staged: Staged,
) -> None:
    found = past(staged.lake, staged.unbuilt.batch)
    assert not found.is_built
    for name in FETCHED:
        rows = found.scan(name).collect().sort(TABLES[name].key)
        assert rows.equals(staged.unbuilt.content[name])
    text = TOLD.format(staged.unbuilt.batch)
    reads: list[Callable[[], object]] = [
        lambda: found.scan("basis"),
        lambda: found.sql("SELECT count(*) FROM candles"),
        lambda: fingerprint(found, 1),
    ]
    for read in reads:
        with pytest.raises(GoneError, match=text):
            read()
    assert found.sql("SELECT count(*) AS n FROM raw_candles")["n"][0] > 0


def test_a_time_means_the_newest_batch_that_was_committed_by_then(staged: Staged) -> None:
    lake = staged.lake
    moments = pl.concat([lake.read(t).select(BATCH, "at") for t in (ASKS, RECORDS)])
    for batch in (staged.first.batch, staged.unbuilt.batch):
        at = moments.filter(pl.col(BATCH) == batch)["at"].max()
        after = moments.filter(pl.col(BATCH) > batch)["at"].min()
        assert open_lake(lake.uri, as_of=at).as_of == batch  # type: ignore[arg-type]
        between = at + (after - at) / 2  # type: ignore[operator]
        assert open_lake(lake.uri, as_of=between).as_of == batch  # type: ignore[arg-type]
    begun = moments["at"].min()
    with pytest.raises(UsageError, match="Nothing had been fetched by"):
        open_lake(lake.uri, as_of=begun - timedelta(seconds=1))  # type: ignore[operator,arg-type]
    with pytest.raises(UsageError, match="has no time zone"):
        open_lake(lake.uri, as_of=begun.replace(tzinfo=None))  # type: ignore[union-attr,arg-type,call-arg]


@pytest.mark.slow
def test_as_of_every_batch_are_the_rows_up_to_it_and_what_is_known_of_them(staged: Staged) -> None:
    whole = staged.lake.read(RAW_CANDLES)
    heights = []
    for batch in range(1, staged.last.batch + 1):
        found = past(staged.lake, batch)
        rows = found.read(RAW_CANDLES)
        heights.append(rows.height)
        assert_frame_equal(rows, RAW_CANDLES.cast(whole.filter(pl.col(BATCH) <= batch)))
        assert found.snapshot(RAW_CANDLES).rows == rows.height
        proved = found.scan("coverage").filter(IS_CANDLES, status="present").collect()
        assert proved["minutes"].sum() == rows.height
    assert heights == sorted(heights)
    assert heights[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
def test_a_build_as_of_an_old_batch_gives_what_the_build_then_gave_and_the_next_brings_back(
    staged: Staged, lake: Lake, *, full: bool
) -> None:
    result = built(lake, full=full, as_of=staged.first.batch)
    assert result.raw_version == staged.first.batch
    assert is_same(content(lake), staged.first.content, CURATED_NAMES)
    assert result.candles == staged.first.content["candles"].height
    before = versions(lake)
    assert built(lake, as_of=staged.first.batch).rebuilt == 0
    assert versions(lake) == before
    result = built(lake)
    assert result.raw_version == staged.last.batch
    assert is_same(content(lake), staged.last.content)


@pytest.mark.slow
def test_a_batch_that_was_never_built_can_be_built_later(staged: Staged, lake: Lake) -> None:
    built(lake, as_of=staged.unbuilt.batch)
    found = past(lake, staged.unbuilt.batch)
    assert found.is_built
    rows = found.scan("candles").collect().height + found.scan("quarantine").collect().height
    assert rows == staged.unbuilt.content["raw_candles"].height
    # What is as of other batches stays what it was.
    assert is_same(content(past(lake, staged.first.batch)), staged.first.content)
    assert is_same(content(past(lake, staged.last.batch)), staged.last.content)


def test_before_the_first_build_the_curated_tables_are_empty(tmp_path: Path) -> None:
    at = open_lake(str(tmp_path))
    append(at, {"A": [candles(2)]})
    assert all(at.scan(name).collect().is_empty() for name in CURATED_NAMES)
    assert at.sql("SELECT count(*) AS n FROM unmatched")["n"].to_list() == [0]


def test_a_lake_opened_as_of_a_batch_is_not_written(staged: Staged) -> None:
    found = open_lake(staged.lake.uri, as_of=staged.first.batch)
    before = sorted(Path(found.uri).rglob("*"))
    base = found.snapshot(INSTRUMENTS)
    writes: list[Callable[[], object]] = [
        lambda: append(found, {"A": [candles(1)]}),
        lambda: found.commit(base, [], LINEAGE),
        lambda: found.replace(base, INSTRUMENTS.empty(), LINEAGE),
    ]
    for write in writes:
        with pytest.raises(LakeError, match=r"is read-only\. Nothing was written"):
            write()
    assert sorted(Path(found.uri).rglob("*")) == before


def test_an_unknown_batch_is_named_with_those_there_are(staged: Staged, tmp_path: Path) -> None:
    uri, last = staged.lake.uri, staged.last.batch
    for wrong in (99, 0, -1):
        with pytest.raises(UsageError, match=f"no batch {wrong}; there are 1 to {last}"):
            open_lake(uri, as_of=wrong)
    bare = lake_of(tmp_path / "bare", instruments=[])
    with pytest.raises(UsageError, match="nothing has been fetched yet"):
        open_lake(bare.uri, as_of=1)
    before = versions(staged.lake)
    for verb in (
        ["sql", "SELECT 1", "--as-of", 99],
        ["fingerprint", "--as-of", 99],
        ["explain", "BTC-PERPETUAL", "2024-04-01", "--as-of", 99],
        ["report", "--as-of", 99],
        ["build", "--as-of", 99],
        ["build", "--raw-version", 99],
        ["diff", 1, 99],
    ):
        done = basislake(None, *verb, "--lake", uri)
        assert (done.code, f"there are 1 to {last}" in done.err) == (2, True), (verb, done.err)
    for words in (["build", "--as-of", "-1"], ["sql", "SELECT 1", "--as-of", "x"]):
        assert basislake(None, *words, "--lake", uri).code == 2
    assert versions(staged.lake) == before


def test_every_build_tells_batch_program_rules_and_settings(staged: Staged) -> None:
    rows = staged.lake.read(BUILDS).to_dicts()
    assert [row[BATCH] for row in rows] == [staged.first.batch, staged.last.batch]
    for row in rows:
        assert (row["program"], row["rules"]) == (PROGRAM, rules_hash())
        assert json.loads(row["settings"]) == SETTINGS


@pytest.mark.parametrize("changed", [{"rules": "other"}, {"settings": '{"days_per_year": 366}'}])
def test_tables_made_with_other_rules_or_settings_are_made_again(
    staged: Staged, lake: Lake, changed: dict[str, Any]
) -> None:
    assert built(lake).rebuilt == 0
    base = lake.snapshot(BUILDS)
    number = base.counter("build") + 1
    row = {**lake.read(BUILDS).row(-1, named=True), **changed, "build": number}
    file = lake.write(BUILDS, pl.DataFrame([row], BUILDS.polars_schema))
    lake.commit(base, [file], LINEAGE, counters={"build": number})
    result = built(lake)
    held = len(lake.snapshot(RAW_CANDLES).by_partition())
    assert (result.rebuilt, result.unchanged) == (held, 0)
    assert is_same(content(lake), staged.last.content)


def test_the_command_reads_as_of_a_batch_what_is_stored_and_makes_the_rest_again(
    staged: Staged,
) -> None:
    lake, query = staged.lake, "SELECT count(*) AS n, max(ts) AS last FROM basis"
    before = versions(lake)
    stored = basislake(
        None, "sql", query, "--lake", lake.uri, "--as-of", staged.first.batch, "--format", "json"
    )
    assert stored.code == 0, stored.err
    assert "made again" not in stored.err
    assert stored.json[0]["n"] == staged.first.content["basis"].height
    made = basislake(
        None, "sql", query, "--lake", lake.uri, "--as-of", staged.unbuilt.batch, "--format", "json"
    )
    assert made.code == 0, made.err
    assert f"as of batch {staged.unbuilt.batch}: built for this command" in made.err
    assert stored.json[0]["n"] < made.json[0]["n"] < staged.last.content["basis"].height
    assert versions(lake) == before


def test_curated_rows_made_again_are_those_of_a_build_of_then(staged: Staged, lake: Lake) -> None:
    with opened(staged.lake, staged.unbuilt.batch) as made:
        found, printed = content(made), fingerprint(made, 2)
        assert (made.build() or {})["batch"] == staged.unbuilt.batch
    built(lake, as_of=staged.unbuilt.batch)
    assert is_same(found, content(past(lake, staged.unbuilt.batch)))
    assert fingerprint(past(lake, staged.unbuilt.batch), 2) == printed


@pytest.mark.slow
def test_every_verb_reads_as_of_a_batch_also_where_its_build_was_tidied_away(
    staged: Staged, lake: Lake
) -> None:
    then = fingerprint(past(lake, staged.first.batch), 2)
    row = staged.first.content["basis"].row(0, named=True)
    built(lake, full=True)
    maintain(lake, PROGRAM, timedelta(0), unsafe=True)
    with pytest.raises(GoneError, match=TOLD.format(staged.first.batch)):
        past(lake, staged.first.batch).scan("basis")
    at = ("--lake", lake.uri, "--json")
    of = ("--as-of", staged.first.batch)
    printed = basislake(None, "fingerprint", *at, *of)
    assert printed.code == 0, printed.err
    assert (printed.json["lake"], printed.json["tables"]) == (then.lake, dict(then.tables))
    explained = basislake(None, "explain", row["instrument"], row["ts"].isoformat(), *at, *of)
    assert explained.code == 0, explained.err
    assert (explained.json["agrees"], explained.json["as_of"]) == (True, staged.first.batch)
    differ = basislake(None, "diff", staged.first.batch, staged.first.batch, *at)
    assert differ.json["equal"] is True, differ.err
    assert is_same(content(lake), staged.last.content)


@pytest.mark.slow
def test_the_command_builds_as_of_a_batch(staged: Staged, lake: Lake) -> None:
    batch = staged.first.batch
    build = basislake(None, "build", "--lake", lake.uri, "--as-of", batch, "--json")
    assert build.code == 0, build.err
    assert build.json["raw_version"] == batch
    assert f"now built as of batch {batch}" in build.err
    assert f"build --lake {lake.uri}` builds from the newest" in build.err
    assert set(build.json) >= {
        "candles", "quarantined", "basis_rows", "unmatched", "rebuilt", "unchanged", "seconds",
    }  # fmt: skip
    assert is_same(content(lake), staged.first.content, CURATED_NAMES)
    behind = basislake(None, "status", "--lake", lake.uri, "--json").json["behind"]
    assert set(behind) == {table.name for table in CURATED}


def test_a_state_of_a_lake_stays_as_it_was(staged: Staged, lake: Lake) -> None:
    still = lake.state()
    still.snapshots()
    built(lake, as_of=staged.first.batch)
    append(lake, {"A": [candles(1)]})
    assert is_same(content(still), staged.last.content)
    assert still.state() is still
    bare = open_lake(f"{lake.uri}-bare").state()
    with pytest.raises(LakeError, match="There is no lake at"):
        bare.scan("basis")


def test_a_reader_sees_the_newest_whole_build_while_another_has_committed_half(
    staged: Staged, lake: Lake
) -> None:
    """A build that is killed between two commits leaves what this leaves."""
    for table in CURATED[:3]:
        base = lake.snapshot(table)
        number = base.counter("build") + 1
        lake.commit(base, [], LINEAGE, removing=base.files, counters={"build": number})
    assert lake.snapshot(CURATED[0]).rows == 0
    assert is_same(content(lake), staged.last.content)
    assert (
        lake.sql("SELECT count(*) AS n FROM basis")["n"][0] == staged.last.content["basis"].height
    )
    assert fingerprint(lake, 2) == fingerprint(staged.lake, 2)
    assert is_same(content(past(lake, staged.last.batch)), staged.last.content)
    # The next build detects that it cannot rely on the stored rows.
    result = built(lake)
    assert result.unchanged == 0
    assert is_same(content(lake), staged.last.content)


def test_half_a_build_over_one_that_was_tidied_away_says_what_to_run(
    staged: Staged, lake: Lake
) -> None:
    base = lake.snapshot(CURATED[0])
    number = base.counter("build") + 1
    lake.commit(base, [], LINEAGE, removing=base.files, counters={"build": number})
    maintain(lake, PROGRAM, timedelta(0), unsafe=True)
    with pytest.raises(GoneError, match=r"begun to replace them\. No candle is lost\. `basis"):
        lake.scan("candles")
    assert lake.read(RAW_CANDLES).height
    built(lake)
    assert is_same(content(lake), staged.last.content)


def test_batches_of_years_ago_are_there_however_long_the_log_is_kept(tmp_path: Path) -> None:
    """Nothing is asked of the log but where the newest files are."""
    at = open_lake(str(tmp_path))
    for number in range(8):
        start = T0 + timedelta(minutes=number)
        batch = append(at, {"A": [candles(1, number)]})
        ask(at, batch, ("A", start, start + timedelta(minutes=1), "present"))
        maintain(at, PROGRAM, timedelta(0), unsafe=True)
    for log in Path(at.uri).glob("*/_delta_log"):
        newest = max(log.glob("*.checkpoint.parquet"))
        for path in log.iterdir():
            if path.name < newest.name[:20]:
                path.unlink()
    for number in range(1, 9):
        rows = open_lake(at.uri, as_of=number).read(RAW_CANDLES)
        assert rows["ts"].to_list() == [T0 + timedelta(minutes=n) for n in range(number)]
