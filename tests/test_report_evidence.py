"""`report --evidence`: the criteria pass where they should, and fail where they should."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.report import criteria, proofs
from basislake.report.evidence import evidence
from basislake.report.facts import gather
from basislake.report.lake_facts import SCOPE
from basislake.settings.database_target import Target
from lake import Lake
from lake.query import duck
from lake.tables import BASIS, COVERAGE
from load.postgres import Database
from tests.ailing import UNANSWERED
from tests.carrying import deliveries, settlement
from tests.lakes import LINEAGE, LISTED_AT, copied, instrument, lake_of
from tests.loading import put
from tests.market import NOW, basislake
from tests.reporting import MADE_AT


@pytest.mark.slow
def test_the_evidence_of_a_finished_lake_passes_where_it_should(
    loaded: tuple[Lake, Any], tmp_path: Path
) -> None:
    lake, _ = loaded
    done = basislake(None, "report", "--lake", lake.uri, "--evidence", tmp_path, "--json")
    decided = {c["name"]: c for c in done.json["evidence"]["criteria"]}
    verdicts = {name: c["passed"] for name, c in decided.items()}
    # Whether PostgreSQL meets it is for its own figures to say.
    with Target().open(lake) as uri, Database(uri) as connection:
        sql = "SELECT count(*), pg_total_relation_size('futures_ohlcv') FROM futures_ohlcv"
        ((count, size),) = connection.query(sql)
    fits = size / count * 13_200_000 <= 1_500_000_000
    is_delivered = not lake.scan("settlements").filter(type="delivery").collect().is_empty()
    assert verdicts == {
        "AC-007": True, "AC-007, deliveries": is_delivered or None, "AC-008": True,
        "AC-009, lake": True, "AC-009, PostgreSQL": fits,
    }  # fmt: skip
    assert done.code == (0 if fits else 1)
    message = basislake(None, "report", "--lake", lake.uri, "--evidence", tmp_path)
    assert ("Not met: AC-009, PostgreSQL, so the exit code is 1." in message.err) == (not fits)
    assert f"{size:,} bytes for {count:,} candles" in decided["AC-009, PostgreSQL"]["figure"]
    rows = lake.snapshot(BASIS).rows
    assert f"= {rows:,} basis rows" in decided["AC-008"]["figure"]
    texts = {name: (tmp_path / name).read_text() for name in done.json["evidence"]["files"]}
    assert sorted(texts) == sorted(path.name for path in tmp_path.iterdir())
    assert f"AC-009, PostgreSQL: {'pass' if fits else 'FAIL'}" in texts["acceptance.txt"]
    assert "FAIL: it is not, and the command ends with exit code 1." in texts["acceptance.txt"]
    futures = lake.scan("instruments").filter(kind="future").collect()
    assert f"{futures.height:,} futures" in texts["acceptance.txt"]
    candles = lake.sql(
        "SELECT base, count(*) AS n FROM candles JOIN instruments USING (instrument) "
        "WHERE kind = 'future' GROUP BY base"
    )
    for coin, count in candles.iter_rows():
        assert re.search(rf"^{coin} +future +{count:,} ", texts["row_counts.txt"], re.MULTILINE)
    assert "0 failed" in texts["failed_instruments.txt"]


EXPIRY, LATER = NOW - timedelta(days=7), NOW
OWN, OTHER = "BTC-29MAR24", "ETH-5APR24"


@pytest.mark.parametrize(
    ("delivered", "scope", "passed"),
    [
        ([], [OWN, OTHER], None),
        ([OWN, OTHER], [OWN, OTHER], True),
        ([OWN], [OWN, OTHER], False),
        ([OWN], [OWN], True),
    ],
    ids=["none stored", "all", "one lacks", "out of scope"],
)
def test_deliveries_are_judged_within_the_scope(
    tmp_path: Path, delivered: list[str], scope: list[str], *, passed: bool | None
) -> None:
    expiries = {OWN: EXPIRY, OTHER: LATER}
    first = EXPIRY - timedelta(days=1)
    lake = lake_of(
        tmp_path,
        instruments=[instrument(name, at) for name, at in expiries.items()],
        deliveries=[d for i in ("btc_usd", "eth_usd") for d in deliveries(i, first, 10)],
        settlements=[
            settlement(n, expiries[n], 9000.25 + (expiries[n] - first).days, type="delivery")
            for n in delivered
        ],
    )
    spans = [(name, LISTED_AT, expiries[name]) for name in scope]
    frame = pl.DataFrame(spans, SCOPE.polars_schema, orient="row")
    connection = duck.connect(lake.state().existing, ["delivery_proof"], extra={SCOPE.name: frame})
    found = criteria.deliveries(duck.rows(connection, proofs.DELIVERIES).to_dicts())
    assert (found.name, found.passed) == ("AC-007, deliveries", passed)


def judged(lake: Lake, folder: Path) -> dict[str, bool | None]:
    """The criteria's verdicts, by name."""
    found = evidence(lake, gather(lake, MADE_AT, None, 1), folder)
    return {criterion.name: criterion.passed for criterion in found.criteria}


@pytest.mark.slow
def test_what_has_no_answer_fails_the_registrys_criterion(ailing: Lake, tmp_path: Path) -> None:
    found = judged(ailing, tmp_path)
    assert (found["AC-007"], found["AC-008"], found["AC-009, PostgreSQL"]) == (False, True, None)
    text = (tmp_path / "failed_instruments.txt").read_text()
    assert "1 failed" in text
    assert UNANSWERED[0] in text


@pytest.mark.slow
@pytest.mark.parametrize("change", ["price", "formula", "row", "minute"])
def test_a_basis_that_does_not_come_from_its_candles_fails(
    ailing: Lake, tmp_path: Path, change: str
) -> None:
    copy = copied(ailing, tmp_path)
    name = "BTC-5APR24"
    rows = copy.scan("basis").filter(instrument=name).collect()
    first = pl.int_range(pl.len()) == 0
    one_up = pl.when(first).then(pl.col("future_close") + 1).otherwise("future_close")
    changed = {
        "price": rows.with_columns(one_up),
        "formula": rows.with_columns(pl.when(first).then(0.0).otherwise("basis").alias("basis")),
        "row": rows.tail(-1),
        "minute": rows.with_columns(
            pl.when(first).then(pl.col("ts") - pl.duration(minutes=1)).otherwise("ts").alias("ts")
        ),
    }[change]
    put(copy, BASIS, name, changed)
    assert judged(copy, tmp_path / "evidence")["AC-008"] is False


@pytest.mark.slow
def test_coverage_with_a_hole_fails(ailing: Lake, tmp_path: Path) -> None:
    copy = copied(ailing, tmp_path)
    rows = copy.read(COVERAGE).filter(status="present")
    copy.replace(copy.snapshot(COVERAGE), rows, LINEAGE)
    assert judged(copy, tmp_path / "evidence")["AC-007"] is False
