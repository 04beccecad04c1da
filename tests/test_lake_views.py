"""The derived views: declarations, gaps, the term structure, full hours and days."""

import tempfile
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from basislake.simulator import changes
from basislake.simulator.faults import Changed
from basislake.simulator.server import SimulatedExchange
from docs.write import FOLDER, pages
from ingest.datasets.candles import candles_of
from lake import Lake
from lake import open as open_lake
from lake.coverage import Coverage, to_table
from lake.errors import LakeError
from lake.query import duck
from lake.query.duck_rows import SQL_TYPES
from lake.query.views import VIEWS, View
from lake.query.views.proofs import DELIVERY_PROOF, FUNDING_PROOF, INDEX_CHAIN
from lake.tables import CANDLES, QUALITY
from lake.time.intervals import MINUTE, Span, merge
from tests import session
from tests.lakes import Row, basis_row, built_lake, candle, copied, instrument, interval, lake_of
from tests.market import basislake, fetch, small_market
from tests.profiles import examples
from tests.strategies import T0, minute, span
from tests.tiers import slow_but
from transforms.quality import period_figures, quality

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


def ask(lake: Lake, query: str) -> list[tuple[object, ...]]:
    return lake.sql(query).rows()


@pytest.fixture(scope="session")
def gapped() -> Lake:
    """A lake for which the exchange lacked a minute of everything, and some of one future."""
    return session.once("gapped", _gapped)


def _gapped(folder: Path) -> Lake:
    universe = small_market(weeks=1)
    start_ms = universe.now_ms // 60_000 * 60_000 - 3_000 * 60_000
    alone = [start_ms + i * 60_000 for i in range(100, 115)]
    name = next(
        n for n, c in universe.contracts.items() if c.expires_ms and c.expires_ms > alone[-1]
    )
    with SimulatedExchange(universe) as server:
        lacked = Changed(changes.drop_minutes(start_ms))
        server.faults.add("get_tradingview_chart_data", None, lacked, minute_ms=start_ms)
        for ms in alone:
            dropped = Changed(changes.drop_minutes(*alone))
            server.faults.add(
                "get_tradingview_chart_data", None, dropped, instrument=name, minute_ms=ms
            )
        fetch(server, open_lake(str(folder)))
        return built_lake(folder, server)


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


# Gaps


def test_gaps_are_what_comes_after_the_first_candle_and_is_not_present(tmp_path: Path) -> None:
    tiles = [(0, 5, "no_data"), (5, 9, "present"), (9, 12, "missing"), (12, 13, "failed")]
    tiles += [(13, 20, "present"), (20, 40, "never_asked"), (40, 41, "present")]
    rows = [interval("A", minute(start), minute(end), status) for start, end, status in tiles]
    lake = lake_of(tmp_path, coverage=[*rows, interval("B", minute(0), minute(9), "failed")])
    assert ask(lake, "FROM gaps") == [
        ("A", minute(9), minute(12), 3, "missing", None),
        ("A", minute(12), minute(13), 1, "failed", None),
        ("A", minute(20), minute(40), 20, "never_asked", None),
    ]


@pytest.mark.parametrize(
    ("others", "silent"),
    [
        ([], None),
        ([(0, 9, "failed")], None),
        ([(0, 9, "no_data")], None),
        ([(0, 5, "present"), (5, 7, "failed"), (7, 9, "present")], None),
        ([(0, 5, "present"), (5, 7, "missing"), (7, 9, "present")], True),
        ([(0, 6, "present"), (6, 9, "missing")], False),
        ([(0, 9, "present")], False),
    ],
)
def test_the_venue_was_silent_where_others_were_answered_without_a_candle(
    tmp_path: Path, others: list[tuple[int, int, str]], *, silent: bool | None
) -> None:
    own = [(0, 5, "present"), (5, 7, "missing"), (7, 9, "present")]
    lake = lake_of(
        tmp_path,
        coverage=[interval("A", minute(a), minute(b), status) for a, b, status in own]
        + [interval("B", minute(a), minute(b), status) for a, b, status in others],
    )
    found = ask(lake, "SELECT start, venue_silent FROM gaps WHERE instrument = 'A'")
    assert found == [(minute(5), silent)]


def test_gaps_of_a_lake_with_gaps_say_where_the_whole_venue_was_silent(gapped: Lake) -> None:
    found = gapped.sql("FROM gaps")
    assert set(found["status"]) == {"missing"}
    everywhere = found.filter(minutes=1)
    assert everywhere["start"].n_unique() == 1
    assert everywhere["venue_silent"].all()
    assert everywhere.height > 2
    alone = found.filter(minutes=15)
    assert (alone.height, alone["venue_silent"].to_list()) == (1, [False])
    assert alone.height + everywhere.height == found.height
    text = basislake(None, "sql", "@long-gaps", "--lake", gapped.uri, "--json").json
    assert [row["absent_minutes"] for row in text] == [15]


def test_gaps_and_quality_agree_in_a_lake_with_gaps(gapped: Lake) -> None:
    query = """
        SELECT instrument, sum(minutes) AS missing_minutes, count(*) AS gaps,
               count_if(minutes > 10) AS gaps_over_10m, max(minutes) AS longest_gap_minutes
        FROM gaps GROUP BY instrument ORDER BY instrument
    """
    by_view = gapped.sql(query)
    by_rows = gapped.scan("quality").filter(pl.col("gaps") > 0).sort("instrument").collect()
    assert by_view.height > 2
    assert by_view.equals(by_rows.select(by_view.columns))


@examples(30)
@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30), st.booleans()), max_size=6),
)
def test_gaps_that_touch_are_together_one_gap_of_quality(
    held: set[int], asks: list[tuple[int, int, bool]]
) -> None:
    """Whatever was asked, in whatever order, and answered or not, also where a month ends within a
    gap.
    """
    known = Coverage()
    came: set[int] = set()
    new_year = 30
    held = {m - new_year for m in held}
    for first, length, is_answered in [(min(held) + new_year, 1, True), *asks]:
        start = first - new_year
        asked = span(start, start + length)
        if is_answered:
            now = {m for m in held if start <= m < start + length}
            known.answer(asked, [span(m, m + 1) for m in now])
            came |= now
        else:
            known.fail(asked)
    coverage = to_table({candles_of("A"): known}, {"A": minute(-new_year)})
    raw = pl.DataFrame([candle("A", minute(m), 1.0) for m in sorted(came)], CANDLES.polars_schema)
    rows = period_figures(raw, raw, raw.clear())
    figures = quality(rows, {"A": coverage["end"].max()}, {})  # type: ignore[dict-item]
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_of(Path(folder), coverage=coverage.to_dicts(), quality=figures.to_dicts())
        found = ask(lake, 'SELECT start, "end" FROM gaps')
        (row,) = lake.read(QUALITY).to_dicts()
    runs = merge(Span(*times) for times in found)  # type: ignore[arg-type]
    assert row["gaps"] == len(runs)
    assert row["missing_minutes"] == sum(run.minutes for run in runs)
    assert row["longest_gap_minutes"] == max((run.minutes for run in runs), default=0)


# The term structure


def test_the_term_structure_holds_the_rows_of_that_very_minute(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, instruments=FUTURES, basis=BASIS)
    columns = "coin, instrument, basis_pct, future_traded, perpetual_traded, suspect"
    for moment in (minute(0), minute(0) + timedelta(seconds=59.999999)):
        assert ask(lake, f"SELECT {columns} FROM term_structure('{moment}')") == [
            ("BTC", SOON, 1.0, False, True, False),
            ("BTC", LATE, -2.0, True, True, True),
        ]
    later = ask(lake, f"SELECT {columns} FROM term_structure('{minute(1)}')")
    assert later == [("BTC", SOON, 3.0, True, False, False)]
    assert ask(lake, f"FROM term_structure('{minute(2)}')") == []


ETH = instrument("ETH-3JAN24", EXPIRY)


def test_each_coin_has_the_curve_of_its_own_newest_minute(tmp_path: Path) -> None:
    rows = [*BASIS, basis_row("ETH-3JAN24", minute(0), EXPIRY, 4.0)]
    lake = lake_of(tmp_path, instruments=[*FUTURES, ETH], basis=rows)
    columns = "coin, ts, instrument, term, basis_pct"
    assert ask(lake, f"SELECT {columns} FROM term_structure_latest") == [
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
        assert ask(lake, f"SELECT {columns} FROM {view}") == [(SOON, 3, 6), (LATE, None, 6)]
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


# Hours and days


def test_a_day_starts_at_eight(tmp_path: Path) -> None:
    eight = T0 + timedelta(hours=8)
    rows = [
        candle(LATE, eight - MINUTE, 5.0, suspect=True),
        candle(LATE, eight, 6.0, high=9.0, volume=0.5, cost=3.0, traded=True),
        candle(LATE, eight + timedelta(hours=24) - MINUTE, 7.0, low=2.0, volume=1.5, cost=9.0),
    ]
    lake = lake_of(tmp_path, instruments=FUTURES, candles=rows)
    yesterday = eight - timedelta(days=1)
    assert ask(lake, "FROM candles_daily ORDER BY ts") == [
        (LATE, yesterday, 5.0, 5.0, 5.0, 5.0, 0.0, 0.0, 1, 0, 1),
        (LATE, eight, 6.0, 9.0, 2.0, 7.0, 2.0, 12.0, 2, 1, 0),
    ]


def test_the_last_annualised_basis_of_a_life_is_from_before_the_final_hour(tmp_path: Path) -> None:
    times = [EXPIRY - timedelta(minutes=left) for left in (62, 61, 60, 1)]
    rows = [basis_row(SOON, ts, EXPIRY, i * 1.0) for i, ts in enumerate(times)]
    lake = lake_of(tmp_path, instruments=FUTURES, basis=rows)
    ((*figures, annualised, minutes, traded, suspect),) = ask(
        lake, "SELECT * EXCLUDE (instrument, ts) FROM basis_daily"
    )
    assert figures == [0.0, 3.0, 1.5, 0.0, 3.0]
    assert annualised == rows[1]["annualised_pct"]
    assert (minutes, traded, suspect) == (4, 4, 0)


prices = st.floats(1e-3, 1e6)
periods = pytest.mark.parametrize(
    ("period", "length"), [("hourly", timedelta(hours=1)), ("daily", timedelta(days=1))]
)


def start_of(ts: datetime, length: timedelta) -> datetime:
    eight = T0 - timedelta(hours=16)
    return eight + (ts - eight) // length * length


@periods
@examples(20)
@given(held=st.dictionaries(st.integers(0, 3_000), st.tuples(prices, prices, st.booleans())))
def test_rolled_up_candles_are_as_one_would_work_them_out(
    period: str, length: timedelta, held: dict[int, tuple[float, float, bool]]
) -> None:
    rows = [
        candle(
            SOON, minute(m), b, open=a, high=max(a, b), low=min(a, b), volume=a, cost=b, traded=t
        )
        for m, (a, b, t) in sorted(held.items())
    ]
    expected = [
        (
            SOON,
            ts,
            group[0]["open"],
            max(row["high"] for row in group),
            min(row["low"] for row in group),
            group[-1]["close"],
            pytest.approx(sum(row["volume"] for row in group)),
            pytest.approx(sum(row["cost"] for row in group)),
            len(group),
            sum(row["traded"] for row in group),
            0,
        )
        for ts, found in groupby(rows, lambda row: start_of(row["ts"], length))
        if (group := list(found))
    ]
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_of(Path(folder), candles=rows)
        assert ask(lake, f"FROM candles_{period} ORDER BY ts") == expected


@periods
@examples(20)
@given(
    held=st.dictionaries(
        st.integers(0, 2_879), st.tuples(st.floats(-50, 50), st.booleans(), st.booleans())
    )
)
def test_the_rolled_up_basis_is_as_one_would_work_it_out(
    period: str, length: timedelta, held: dict[int, tuple[float, bool, bool]]
) -> None:
    rows = [
        basis_row(SOON, minute(m), EXPIRY, pct, future_traded=traded, suspect=suspect)
        for m, (pct, traded, suspect) in sorted(held.items())
    ]
    expected = []
    for ts, found in groupby(rows, lambda row: start_of(row["ts"], length)):
        group = list(found)
        pcts = [row["basis_pct"] for row in group]
        annualised = [r["annualised_pct"] for r in group if r["annualised_pct"] is not None]
        mean = pytest.approx(sum(pcts) / len(pcts), abs=1e-12)
        last = annualised[-1] if annualised else None
        figures = (pcts[0], pcts[-1], mean, min(pcts), max(pcts), last, len(group))
        counts = (sum(r["future_traded"] for r in group), sum(r["suspect"] for r in group))
        expected.append((SOON, ts, *figures, *counts))
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_of(Path(folder), basis=rows)
        assert ask(lake, f"FROM basis_{period} ORDER BY ts") == expected


@pytest.mark.slow
def test_the_roll_ups_of_a_built_lake_lose_no_minute(gapped: Lake) -> None:
    for table in ("candles", "basis"):
        for period in ("hourly", "daily"):
            rolled = f"SELECT instrument, sum(minutes) AS n FROM {table}_{period} GROUP BY 1"
            plain = f"SELECT instrument, count(*) AS n FROM {table} GROUP BY 1"
            assert ask(gapped, f"{rolled} ORDER BY 1") == ask(gapped, f"{plain} ORDER BY 1")
    whole = gapped.sql("FROM candles_daily WHERE instrument = 'BTC-PERPETUAL' ORDER BY ts")
    assert all(b - a == timedelta(days=1) for a, b in pairwise(whole["ts"]))


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


@pytest.mark.parametrize("kind", ["candles", "basis"])
@pytest.mark.parametrize("period", ["hourly", "daily"])
def test_roll_ups_come_by_instrument_and_time(market_lake: Lake, kind: str, period: str) -> None:
    found = market_lake.sql(f"SELECT instrument, ts FROM {kind}_{period}")
    assert found.height > 10
    assert found.rows() == sorted(found.rows())
