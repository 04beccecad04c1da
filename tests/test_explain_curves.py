"""How calendar spreads and rates of constant maturity came about, or what is missing for them."""

from datetime import datetime, timedelta

import pytest

from basislake.cli.commands.explain import explain as command
from basislake.explain.carry import CarryExplanation
from basislake.explain.curves import Maturity, explain_maturity, explain_spread
from lake import Lake
from lake.errors import UsageError
from lake.query.views.maturities import MATURITY_DAYS
from tests.carry_lakes import LIVES
from tests.lakes import basis_row, candle, instrument, lake_of
from tests.market import basislake

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
AT = datetime.fromisoformat("2024-03-20T11:59Z")


def values(found: CarryExplanation) -> dict[str, object]:
    return {step.column: step.value for step in found.formula}


def test_a_spread_is_worked_out_from_two_closes(carry_lake: Lake) -> None:
    found = explain_spread(carry_lake, "BTC-26APR24", AT + timedelta(seconds=9))
    row = found.row or {}
    assert (row["front"], row["back"]) == ("BTC-26APR24", "BTC-28JUN24")
    assert [side.instrument for side in found.sides] == ["BTC-26APR24", "BTC-28JUN24"]
    assert (found.agrees, found.reason) == (True, None)
    days = LIVES["28JUN24"][0] - LIVES["26APR24"][0]
    back, front = row["back_close"], row["front_close"]
    assert values(found)["spread"] == back - front
    yearly = (back / front - 1) * 36_500 / (days / DAY)
    assert values(found)["forward_pct"] == pytest.approx(yearly, rel=1e-12)
    done = basislake(
        None, "explain", "btc-26apr24", "2024-03-20T11:59Z", "--of", "spread", "--lake",
        carry_lake.uri,
    )  # fmt: skip
    assert f"({back!r} / {front!r} - 1) x 365" in done.out, done.err
    assert "The view has the same values" in done.out
    last = explain_spread(carry_lake, "BTC-27SEP24", AT)
    assert (last.row, last.reason) == (None, "No other open future of its coin expires after it.")
    early = explain_spread(carry_lake, "BTC-26APR24", AT - 30 * DAY)
    assert (early.row, "It was listed only at" in str(early.reason)) == (None, True)
    with pytest.raises(UsageError, match="explains a future"):
        explain_spread(carry_lake, "BTC-PERPETUAL", AT)


@pytest.mark.parametrize("reference", ["perpetual", "index"])
@pytest.mark.parametrize(
    ("method", "legs"),
    [
        ("forward", ["BTC-26APR24", "BTC-28JUN24"]),
        ("linear", ["BTC-26APR24", "BTC-28JUN24"]),
        ("nearest", ["BTC-26APR24"]),
    ],
)
def test_a_rate_of_constant_maturity_is_worked_out_from_its_legs(
    carry_lake: Lake, method: str, legs: list[str], reference: str
) -> None:
    found = explain_maturity(carry_lake, "BTC", AT, Maturity(60, method, reference))
    assert (found.at, found.agrees, found.reason) == (AT, True, None)
    row = found.row or {}
    assert [row["nearer"], row["farther"]] == [legs[0], legs[-1]]
    futures = [side.instrument for side in found.sides if side.kind == "future"]
    assert futures == legs
    if reference == "index":
        assert [len(given.rows) for given in found.inputs] == [1]
    else:
        assert found.sides[-1].instrument == "BTC-PERPETUAL"
    assert values(found)["annualised_pct"] == pytest.approx(row["annualised_pct"], rel=1e-11)


def test_what_a_rate_of_constant_maturity_lacks_is_named(carry_lake: Lake) -> None:
    found = explain_maturity(carry_lake, "BTC", AT, Maturity(7))
    assert (found.row or {})["annualised_pct"] is None
    assert (found.formula, found.agrees) == ([], None)
    done = basislake(
        None, "explain", "BTC", "2024-06-20T11:59Z", "--of", "maturity", "--days", "180",
        "--lake", carry_lake.uri, "--json",
    ).json  # fmt: skip
    assert found.reason == "No future expires within 7 days; nothing is extrapolated."
    assert done["row"]["annualised_pct"] is not None
    with pytest.raises(UsageError, match="no future of 'SOL'; it has futures of BTC, ETH"):
        explain_maturity(carry_lake, "SOL", AT, Maturity())


def test_a_future_that_is_passed_over_is_named_with_the_reason(tmp_path: object) -> None:
    names = {"BTC-A": 40, "BTC-B": 50, "BTC-C": 80, "BTC-D": 100}
    closes = {"BTC-PERPETUAL": 100.0, "BTC-A": 101.0, "BTC-B": 102.0, "BTC-D": 104.0}
    expiries = {name: AT + days * DAY for name, days in names.items()}
    lake = lake_of(
        tmp_path,  # type: ignore[arg-type]
        instruments=[
            instrument("BTC-PERPETUAL"), *(instrument(n, at) for n, at in expiries.items())
        ],
        candles=[candle(name, AT, close) for name, close in closes.items()],
        basis=[
            basis_row(name, AT, expiries[name], closes[name] - 100, suspect=name == "BTC-B")
            for name in ("BTC-A", "BTC-B", "BTC-D")
        ],
    )  # fmt: skip
    found = explain_maturity(lake, "BTC", AT, Maturity(60))
    assert (found.agrees, [s.instrument for s in found.sides][:4]) == (True, list(names))
    text = str(found.reason)
    assert "BTC-B: A warning rule marked its row as suspect" in text
    assert "BTC-C: It was never fetched" in text
    assert "BTC-A:" not in text
    beyond = explain_maturity(lake, "BTC", AT, Maturity(120))
    assert "No future expires at 120 days or beyond" in str(beyond.reason)
    assert beyond.formula == []


def test_the_command_offers_the_distances_of_the_view() -> None:
    (days,) = (option for option in command.params if option.name == "days")
    assert [int(each) for each in days.type.choices] == list(MATURITY_DAYS)  # type: ignore[attr-defined]
