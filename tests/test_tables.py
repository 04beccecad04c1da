"""Tables: values as text, columns that fit a terminal, and all of it in a pipe."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from math import nan

import pytest

from basislake.output.columns import Heading, Kind, is_numeric, texts
from basislake.output.fitting import Extent, Fitted, extent, fit
from basislake.output.tables import print_figures
from basislake.output.wrapping import wrapped
from lake import Lake
from lake.counted_words import counted
from tests.market import basislake
from tests.terminals import lines_on_a_terminal

DAY = datetime(2024, 3, 1, tzinfo=UTC)
NOON = datetime(2024, 3, 1, 12, 30, 9, tzinfo=UTC)
MINUTE = "2024-04-05T10:00Z"


@pytest.mark.parametrize(
    ("column", "values", "is_right"),
    [
        (Heading("rate", decimals=2), [None, None], True),
        (Heading("close", Kind.EXACT), [None], True),
        (Heading("candles"), [None, 1], True),
        (Heading("name"), [None], False),
        (Heading("traded"), [True, None], False),
    ],
)
def test_a_column_of_numbers_is_aligned_to_the_right_also_without_any(
    column: Heading,
    values: list[object],
    is_right: bool,  # noqa: FBT001
) -> None:
    assert is_numeric(column, values) == is_right


@pytest.mark.parametrize(
    ("column", "values", "shown"),
    [
        (Heading("candles"), [1_234_567, 0, None], ["1,234,567", "0", "-"]),
        (Heading("year", Kind.PLAIN), [2019, 12_345], ["2019", "12345"]),
        (Heading("size", Kind.SIZE), [0, 999, 40_707_496], ["0 B", "999 B", "40.7 MB"]),
        # One number of decimals in a column.
        (Heading("close"), [67.944, 64.27429, 0.0, 0.28634],
         ["67.944", "64.274", "0.000", "0.286"]),
        (Heading("close"), [75300.0, 46312.5], ["75300.0", "46312.5"]),
        (Heading("volume"), [10.0, 250.0], ["10", "250"]),
        (Heading("price"), [37849.036912, 1.0], ["37849.04", "1.00"]),
        (Heading("basis"), [1782.5 - 1784.45, 5.3], ["-1.95", "5.30"]),
        (Heading("basis_pct"), [0.28634123, -0.0113456], ["0.2863", "-0.0113"]),
        # Nearly nothing is not 0 %, and nearly all is not 100 %.
        (Heading("basis_pct"), [0.28634123, -0.0000123], ["0.28634", "-0.00001"]),
        (Heading("complete_pct"), [99.99812, 100.0], ["99.998", "100.000"]),
        (Heading("annualised_pct"), [12.3456, 7.0], ["12.35", "7.00"]),
        (Heading("days", decimals=2), [6.83404, 84.0], ["6.83", "84.00"]),
        (Heading("rate", Kind.PLAIN), [1e-17, 0.5, nan, 1e300],
         ["1.0e-17", "0.5", "nan", "1e+300"]),
        (Heading("value", Kind.EXACT), [0.2652519893899204, 4.75],
         ["0.2652519893899204", "4.7500000000000000"]),
        (Heading("dec", Kind.PLAIN), [Decimal("1.50"), Decimal("20.00")], ["1.50", "20.00"]),
        # A date without a time is a date.
        (Heading("month", Kind.PLAIN), [DAY, date(2024, 2, 1)], ["2024-03-01", "2024-02-01"]),
        (Heading("ts", Kind.TIME), [DAY], ["2024-03-01 00:00Z"]),
        (Heading("now", Kind.PLAIN), [DAY, NOON], ["2024-03-01 00:00:00Z", "2024-03-01 12:30:09Z"]),
        (Heading("at", Kind.PLAIN), [NOON.replace(tzinfo=None, second=0)], ["2024-03-01 12:30"]),
        (Heading("listed"), [DAY, NOON], ["2024-03-01 00:00Z", "2024-03-01 12:30Z"]),
        (Heading("rules", Kind.PLAIN), [["a", "b"], True], ['["a","b"]', "yes"]),
    ],
)  # fmt: skip
def test_values_of_a_column_are_written_alike(
    column: Heading, values: list[object], shown: list[str]
) -> None:
    assert texts(column, values) == shown


@pytest.mark.parametrize(
    ("extents", "available", "widths", "hidden"),
    [
        # All fit; prose gives way first; then the highest rank, then the one on the right.
        ([Extent(5, 5, 0), Extent(5, 40, 0)], 47, {0: 5, 1: 40}, []),
        ([Extent(5, 5, 0), Extent(5, 40, 0)], 30, {0: 5, 1: 23}, []),
        ([Extent(5, 5, 0), Extent(9, 9, 1), Extent(9, 9, 0)], 20, {0: 5, 2: 9}, [1]),
        ([Extent(5, 5, 0), Extent(9, 9, 0), Extent(9, 9, 0)], 20, {0: 5, 1: 9}, [2]),
        ([Extent(5, 5, 0), Extent(9, 9, 0)], None, {0: 5, 1: 9}, []),
        # The first column stays, and what cannot be broken is not.
        ([Extent(99, 99, 5), Extent(9, 9, 0)], 20, {0: 99}, [1]),
    ],
)
def test_columns_fit_what_is_available(
    extents: list[Extent], available: int | None, widths: dict[int, int], hidden: list[int]
) -> None:
    assert fit(extents, available, may_hide=True) == Fitted(widths, hidden)
    # Of a command without --wide nothing is hidden, since nothing could show it.
    kept = fit(extents, available, may_hide=False)
    assert (list(kept.widths), kept.hidden) == (list(range(len(extents))), [])


def test_prose_and_headings_wrap_between_words_and_numbers_do_not() -> None:
    prose = ["a sentence of rather many short words"]
    assert extent("what it finds", prose, 0, wraps=True) == Extent(20, 37, 0)
    assert extent("perpetual close", ["75274.5"], 0, wraps=False) == Extent(9, 15, 0)
    assert extent("start", ["2024-03-01 00:00Z"], 0, wraps=False) == Extent(17, 17, 0)


def test_results_of_a_query_have_no_commas_and_a_month_is_a_date(coin_lake: Lake) -> None:
    query = (
        "SELECT year(ts) + 0 AS year, date_trunc('month', min(ts)) AS month, 12345 AS n, "
        "TIMESTAMPTZ '2024-04-01 00:00Z' AS ts FROM candles GROUP BY ALL"
    )
    shown = basislake(None, "sql", query, "--lake", coin_lake.uri).out.splitlines()
    assert [line.split() for line in shown[:3]] == [
        ["1", "row"],
        ["year", "month", "n", "ts"],
        ["2024", "2024-04-01", "12345", "2024-04-01", "00:00Z"],
    ]


def test_figures_have_units_and_ids_have_no_commas(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures(
        "Build",
        {"candles": 1234, "bytes_written": 40_707_496, "raw_version": 1234, "seconds": 1.234},
    )
    assert capsys.readouterr().out.splitlines() == [
        "Build",
        "figure           value",
        "candles          1,234",
        "bytes written  40.7 MB",
        "raw version       1234",
        "seconds            1.2",
    ]


def test_prose_wraps_between_words_and_leaves_commands_whole() -> None:
    text = "  What failed is asked for again by `basislake backfill --repair`, and at once."
    assert wrapped(text, 40).splitlines() == [
        "  What failed is asked for again by",
        "  `basislake backfill --repair`, and at",
        "  once.",
    ]
    assert wrapped(text, None) == text


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 retry"), (0, "0 retries"), (1234, "1,234 retries")]
)
def test_one_is_singular(count: int, said: str) -> None:
    assert counted(count, "retry", "retries") == said


@pytest.mark.parametrize(
    ("verb", "hides_at"),
    [
        (["status"], {80: None, 120: None}),
        (["curve"], {80: True, 120: False}),
        (["carry"], {80: True, 140: False}),
        (["explain", "BTC-12APR24", MINUTE], {80: True, 120: False}),
        (["instruments", "--offline"], {80: True, 120: False}),
        (["scope"], {20: None}),
        (["health"], {40: None}),
        (["diff", "1", "1"], {40: None}),
        (["sql", "FROM basis LIMIT 3"], {80: True, 120: True}),
        (["sql", "FROM basis LIMIT 3", "--wide"], {80: False, 120: False}),
    ],
)
def test_a_table_fits_the_terminal_and_a_pipe_gets_all_of_it(
    verb: list[str],
    hides_at: dict[int, bool | None],
    coin_lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    piped = basislake(None, *verb, "--lake", coin_lake.uri).out
    for columns, hides in hides_at.items():
        seen = lines_on_a_terminal(columns, *verb, "--lake", coin_lake.uri, monkeypatch=monkeypatch)
        if "--wide" in verb:
            assert seen == [line.rstrip() for line in piped.splitlines()]
            continue
        text = " ".join(seen)
        notes = re.findall(r"(\d+) columns? hidden, --wide shows all", text)
        assert hides is None or bool(notes) == hides
        assert all(len(line) <= columns or len(line.split()) == 1 for line in seen)
        # Every word is whole.
        own = {*piped.split(), *notes, "column", "columns", "hidden", "--wide", "shows", "all:"}
        words = {word for line in seen for word in line.split() if "━" not in word}
        assert {word.rstrip(",") for word in words} <= {word.rstrip(",") for word in own}
    assert "hidden" not in piped
