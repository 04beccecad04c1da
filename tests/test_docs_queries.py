"""The example queries: on their page, from the command, and in every format."""

import csv
import gzip
import json
import os
import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from basislake.sql.examples import EXAMPLES
from basislake.sql.examples.carry import CARRY
from basislake.sql.examples.proofs import PROOFS
from lake import Lake
from tests.ailing import UNANSWERED
from tests.market import basislake, command
from tests.processes import PATIENCE_S, finished, running

PAGE = Path(__file__).parent.parent / "docs" / "queries.md"
BLOCK = re.compile(r"^## @([a-z-]+): .*?^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall(PAGE.read_text()))
MAY_BE_EMPTY = {
    "long-gaps", "ohlc-violations", "gaps", "quarantine", "quarterly-rolls", "unmatched", "failed",
    "month-before-expiry", *(each.name for each in (*CARRY, *PROOFS)),
}  # fmt: skip


def test_the_page_holds_every_example_and_at_least_a_dozen() -> None:
    assert {name: sql.strip() for name, sql in BLOCKS.items()} == {e.name: e.sql for e in EXAMPLES}
    assert len(BLOCKS) >= 12
    assert {e.name for e in EXAMPLES if not e.has_rows} == MAY_BE_EMPTY


@pytest.mark.parametrize("name", BLOCKS)
def test_a_query_of_the_page_runs_as_it_stands_and_answers(market_lake: Lake, name: str) -> None:
    found = market_lake.sql(BLOCKS[name])
    assert found.height > 0 or name in MAY_BE_EMPTY
    assert found.width > 1


def test_the_guides_checks_find_what_the_lake_holds(market_lake: Lake) -> None:
    candles = market_lake.scan("candles").collect()
    futures = candles.filter(~pl.col("instrument").str.ends_with("PERPETUAL"))
    for row in market_lake.sql(BLOCKS["currencies"]).iter_rows(named=True):
        own = futures.filter(pl.col("instrument").str.starts_with(row["currency"]))
        assert row["candles"] == own.height
        assert row["instruments"] == own["instrument"].n_unique()
        assert (row["first_ts"], row["last_ts"]) == (own["ts"].min(), own["ts"].max())
    for name in ("long-gaps", "ohlc-violations"):
        assert market_lake.sql(BLOCKS[name]).is_empty()


def test_what_failed_is_listed_with_the_reason_and_the_minutes_for_scripts(ailing: Lake) -> None:
    done = basislake(None, "sql", "@failed", "--lake", ailing.uri, "--format", "csv")
    (row,) = csv.DictReader(done.out.splitlines())
    failed = ailing.scan("coverage").filter(status="failed").collect()
    assert failed.height == 1
    assert row["instrument"] == failed["instrument"][0] == UNANSWERED[0]
    assert int(row["minutes"]) == failed["minutes"][0] > 0
    assert row["start"].startswith(f"{failed['start'][0]:%Y-%m-%dT%H:%M}")
    assert "answered HTTP 502" in row["reason"]
    assert int(row["failed_asks"]) >= 1
    asks = ailing.scan("asks").collect()
    assert set(asks.filter(pl.col("reason").is_not_null())["status"]) == {"failed"}


def test_queries_of_a_desk_agree_with_the_rows_they_are_of(market_lake: Lake) -> None:
    basis = market_lake.scan("basis").filter(~pl.col("suspect")).collect()
    traded = basis.filter(pl.col("future_traded"), pl.col("perpetual_traded"))
    widest = market_lake.sql(BLOCKS["widest-gaps"]).row(0, named=True)
    assert abs(widest["basis_pct"]) == traded["basis_pct"].abs().max()
    by_days = market_lake.sql(BLOCKS["basis-by-days-left"])
    assert by_days["minutes"].sum() == traded.height
    most = market_lake.sql(BLOCKS["most-traded"]).row(0, named=True)
    own = market_lake.scan("candles").filter(instrument=most["instrument"]).collect()
    assert most["cost"] == pytest.approx(own["cost"].sum())
    share = market_lake.sql(BLOCKS["busiest-hours"]).group_by("coin").agg(pl.sum("cost_pct"))
    assert share["cost_pct"].to_list() == pytest.approx([100, 100])
    for roll in market_lake.sql(BLOCKS["roll-yield"]).iter_rows(named=True):
        at = basis.filter(ts=roll["ts"])
        front, back = (at.filter(instrument=roll[n])["future_close"][0] for n in ("front", "next"))
        assert roll["roll_pct"] == pytest.approx((back / front - 1) * 100)


def test_the_command_lists_the_examples_and_runs_one_by_its_name(
    market_lake: Lake, tmp_path: Path
) -> None:
    listed = basislake(None, "sql", "--examples", "--lake", tmp_path / "none")
    assert listed.code == 0
    rows = [line.split(None, 1) for line in listed.out.splitlines()]
    assert all([f"@{e.name}", e.title] in rows for e in EXAMPLES)
    shown = basislake(None, "sql", "--examples", "@curve")
    assert shown.out.startswith("@curve: The newest term structure\n")
    assert "FROM term_structure_latest" in shown.out
    as_json = basislake(None, "sql", "--examples", "--json").json
    assert [(e["name"], e["sql"]) for e in as_json] == [(e.name, e.sql) for e in EXAMPLES]
    done = basislake(None, "sql", "@currencies", "--lake", market_lake.uri, "--json")
    assert [row["currency"] for row in done.json] == ["BTC", "ETH"]


def test_an_unknown_example_and_no_query_are_wrong_usage(market_lake: Lake) -> None:
    unknown = basislake(None, "sql", "@curves", "--lake", market_lake.uri)
    assert unknown.code == 2
    assert "@curve, @forward-rates" in unknown.err
    nothing = basislake(None, "sql", "--lake", market_lake.uri)
    assert (nothing.code, "--examples" in nothing.err) == (2, True)


QUERY = """
    SELECT instrument, min(ts) AS first, count(*) AS n, sum(1) AS sums, 0.5 AS half,
           list(DISTINCT traded ORDER BY traded) AS traded, NULL::DOUBLE AS nothing
    FROM candles GROUP BY ALL ORDER BY ALL
"""


OTHERS = ("e.ndjson", "f.jsonl", "g.csv.GZ", "h.tsv", "i.arrow", "j.feather", "k.ndjson.gz")


@pytest.mark.slow
def test_the_same_rows_come_in_every_format(market_lake: Lake, tmp_path: Path) -> None:
    expected = market_lake.sql(QUERY)
    assert expected.schema["sums"] == pl.Int64
    for name in ("a.json", "b.csv", "c.parquet", "D.CSV", *OTHERS):
        done = basislake(None, "sql", QUERY, "--lake", market_lake.uri, "--output", tmp_path / name)
        assert (done.code, done.out) == (0, ""), done.err
    rows = json.loads((tmp_path / "a.json").read_text())
    printed = basislake(None, "sql", QUERY, "--lake", market_lake.uri, "--format", "json").json
    assert rows == printed
    assert [row["sums"] for row in rows] == expected["n"].to_list()
    assert rows[0]["first"] == expected["first"][0].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (rows[0]["half"], rows[0]["traded"], rows[0]["nothing"]) == (0.5, [False, True], None)
    assert pl.read_parquet(tmp_path / "c.parquet").equals(expected)
    assert pl.read_ipc(tmp_path / "i.arrow").equals(expected)
    assert pl.read_ipc(tmp_path / "j.feather").equals(expected)
    lines = (tmp_path / "e.ndjson").read_text()
    assert [json.loads(line) for line in lines.splitlines()] == rows
    assert (tmp_path / "f.jsonl").read_text() == lines
    assert gzip.decompress((tmp_path / "k.ndjson.gz").read_bytes()).decode() == lines
    text = (tmp_path / "b.csv").read_text()
    assert text == (tmp_path / "D.CSV").read_text()
    assert gzip.decompress((tmp_path / "g.csv.GZ").read_bytes()).decode() == text
    tabs = csv.reader((tmp_path / "h.tsv").read_text().splitlines(), delimiter="\t")
    assert list(tabs) == list(csv.reader(text.splitlines()))
    assert basislake(None, "sql", QUERY, "--lake", market_lake.uri, "--format", "csv").out == text
    cells = list(csv.DictReader(text.splitlines()))
    assert [row["instrument"] for row in cells] == expected["instrument"].to_list()
    assert (cells[0]["traded"], cells[0]["nothing"]) == ("[false,true]", "")
    shown = basislake(None, "sql", QUERY, "--lake", market_lake.uri).out.splitlines()
    assert shown[0] == f"{expected.height} rows"
    assert shown[1].split() == expected.columns


def test_a_named_format_goes_before_the_files_name_and_a_table_into_no_file(
    market_lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    options = ["sql", "SELECT 1 AS a", "--lake", market_lake.uri, "--output", path, "--format"]
    assert basislake(None, *options, "json").code == 0
    assert json.loads(path.read_text()) == [{"a": 1}]
    refused = basislake(None, *options, "table")
    assert (refused.code, "A table can only be printed" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("name", "format_", "message"),
    [
        ("rows.xlsx", None, "ends in .csv, .tsv, .json, .ndjson, .parquet or .arrow, or give"),
        ("rows", None, "is unknown. Use a name"),
        ("rows.gz", None, "is unknown. Use a name"),
        ("rows.csv.zst", None, "is unknown. Use a name"),
        ("rows.parquet.gz", None, "parquet is compressed already"),
        ("rows.gz", "arrow", "arrow is compressed already"),
    ],
)
def test_a_name_that_no_format_has_is_refused_before_the_query_runs(
    market_lake: Lake, tmp_path: Path, name: str, format_: str | None, message: str
) -> None:
    given = ("--format", format_) if format_ else ()
    path = tmp_path / name
    done = basislake(None, "sql", "nonsense", "--lake", market_lake.uri, "--output", path, *given)
    assert (done.code, message in done.err) == (2, True), done.err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_answer_has_its_columns_in_every_format(market_lake: Lake, tmp_path: Path) -> None:
    query = "SELECT ts, close FROM candles WHERE false"
    for ending in ("csv", "json", "parquet"):
        path = tmp_path / f"none.{ending}"
        assert basislake(None, "sql", query, "--lake", market_lake.uri, "--output", path).code == 0
    assert (tmp_path / "none.csv").read_text() == "ts,close\n"
    assert json.loads((tmp_path / "none.json").read_text()) == []
    assert pl.read_parquet(tmp_path / "none.parquet").columns == ["ts", "close"]


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["csv", "json", "ndjson", "parquet", "arrow"])
def test_an_output_that_cannot_be_finished_leaves_the_file_as_it_was(
    market_lake: Lake, tmp_path: Path, format_: str
) -> None:
    path = tmp_path / "mine"
    path.write_text("precious")
    query = "SELECT * FROM candles LIMIT 20_000"
    written = command(
        None, "sql", query, "--lake", market_lake.uri, "--output", path, "--format", format_
    )
    # No file may grow past some kilobytes.
    done = finished("/bin/sh", "-c", f"ulimit -f 16; exec {shlex.join(written)}")
    assert done.code == 2, done
    assert f"{path} cannot be written: " in done.err
    assert "File too large" in done.err
    assert "Traceback" not in done.err
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
@pytest.mark.parametrize("kind", ["fifo", "stdout", "stdout in a file"])
def test_an_output_may_be_a_pipe_or_what_is_open_already(
    market_lake: Lake, tmp_path: Path, format_: str, kind: str
) -> None:
    usual = tmp_path / "usual"
    # More than a pipe holds.
    query = "SELECT * FROM candles ORDER BY ALL LIMIT 20_000"
    options = ("sql", query, "--lake", market_lake.uri, "--format", format_, "--output")
    assert basislake(None, *options, usual).code == 0
    got = tmp_path / "got"
    if kind == "fifo":
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        with running(["/bin/sh", "-c", f"cat {fifo} > {got}"]) as reader:
            done = basislake(None, *options, fifo)
            assert (done.code, reader.wait(PATIENCE_S)) == (0, 0), done.err
        assert fifo.is_fifo()
    else:
        pipe = " | cat" if kind == "stdout" else ""
        line = f"{shlex.join(command(None, *options, '/dev/stdout'))}{pipe} > {got}"
        got.touch()
        inode = got.stat().st_ino
        assert finished("/bin/sh", "-c", line).code == 0
        assert got.stat().st_ino == inode
    assert got.read_bytes() == usual.read_bytes()


@pytest.mark.parametrize("value", ["interval '1 hour'", "170141183460469231731687303715884105727"])
def test_what_cannot_be_shown_is_told_without_a_traceback(market_lake: Lake, value: str) -> None:
    done = basislake(None, "sql", f"SELECT {value} AS a", "--lake", market_lake.uri)
    assert "Traceback" not in done.err
    assert done.code in (0, 2)
