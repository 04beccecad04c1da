"""The verb `carry`, and the example queries of carry, on a lake with complete data."""

import re
from pathlib import Path

import polars as pl
import pytest

from basislake.sql.examples.carry import CARRY
from lake import Lake
from lake.carry_tables import FUNDING
from tests.carry_lakes import END, HOUR, LIVES, MINUTE, START
from tests.lakes import copied, fill, mark_built
from tests.market import basislake

QUERIES = {each.name: each.sql for each in CARRY}


def ask(lake: Lake, name: str) -> pl.DataFrame:
    return lake.sql(QUERIES[name])


@pytest.mark.parametrize("name", [name for name in QUERIES if name != "carry-unknown"])
def test_an_example_query_of_carry_answers(carry_lake: Lake, name: str) -> None:
    found = ask(carry_lake, name)
    assert found.height > 0
    figures = found.select(pl.selectors.numeric() - pl.selectors.contains("change"))
    assert figures.width > 0
    # No future lies beyond the longest distances.
    most = 4 if name == "methods" else 0
    assert all(column.null_count() <= most * 2 for column in figures)


def test_example_queries_of_carry_agree_with_the_views(carry_lake: Lake) -> None:
    assert ask(carry_lake, "carry-unknown").is_empty()
    rolled = ask(carry_lake, "rolled-quarterly").filter(coin="BTC")
    assert rolled["instrument"].to_list() == ["BTC-29MAR24", "BTC-28JUN24"]
    assert rolled["rolled_at"].to_list() == [START, LIVES["29MAR24"][0]]
    assert rolled["total_net_pct"][-1] == pytest.approx(rolled["net_pct"].sum())
    realised = carry_lake.sql("FROM realised_carry WHERE days >= 7")
    by_quarter = ask(carry_lake, "carry-by-quarter")
    assert by_quarter["carries"].sum() == realised.height
    mean = (by_quarter["net_apr_pct"] * by_quarter["carries"]).sum() / realised.height
    assert mean == pytest.approx(realised["net_apr_pct"].mean())
    richest = ask(carry_lake, "richest").filter(coin="BTC")
    assert richest.select("front", "back").rows() == [("BTC-27SEP24", "BTC-27DEC24")]


def test_the_command_prints_what_the_view_has(carry_lake: Lake) -> None:
    at = ("--lake", carry_lake.uri)
    newest = basislake(None, "carry", *at, "--json").json
    expected = carry_lake.sql(f"FROM carry_at('{END - MINUTE}')")
    assert [row["instrument"] for row in newest["carry"]] == expected["instrument"].to_list()
    for name in ("perpetual_apr_pct", "index_apr_pct", "less_funding_30d_pct", "open_interest"):
        assert [row[name] for row in newest["carry"]] == expected[name].to_list()
        assert expected[name].null_count() == 0
    printed = basislake(None, "carry", *at, "--at", "2024-03-28T07:59Z", "--currency", "eth").out
    (row,) = carry_lake.sql("""
        FROM carry_at('2024-03-28 07:59') WHERE instrument = 'ETH-28JUN24'
    """).to_dicts()
    (line,) = (line for line in printed.splitlines() if line.startswith("ETH-28JUN24"))
    for name in ("perpetual_apr_pct", "index_apr_pct", "less_funding_7d_pct"):
        assert f"{row[name]:.2f}" in line.split()
    assert f"funding a year: {row['funding_7d_pct']:.2f} % over 7 days" in printed
    assert "BTC" not in printed
    curve = basislake(None, "curve", *at, "--json").json["curve"]
    assert [row["index_apr_pct"] for row in curve] == expected["index_apr_pct"].to_list()


def test_the_minute_before_is_shown_while_the_index_of_the_hour_is_still_to_come(
    carry_lake: Lake, tmp_path: Path
) -> None:
    lake = copied(carry_lake, tmp_path / "copy")
    hours = lake.read(FUNDING)
    for newest, shown in ((END - HOUR, END - 2 * MINUTE), (END - 2 * HOUR, END - MINUTE)):
        fill(lake, FUNDING, hours.filter(pl.col("hour_end") <= newest))
        mark_built(lake)
        found = basislake(None, "carry", "--lake", lake.uri, "--json")
        assert {row["ts"] for row in found.json["carry"]} == {f"{shown:%Y-%m-%dT%H:%M:%S}Z"}
    # `curve` shows the newest minute all the same, and how old the newest known index is.
    printed = basislake(None, "curve", "--lake", lake.uri, "--currency", "BTC").out
    price = lake.sql("SELECT arg_max(index_price, hour_end) FROM index_hourly "
                      "WHERE index_name = 'btc_usd'").item()  # fmt: skip
    assert (
        f"the index of {END:%H:%M}Z is not stored; the newest known is {price:.12g} of" in printed
    )
    assert f"{END - 2 * HOUR:%Y-%m-%d %H:%M}Z, 120 minutes older" in printed
    heading, *lines = (
        line for line in printed.splitlines() if "annualised" in line or "BTC-" in line
    )
    place = heading.index("index annualised %") + len("index annualised %") - 1
    assert [line[place] for line in lines] == ["-", "-"]


def test_what_is_missing_is_named_below_the_table(carry_lake: Lake) -> None:
    early = basislake(None, "carry", "--lake", carry_lake.uri, "--at", f"{START:%Y-%m-%dT%H:59Z}")
    assert early.code == 0
    lacking = r"Missing: (\d+) of (\d+) hours of funding are missing \(every future\)"
    text = re.findall(lacking, early.out)
    assert text == [("166", "168"), ("718", "720")] * 2
    late = basislake(None, "carry", "--lake", carry_lake.uri, "--at", "2024-08-01")
    assert (late.code, "No open future has a price in that minute" in late.err) == (1, True)
    assert "Missing: the future has no candle (every future)." in late.out
