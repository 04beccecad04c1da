"""`explain`: the origin of numbers of carry, or the data missing for them."""

from datetime import datetime, timedelta

import pytest

from basislake.explain.carry import explain_carry
from lake import Lake
from lake.errors import UsageError
from tests.lakes import asked, interval
from tests.market import basislake
from tests.test_lake_carry import DAY, END, HOUR, MINUTE, PERPETUAL, START, Market

MARKET = Market(3, 0.03)
HOLE = next(at for n in range(1, 99) if (at := START + n * HOUR) not in MARKET.paid)
QUERIES = {
    "carry": f"SELECT instrument, ts AS at FROM carry_at('{START + 30 * HOUR - MINUTE}')",
    "realised": "SELECT instrument, entry AS at FROM realised_carry LIMIT 4",
    "index": "SELECT instrument, hour_end AS at FROM index_basis USING SAMPLE 3 (reservoir, 1)",
    "premium": "SELECT instrument, hour_end AS at FROM perpetual_premium LIMIT 3",
    "funding": "SELECT instrument, ts AS at FROM funding_daily LIMIT 3",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A random market with gaps, and the raw rows, calls and coverage behind its funding."""
    first = START - 2 * DAY
    tiles = [
        ("present", first, HOLE - HOUR), ("missing", HOLE - HOUR, HOLE), ("present", HOLE, END)
    ]  # fmt: skip
    of = {"dataset": "funding"}
    present = [(PERPETUAL, start, end, "present") for _, start, end in (tiles[0], tiles[2])]
    return MARKET.lake(
        tmp_path_factory.mktemp("explained"),
        raw_funding=MARKET.funding(),
        asks=asked(*present, **of, window_start=first, window_end=END).to_dicts(),
        coverage=[
            {**interval(PERPETUAL, start, end, status), **of} for status, start, end in tiles
        ],
    )


@pytest.mark.parametrize("of", QUERIES)
def test_a_number_of_carry_is_worked_out_again_from_the_rows_behind_it(lake: Lake, of: str) -> None:
    rows = lake.sql(QUERIES[of]).rows()
    assert rows
    for name, at in rows:
        found = explain_carry(lake, of, name, at)
        assert found.row is not None
        assert (found.at, found.agrees) == (at, True)
        worked_out = {step.column: step.value for step in found.formula}
        assert all((found.row[c] is None) == (v is None) for c, v in worked_out.items())
        lacks = any(side.reason for side in found.sides)
        lacks |= any(len(given.rows) < given.expected for given in found.inputs)
        assert (found.reason is not None) == lacks
        for given in found.inputs:
            if given.table == "funding" and given.rows:
                (call,) = {fetched.call for fetched in given.fetched}
                start = int((START - 2 * DAY).timestamp() * 1000)
                assert f"_rate_history?instrument_name={PERPETUAL}&start_timestamp={start}" in call


def test_what_is_missing_is_named_with_what_is_known_of_it(lake: Lake) -> None:
    day = START + (HOLE - MINUTE - START) // DAY * DAY
    done = basislake(
        None, "explain", PERPETUAL, f"{day:%Y-%m-%d}", "--of", "funding", "--lake", lake.uri
    )
    assert done.code == 0, done.err
    hour = f"{HOLE - HOUR:%Y-%m-%d %H:%M}Z to {HOLE:%Y-%m-%d %H:%M}Z"
    text = "the exchange was asked more than once, and each answer lacked it"
    assert f"Missing: {hour}: {text}." in done.out
    assert "`funding` has 22 of 24 rows" in done.out
    assert "The view has the same values" in done.out
    found = basislake(
        None, "explain", "BTC-A", f"{START + DAY:%Y-%m-%d}", "--of", "realised", "--lake",
        lake.uri, "--json",
    ).json  # fmt: skip
    (paid,) = [given for given in found["inputs"] if given["table"] == "funding"]
    assert paid["expected"] == 48
    ends = [START + DAY + n * HOUR for n in range(1, 49)]
    assert len(paid["rows"]) == len([end for end in ends if end in MARKET.paid])


@pytest.mark.parametrize(
    ("of", "name", "at", "text"),
    [
        ("realised", "BTC-D", START + 2 * DAY, "It is open until"),
        ("realised", "BTC-A", START + 9 * DAY, "It expired at"),
        ("carry", "BTC-A", START + 9 * DAY, "It expired at"),
        ("carry", "BTC-C", START, "listed only at"),
    ],
)
def test_where_there_is_no_row_the_reason_is_given(
    lake: Lake, of: str, name: str, at: datetime, text: str
) -> None:
    found = explain_carry(lake, of, name, at + timedelta(seconds=3))
    assert (found.row, found.agrees, found.formula) == (None, None, [])
    assert text in str(found.reason)


def test_a_perpetual_has_no_carry_and_a_future_no_premium(lake: Lake) -> None:
    for of, name in (("carry", PERPETUAL), ("premium", "BTC-A")):
        with pytest.raises(UsageError, match=f"--of {of} explains a"):
            explain_carry(lake, of, name, START)
