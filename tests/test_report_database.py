"""The report of a lake and its database, written after a run."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.report.facts import from_json, gather
from basislake.report.page import page
from basislake.settings import database_target
from basislake.simulator.server import SimulatedExchange
from lake import Lake
from lake.tables import BASIS, CANDLES
from tests.loading import FUTURE, Target, candles, put
from tests.market import basislake, small_market
from tests.reporting import MADE_AT, figure, read


@pytest.mark.slow
def test_a_run_ends_with_a_report_of_lake_and_database(loaded: tuple[Lake, Any]) -> None:
    lake, message = loaded
    assert message["report"]["path"] == str(Path(lake.uri) / "report" / "index.html")
    facts = from_json(Path(message["report"]["json_path"]).read_bytes(), "here")
    parity = figure(facts, "parity")
    assert parity["is_equal"].all()
    assert set(parity["table_name"]) == {
        "instruments", "futures_ohlcv", "perpetuals_ohlcv", "futures_basis_spread",
        "funding_rates", "delivery_prices", "settlements", "carry_daily",
    }  # fmt: skip
    rows = dict(parity.select("table_name", "database_rows").iter_rows())
    assert (
        rows["futures_basis_spread"] == lake.snapshot(BASIS).rows == message["build"]["basis_rows"]
    )
    assert figure(facts, "database-storage")["bytes"].min() > 0  # type: ignore[operator]
    done = basislake(None, "report", "--lake", lake.uri, "--verify")
    assert (done.code, "all 30 figures" in done.out) == (0, True), done.out


@pytest.mark.slow
def test_as_many_rows_of_other_values_are_not_equal(target: Target) -> None:
    target.load()
    put(target.lake, CANDLES, FUTURE, candles(shift=1.0))
    loaded = database_target.Target(target.uri, target.schema)
    facts = gather(target.lake, MADE_AT, loaded, 1)
    rows = figure(facts, "parity").filter(pl.col("lake_rows") == pl.col("database_rows"))
    unequal = rows.filter(~pl.col("is_equal")).select("table_name", "behind").rows()
    assert (rows.height, unequal) == (8, [("futures_ohlcv", 1)])
    shown = "".join(read(page(facts)).texts)
    assert "PostgreSQL differs from the lake, in futures_ohlcv." in shown
    assert "PostgreSQLdiffers" in shown
    message = basislake(None, "status", *target.options, "--json").json["database"]
    assert not message["futures_ohlcv"]["equal"]


@pytest.mark.slow
def test_a_schema_of_ones_own_is_reported_like_the_usual_one(
    loaded: tuple[Lake, Any], tmp_path: Path
) -> None:
    lake, _ = loaded
    flags = ("--lake", lake.uri, "--schema", 'my "market"')
    at = (*flags, "--output", tmp_path)
    assert basislake(None, "report", *at).code == 0
    facts = from_json((tmp_path / "report.json").read_bytes(), "here")
    assert not figure(facts, "parity")["is_equal"].any()
    assert basislake(None, "load", *flags).code == 0
    assert basislake(None, "report", *at, "--evidence", tmp_path).code == 1
    facts = from_json((tmp_path / "report.json").read_bytes(), "here")
    assert figure(facts, "parity")["is_equal"].all()
    assert figure(facts, "database-storage")["bytes"].min() > 0  # type: ignore[operator]
    assert f"{lake.snapshot(BASIS).rows:,}" in (tmp_path / "row_counts.txt").read_text()
    assert basislake(None, "report", *at, "--verify").code == 0


@pytest.mark.slow
def test_a_report_that_cannot_be_written_takes_nothing_from_the_run(
    target: Target, tmp_path: Path
) -> None:
    Path(tmp_path, "report").write_text("in the way")
    at = ("--lake", tmp_path, "--postgres", target.uri, "--schema", target.schema)
    with SimulatedExchange(small_market(weeks=1)) as server:
        done = basislake(server, "run", *at, "--json")
    assert done.code == 1
    assert "Report: not written" in done.err
    assert "Traceback" not in done.err
    assert done.json["load"]["verified"]
    assert "report" not in done.json
