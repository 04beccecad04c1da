from collections.abc import Sequence
from datetime import datetime

import polars as pl
import pytest

from ingest.plan.selection import Selection, choose, select
from lake.errors import UsageError
from lake.tables import INSTRUMENTS
from lake.time.intervals import Span
from tests.lakes import instrument
from tests.strategies import minute, span

NAMES = ("BTC-28JUN19", "BTC-27SEP19", "BTC-PERPETUAL", "ETH-28JUN19", "ETH-PERPETUAL")


def known(names: Sequence[str] = NAMES) -> pl.DataFrame:
    expiries = [None if "PERPETUAL" in name else minute(10**6) for name in names]
    rows = [
        {**instrument(name, expires_at), "listed_at": minute(i)}
        for i, (name, expires_at) in enumerate(zip(names, expiries, strict=True))
    ]
    return pl.DataFrame(rows, INSTRUMENTS.polars_schema)


def chosen(selection: Selection, names: Sequence[str] = NAMES) -> list[str]:
    return choose(known(names), selection)["instrument"].to_list()


def test_all_are_chosen_by_default_perpetuals_first_then_the_oldest() -> None:
    expected = ["BTC-PERPETUAL", "ETH-PERPETUAL", "BTC-28JUN19", "BTC-27SEP19", "ETH-28JUN19"]
    assert chosen(select()) == expected


@pytest.mark.parametrize(
    "values", [["a,B", " C "], ["A,b,,c,"], ["A\nB\nC\n"], ["a B\tC"], ["A,\r\nB,\r\nC"]]
)
def test_values_may_be_repeated_or_separated_by_commas_and_white_space_in_any_case(
    values: list[str],
) -> None:
    assert select(names=values).names == ("A", "B", "C")
    assert select(["btc eth", ""]).currencies == ("BTC", "ETH")


def test_a_coin_chooses_its_futures_and_its_perpetual() -> None:
    assert chosen(select(["ETH"])) == ["ETH-PERPETUAL", "ETH-28JUN19"]


def test_a_future_brings_its_perpetual_once() -> None:
    assert chosen(select(names=["BTC-27SEP19"])) == ["BTC-PERPETUAL", "BTC-27SEP19"]
    both = select(names=["BTC-27SEP19,BTC-PERPETUAL"])
    assert chosen(both) == ["BTC-PERPETUAL", "BTC-27SEP19"]


def test_a_perpetual_brings_nothing_and_a_missing_one_is_no_error() -> None:
    assert chosen(select(names=["ETH-PERPETUAL"])) == ["ETH-PERPETUAL"]
    assert chosen(select(), ["BTC-28JUN19"]) == ["BTC-28JUN19"]
    assert chosen(select(), []) == []


def test_an_unknown_name_is_a_usage_error_that_names_it() -> None:
    with pytest.raises(UsageError, match="'BTC-26JUL19', 'X'"):
        chosen(select(names=["X", "BTC-28JUN19", "BTC-26JUL19"]))


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["BTC-028JUN19"], "Did you mean BTC-28JUN19"),
        (["btc_perpetual"], "Did you mean BTC-PERPETUAL"),
        (["BTC-028JUN19", "ETH-PERP"], "Did you mean BTC-28JUN19, ETH-PERPETUAL?"),
        (["SOL"], None),
    ],
)
def test_names_that_are_like_an_unknown_one_are_shown(names: list[str], hint: str | None) -> None:
    with pytest.raises(UsageError, match="has no instrument") as caught:
        chosen(select(names=names))
    assert hint in str(caught.value) if hint else "Did you mean" not in str(caught.value)


def test_an_unknown_coin_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="SOL"):
        select(["BTC,SOL"])


@pytest.mark.parametrize("until", [minute(5), minute(4)])
def test_an_empty_range_of_time_is_a_usage_error(until: datetime) -> None:
    with pytest.raises(UsageError, match="--since must be before --until"):
        select(since=minute(5), until=until)


def test_an_open_end_of_the_range_reaches_past_every_life() -> None:
    assert select().span is None
    assert select(since=minute(1), until=minute(5)).span == span(1, 5)
    for selection in (select(since=minute(1)), select(until=minute(1))):
        chosen_span = selection.span
        assert chosen_span is not None
        assert chosen_span.meets(Span(minute(0), minute(2)))
        assert chosen_span.end - chosen_span.start > minute(10**7) - minute(0)
