"""The derived views: declarations, the term structure, and scans."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from docs.write import FOLDER, pages
from lake import Lake
from lake import open as open_lake
from lake.errors import LakeError
from lake.query import duck
from lake.query.duck_rows import SQL_TYPES
from lake.query.views import VIEWS, View
from lake.query.views.proofs import DELIVERY_PROOF, FUNDING_PROOF, INDEX_CHAIN
from tests.lakes import Row, answer, basis_row, candle, copied, instrument, lake_of
from tests.market import basislake
from tests.strategies import T0, minute
from tests.tiers import slow_but

# They name what is wrong with months and deliveries, of which a few weeks have none.
PROOFS = (FUNDING_PROOF, INDEX_CHAIN, DELIVERY_PROOF)
EXPIRY = T0 + timedelta(days=2)
SOON, LATE = "BTC-3JAN24", "BTC-12JAN24"
FUTURES = [instrument(SOON, EXPIRY), instrument(LATE, EXPIRY + timedelta(days=9))]
BASIS = [
    basis_row(SOON, minute(0), EXPIRY, 1.0, future_traded=False),
    basis_row(LATE, minute(0), EXPIRY + timedelta(days=9), -2.0, suspect=True),
    basis_row(SOON, minute(1), EXPIRY, 3.0, perpetual_traded=False),
]


def test_every_view_has_the_declared_columns_and_no_rows_in_an_empty_lake(tmp_path: Path) -> None:
    connection = lake_of(tmp_path / "none", instruments=[]).duckdb()
    for view in VIEWS:
        described = connection.execute(f"DESCRIBE FROM {view.call}").fetchall()
        declared = [(column.name, SQL_TYPES[column.type]) for column in view.columns]
        assert [row[:2] for row in described] == declared, view.name
        assert connection.execute(f"FROM {view.call}").fetchall() == []


@pytest.mark.slow
def test_every_view_answers_alike_through_arrow_as_for_an_object_store(
    gapped: Lake, carry_lake: Lake, tmp_path: Path
) -> None:
    """So it is read in a folder, too, that DuckDB would take for a pattern."""
    answered = set()
    for name, lake in {"one": gapped, "two": carry_lake}.items():
        local, through_arrow = lake.duckdb(), copied(lake, tmp_path / name / "[ab]*").duckdb()
        for view in VIEWS:
            query = f"FROM {view.call} ORDER BY ALL LIMIT 1000"
            here, there = (duck.rows(connection, query) for connection in (local, through_arrow))
            assert_frame_equal(here, there)
            nulls = [c.name for c in view.columns if not c.nullable and here[c.name].null_count()]
            assert nulls == [], view.name
            if here.height:
                answered.add(view.name)
    assert {view.name for view in VIEWS} - answered <= {view.name for view in PROOFS}


def test_the_pages_name_every_view_and_agree_with_the_declarations() -> None:
    written = pages()
    assert {name: (FOLDER / name).read_text() for name in written} == written, "run: make docs"
    assert all(f"\n## {view.name}" in written["views.md"] for view in VIEWS)


# The term structure


def test_the_term_structure_holds_the_rows_of_that_very_minute(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, instruments=FUTURES, basis=BASIS)
    columns = "coin, instrument, basis_pct, future_traded, perpetual_traded, suspect"
    for moment in (minute(0), minute(0) + timedelta(seconds=59.999999)):
        assert answer(lake, f"SELECT {columns} FROM term_structure('{moment}')") == [
            ("BTC", SOON, 1.0, False, True, False),
            ("BTC", LATE, -2.0, True, True, True),
        ]
    later = answer(lake, f"SELECT {columns} FROM term_structure('{minute(1)}')")
    assert later == [("BTC", SOON, 3.0, True, False, False)]
    assert answer(lake, f"FROM term_structure('{minute(2)}')") == []


ETH = instrument("ETH-3JAN24", EXPIRY)


def test_each_coin_has_the_curve_of_its_own_newest_minute(tmp_path: Path) -> None:
    rows = [*BASIS, basis_row("ETH-3JAN24", minute(0), EXPIRY, 4.0)]
    lake = lake_of(tmp_path, instruments=[*FUTURES, ETH], basis=rows)
    columns = "coin, ts, instrument, term, basis_pct"
    assert answer(lake, f"SELECT {columns} FROM term_structure_latest") == [
        ("BTC", minute(1), SOON, "daily", 3.0),
        ("ETH", minute(0), "ETH-3JAN24", "daily", 4.0),
    ]


def test_the_curve_says_how_long_ago_each_leg_traded(tmp_path: Path) -> None:
    def traded(name: str, *minutes: int) -> list[Row]:
        return [candle(name, minute(m), 100.0, traded=m in minutes) for m in range(12)]

    names = [SOON, LATE, "BTC-PERPETUAL"]
    candles = [*traded(SOON, 0, 7, 11), *traded(LATE), *traded("BTC-PERPETUAL", 4)]
    # Another coin's trades and those after the minute do not count.
    candles += traded("ETH-3JAN24", 10)
    basis = [basis_row(name, minute(10), EXPIRY, 1.0, future_traded=False) for name in names[:2]]
    listed = [*FUTURES, ETH, instrument(names[2])]
    lake = lake_of(tmp_path, instruments=listed, basis=basis, candles=candles)
    columns = "instrument, future_traded_minutes_ago, perpetual_traded_minutes_ago"
    for view in ("term_structure_latest", f"term_structure('{minute(10)}')"):
        assert answer(lake, f"SELECT {columns} FROM {view}") == [(SOON, 3, 6), (LATE, None, 6)]
    printed = basislake(None, "curve", "--lake", lake.uri).out
    assert "BTC at 2024-01-01 00:10Z: perpetual at 100, last traded 6 minutes ago" in printed
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if "JAN24" in line}
    assert (rows[SOON][-2], rows[LATE][-2]) == ("3", "-")


def test_the_command_prints_the_curve_of_a_minute_or_the_newest(tmp_path: Path) -> None:
    rows = [*BASIS, basis_row("ETH-3JAN24", minute(0), EXPIRY, 4.0)]
    lake = lake_of(tmp_path, instruments=[*FUTURES, ETH], basis=rows)
    newest = basislake(None, "curve", "--lake", lake.uri, "--json").json
    assert newest["at"] == "2024-01-01T00:01:00Z"
    assert [(row["instrument"], row["ts"]) for row in newest["curve"]] == [
        (SOON, "2024-01-01T00:01:00Z"),
        ("ETH-3JAN24", "2024-01-01T00:00:00Z"),
    ]
    assert newest["without_basis"] == [LATE]
    at = ["--at", "2024-01-01T00:00:30Z"]
    both = basislake(None, "curve", "--lake", lake.uri, "--json", *at).json
    assert both["at"] == "2024-01-01T00:00:00Z"
    assert [row["instrument"] for row in both["curve"]] == [SOON, LATE, "ETH-3JAN24"]
    assert both["without_basis"] == []
    printed = basislake(None, "curve", "--lake", lake.uri).out
    assert "BTC at 2024-01-01 00:01Z" in printed
    assert "ETH at 2024-01-01 00:00Z" in printed
    assert printed.count(f"without a basis in this minute: {LATE}.") == 1
    of_eth = basislake(None, "curve", "--lake", lake.uri, "--currency", "eth", "--json")
    assert [row["basis_pct"] for row in of_eth.json["curve"]] == [4.0]
    assert of_eth.json["at"] == "2024-01-01T00:00:00Z"


def test_the_command_says_so_where_no_future_has_a_basis(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, instruments=FUTURES)
    for options in ([], ["--at", "2024-01-01"]):
        done = basislake(None, "curve", "--lake", lake.uri, *options)
        assert (done.code, "No future has a basis in that minute" in done.err) == (1, True)
    assert basislake(None, "curve", "--lake", lake.uri, "--currency", "SOL").code == 2


PLAIN = [view for view in VIEWS if not view.parameters]
# Of a table, of several, of days, and one that reads another view.
SOME = [view for view in PLAIN if view.name in ("gaps", "rolls", "candles_daily", "index_basis")]


@pytest.mark.parametrize("view", slow_but(SOME, PLAIN), ids=lambda v: v.name)
def test_a_view_is_scanned_as_a_table_is(market_lake: Lake, view: View) -> None:
    found = market_lake.scan(view.name)
    assert found.collect_schema() == {c.name: c.type.polars for c in view.columns}
    expected = market_lake.sql(f"FROM {view.name}")
    assert_frame_equal(found.collect(), expected, check_row_order=False)
    name = view.columns[0].name
    kept = pl.col(name).is_in(expected[name].sort().head(1).to_list())
    assert_frame_equal(
        found.filter(kept).select(name).collect(),
        expected.filter(kept).select(name),
        check_row_order=False,
    )
    assert found.head(2).collect().height == min(2, expected.height)


def test_what_cannot_be_scanned_is_named(market_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"sql\(\"FROM term_structure\('2024-04-05 11:59'\)\"\)"):
        market_lake.scan("term_structure")
    with pytest.raises(LakeError, match=r"no view; the tables are .*, the views .* candles_hourly"):
        market_lake.scan("candles_weekly")
    with pytest.raises(LakeError, match="There is no lake"):
        open_lake(str(tmp_path / "none")).scan("gaps")
