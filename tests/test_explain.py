"""`explain`: the origin of one number of the basis, or the reason why there is none."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake import PROGRAM
from basislake.explain.basis import explain
from basislake.explain.basis_formulas import number, steps
from ingest.backfill.run_records import runs
from ingest.plan.windows import minutes_of
from lake import Lake
from lake import open as open_lake
from lake.errors import UsageError
from lake.snapshot import Snapshot
from lake.state import State
from lake.table import Table
from lake.tables import CANDLES, INSTRUMENTS
from tests.lakes import append, ask, instrument, record
from tests.market import basislake
from tests.staged import UNIVERSE, Staged, built
from tests.strategies import T0, candles, minute
from transforms.basis import basis
from transforms.rules import ERRORS

FUTURE, PERPETUAL, LONELY = "BTC-5JAN24", "BTC-PERPETUAL", "ETH-5JAN24"

prices = st.floats(min_value=1e-3, max_value=1e7)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake in which a minute can lack its basis for every reason there is."""
    lake = open_lake(str(tmp_path_factory.mktemp("made") / "lake"))
    lives = {FUTURE: (10, 120), PERPETUAL: (0, None), LONELY: (0, 120)}
    records = [
        {**instrument(name, minute(end) if end else None), "listed_at": minute(start)}
        for name, (start, end) in lives.items()
    ]
    record(lake, records)
    broken = candles(1, 30, 170).with_columns(high=pl.lit(1.0))
    future = [candles(5, 15, 150), candles(9, 21, 156), broken, candles(59, 31, 171)]
    absent = candles(1, 50, 145).with_columns(close=pl.lit(None, dtype=pl.Float64))
    odd = candles(1, 70, 165).with_columns(cost=pl.lit(0.0))
    perpetual = [candles(40, 0), candles(9, 41, 136), absent, candles(19, 51, 146), odd]
    perpetual += [candles(39, 71, 166)]
    parts = {FUTURE: pl.concat(future), PERPETUAL: pl.concat(perpetual), LONELY: candles(5, 0)}
    number = append(lake, {name: [frame] for name, frame in parts.items()})
    tiles = [
        (FUTURE, 10, 15, "absent"), (FUTURE, 15, 20, "present"), (FUTURE, 20, 21, "absent"),
        (FUTURE, 20, 21, "absent"), (FUTURE, 21, 90, "present"), (FUTURE, 90, 95, "failed"),
        (FUTURE, 97, 100, "failed"),
        (PERPETUAL, 0, 40, "present"), (PERPETUAL, 40, 41, "absent"),
        (PERPETUAL, 40, 41, "absent"), (PERPETUAL, 41, 110, "present"), (LONELY, 0, 5, "present"),
    ]  # fmt: skip
    ask(lake, number, *((name, minute(a), minute(b), status) for name, a, b, status in tiles))
    built(lake)
    append(lake, {FUTURE: [candles(1, 92, 232)]})
    return lake


def test_of_two_runs_at_once_each_candle_has_its_own(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    record(lake, [instrument(FUTURE, minute(120)), instrument(PERPETUAL)])
    first, second = (append(lake, {name: [candles(9, 0)]}) for name in (FUTURE, PERPETUAL))
    # The second run recorded first what it had asked, at the same time by the clock.
    ask(lake, second, (PERPETUAL, minute(0), minute(9), "present"), run="two")
    ask(lake, first, (FUTURE, minute(0), minute(9), "present"), run="one")
    found = explain(lake, FUTURE, minute(4))
    runs_of = {side.instrument: side.fetched and side.fetched.run for side in found.sides}
    assert runs_of == {FUTURE: "one", PERPETUAL: "two"}


@given(prices, prices, st.integers(1, 400_000))
def test_the_formula_gives_the_row_of_basis_to_the_last_bit(
    future: float, perpetual: float, left: int
) -> None:
    expires_at = minute(left)
    one, other = (
        candles(1, 0, price).with_columns(
            instrument=pl.lit("A"), traded=pl.lit(value=True), suspect=pl.lit(value=False)
        )
        for price in (future, perpetual)
    )
    (row,) = basis(one.with_columns(expires_at=pl.lit(expires_at)), other).to_dicts()
    for step in steps(future, perpetual, T0, expires_at):
        assert row[step.column] == step.value, step.column


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_shown_with_all_its_digits(value: float) -> None:
    assert float(number(value)) == value
    assert not number(value).endswith(".0")


@pytest.mark.slow
def test_a_basis_is_explained_from_the_call_to_the_last_bit(staged: Staged) -> None:
    rows = staged.lake.scan("basis").collect().sort("instrument", "ts")
    names = [record["run"] for record in runs(staged.lake, 10)]
    for row in rows.gather_every(rows.height // 12).to_dicts():
        found = explain(staged.lake, row["instrument"], row["ts"] + timedelta(seconds=59))
        assert (found.ts, found.basis, found.agrees, found.reason) == (row["ts"], row, True, None)
        assert [side.kind for side in found.sides] == ["future", "perpetual"]
        for side in found.sides:
            rules = [rule.name for rule in ERRORS]
            assert [check.rule for check in side.checks] == rules
            assert all(check.passed for check in side.checks)
            assert side.raw is not None
            assert side.candle is not None
            assert side.candle["close"] == side.raw["close"]
            assert (side.status, side.reason) == ("present", None)
            assert any(tile["start"] <= row["ts"] < tile["end"] for tile in side.coverage)
            assert side.fetched is not None
            assert side.fetched.run in names
            assert side.fetched.window.start <= row["ts"] < side.fetched.window.end
            first, last = minutes_of(side.fetched.window)
            assert f"start_timestamp={first}&end_timestamp={last}" in side.fetched.call
            batch = side.fetched.batch
            held = [
                open_lake(staged.lake.uri, as_of=number)
                .scan("raw_candles")
                .filter(instrument=side.instrument, ts=row["ts"])
                .collect()
                .height
                for number in (batch - 1, batch)
            ]
            assert held == [0, 1]


@pytest.mark.slow
def test_a_number_is_explained_as_of_a_batch_as_it_was_then(staged: Staged, tmp_path: Path) -> None:
    expired = next(name for name in UNIVERSE.contracts if name != PERPETUAL)
    last = staged.first.content["basis"].filter(instrument=expired)["ts"][-1]
    found = explain(staged.lake, expired, last)
    assert found.made is not None
    assert (found.made.program, found.made.batch) == (PROGRAM, staged.last.batch)
    then = open_lake(staged.lake.uri, as_of=staged.first.batch)
    past = explain(then, expired, last)
    assert (past.basis, past.as_of) == (found.basis, staged.first.batch)
    assert past.sides[0].fetched == found.sides[0].fetched

    copy = staged.copy(tmp_path)
    built(copy, full=True)
    again = explain(copy, expired, last)
    assert again.made is not None
    assert again.made.build > found.made.build
    assert (again.made.batch, again.basis) == (staged.last.batch, found.basis)


@pytest.mark.parametrize(
    ("name", "number_", "code", "of", "message"),
    [
        (FUTURE, 5, "outside_life", FUTURE, "listed only at 2024-01-01 00:10Z"),
        (FUTURE, 120, "outside_life", FUTURE, "expired at 2024-01-01 02:00Z"),
        (FUTURE, 12, "no_data", FUTURE, "the first trade came later"),
        (FUTURE, 20, "missing", FUTURE, "A gap"),
        (FUTURE, 30, "quarantined", FUTURE, "it broke ohlc_order"),
        (FUTURE, 40, "missing", PERPETUAL, "A gap"),
        (FUTURE, 50, "quarantined", PERPETUAL, "it broke null_value"),
        (FUTURE, 91, "failed", FUTURE, "no usable answer"),
        (FUTURE, 92, "not_built", FUTURE, "not built yet"),
        (FUTURE, 95, "never_asked", FUTURE, "never fetched"),
        (FUTURE, 105, "never_asked", FUTURE, "never fetched"),
        (LONELY, 2, "no_perpetual", LONELY, "no perpetual of its coin"),
        (PERPETUAL, 40, "missing", PERPETUAL, "A gap"),
        (PERPETUAL, 200, "never_asked", PERPETUAL, "never fetched"),
    ],
)
def test_a_minute_without_a_basis_is_told_why(
    lake: Lake, name: str, number_: int, code: str, of: str, message: str
) -> None:
    found = explain(lake, name, minute(number_))
    assert (found.basis, found.agrees) == (None, None)
    assert found.reason is not None
    assert (found.reason.code, found.reason.instrument) == (code, of)
    assert message in found.reason.text


def at(lake: Lake) -> tuple[str, str]:
    return "--lake", lake.uri


def test_a_broken_candle_is_shown_with_the_rules_it_broke(lake: Lake) -> None:
    side = explain(lake, FUTURE, minute(30)).sides[0]
    assert {check.rule for check in side.checks if not check.passed} == {"ohlc_order"}
    assert side.quarantined == ["ohlc_order"]
    assert side.raw is not None
    assert side.raw["high"] == 1.0
    assert [tile["status"] for tile in side.coverage] == ["missing", "present", "failed"]


def test_a_candle_that_was_warned_of_is_kept_and_shown_with_the_warning(lake: Lake) -> None:
    found = explain(lake, FUTURE, minute(70))
    assert found.agrees is True
    assert [side.warnings for side in found.sides] == [
        ["cost_outside_range"],
        ["volume_without_cost"],
    ]
    shown = basislake(None, "explain", FUTURE, stamp(minute(70)), *at(lake))
    assert f"Warnings: {PERPETUAL}: volume_without_cost." in shown.out


def test_the_command_says_why_there_is_no_basis(lake: Lake) -> None:
    shown = basislake(None, "explain", FUTURE, stamp(minute(30)), *at(lake))
    assert shown.code == 0, shown.err
    message = (
        "Its candle is in quarantine because it broke ohlc_order. `basislake backfill --repair` "
        "asks for it again."
    )
    assert f"no basis, because of {FUTURE}. {message}" in shown.out
    assert "BROKEN" in shown.out
    found = basislake(None, "explain", FUTURE, stamp(minute(12)), *at(lake), "--json")
    assert found.code == 0, found.err
    assert (found.json["basis"], found.json["formula"]) == (None, [])
    assert found.json["reason"]["code"] == "no_data"


def test_what_joins_two_candles_that_no_build_has_joined_is_a_build(
    lake: Lake, tmp_path: Path
) -> None:
    found = explain(lake, FUTURE, minute(60))
    assert found.agrees is True
    bare = open_lake(str(tmp_path))
    record(bare, lake.read(INSTRUMENTS).to_dicts())
    assert explain(bare, FUTURE, minute(98)).reason is not None
    append(bare, {FUTURE: [candles(1, 60)]})
    reason = explain(bare, FUTURE, minute(60)).reason
    assert reason is not None
    assert reason.code == "not_built"


class Rebuilt(State):
    """A lake whose curated tables are made again whenever its candles were looked at."""

    def _open(self, table: Table) -> Snapshot:
        found = super()._open(table)
        if table is CANDLES:
            built(Lake(self.uri), full=True)
        return found


@pytest.mark.slow
def test_while_a_build_goes_on_a_number_is_explained_from_one_state(
    staged: Staged, tmp_path: Path
) -> None:
    lake = staged.copy(tmp_path)
    row = lake.scan("basis").last().collect().row(0, named=True)
    before = explain(lake, row["instrument"], row["ts"])
    found = explain(Rebuilt(lake), row["instrument"], row["ts"])
    assert found == before


def test_of_a_perpetual_the_candle_is_explained(staged: Staged) -> None:
    ts = staged.last.content["candles"].filter(instrument=PERPETUAL)["ts"][7]
    found = explain(staged.lake, PERPETUAL, ts)
    assert (found.kind, found.reason, found.formula) == ("perpetual", None, [])
    assert found.sides[0].candle is not None
    shown = basislake(None, "explain", "btc-perpetual", stamp(ts), *at(staged.lake))
    assert shown.code == 0, shown.err
    assert "its candle passed validation; a perpetual has no basis" in shown.out


def stamp(ts: datetime) -> str:
    return f"{ts:%Y-%m-%dT%H:%M:%SZ}"


def test_the_command_shows_the_numbers_in_the_formula(staged: Staged) -> None:
    row = (
        staged.last.content["basis"]
        .filter(pl.col("annualised_pct").is_not_null())
        .row(-1, named=True)
    )
    name, ts = row["instrument"], stamp(row["ts"])
    shown = basislake(None, "explain", name, ts, *at(staged.lake))
    assert shown.code == 0, shown.err
    future, perpetual = number(row["future_close"]), number(row["perpetual_close"])
    for message in (
        f"{future} - {perpetual}",
        f"{number(row['basis'])} / {perpetual} x 100",
        f"{number(row['basis_pct'])} x 365 / {number(row['days_to_expiry'])}",
        number(row["annualised_pct"]),
        "The lake has exactly these values.",
        "public/get_tradingview_chart_data?instrument_name=",
        "ohlc_order",
        f"as of batch {staged.last.batch}",
    ):
        assert message in shown.out, message

    found = basislake(None, "explain", name, ts, *at(staged.lake), "--json").json
    assert found["instrument"] == name
    assert found["basis"]["basis"] == row["basis"]
    assert {step["column"]: step["value"] for step in found["formula"]} == {
        column: row[column]
        for column in (
            "basis", "basis_pct", "days_to_expiry", "annualised_pct", "market_structure",
        )
    }  # fmt: skip
    assert [side["instrument"] for side in found["sides"]] == [name, PERPETUAL]
    window = found["sides"][0]["fetched"]["window"]
    assert window["start"] <= f"{ts[:16]}:00Z" < window["end"]
    assert found["as_of"] == staged.last.batch


def test_options_of_a_maturity_are_wrong_usage_for_another_number(lake: Lake) -> None:
    for extra in (["--days", "30"], ["--of", "carry", "--method", "linear"]):
        done = basislake(None, "explain", FUTURE, stamp(minute(60)), *extra, *at(lake))
        assert done.code == 2
        assert f"{extra[-2]} goes with `--of maturity` only" in done.err


def test_wrong_questions_are_usage_errors(staged: Staged, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no instrument 'BTC-1JAN99'"):
        explain(staged.lake, "BTC-1JAN99", T0)
    for name, time, message in (
        ("BTC-1JAN99", "2024-04-01", "has no instrument 'BTC-1JAN99'"),
        ("BTC-PERPETUEL", "2024-04-01", "Did you mean BTC-PERPETUAL"),
        (PERPETUAL, "yesterday", "not a UTC date or time"),
        (PERPETUAL, "1850-01-01", "not in the years"),
    ):
        done = basislake(None, "explain", name, time, *at(staged.lake))
        assert (done.code, message in done.err) == (2, True), done.err
        assert "Traceback" not in done.err
    done = basislake(None, "explain", PERPETUAL, "2024-04-01", "--lake", tmp_path / "none")
    assert (done.code, "There is no lake at" in done.err) == (1, True)
