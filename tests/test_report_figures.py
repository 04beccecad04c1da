"""The report's figures compared with the tables and views."""

import json
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

import polars as pl
import pytest

from basislake.report.basis import STEPS_A_LIFE
from basislake.report.carry import MOST_ENTRIES, REALISED
from basislake.report.facts import FIGURES, SECTIONS, Facts, from_json, gather, to_json
from basislake.report.lake_facts import lake_frames
from basislake.report.page import page
from lake import Lake
from lake.batches import newest_batch
from lake.query import duck
from lake.tables import CANDLES, COVERAGE, INSTRUMENTS
from tests.market import basislake
from tests.reporting import MADE_AT, figure

STATUSES = ["failed", "missing", "never_asked", "present", "no_data"]


def minutes(lake: Lake) -> pl.DataFrame:
    """Every minute of every life, with its status."""
    last = pl.col("end") - pl.duration(minutes=1)
    every = pl.datetime_ranges("start", last, "1m").alias("ts")
    return lake.read(COVERAGE).select("instrument", "status", every).explode("ts")


def test_a_cell_of_the_heat_map_is_the_worst_of_its_minutes(ailing: Lake, facts: Facts) -> None:
    month = pl.col("ts").dt.strftime("%Y-%m").alias("month")
    counted = minutes(ailing).group_by("instrument", month, "status").len()
    expected = counted.pivot("status", index=["instrument", "month"], values="len").fill_null(0)
    found = figure(facts, "coverage")
    assert found.height == expected.height
    for row in found.iter_rows(named=True):
        own = expected.row(
            by_predicate=(pl.col("instrument") == row["instrument"])
            & (pl.col("month") == row["month"]),
            named=True,
        )
        counts = {status: own.get(status, 0) for status in STATUSES}
        assert {status: row[status] for status in STATUSES} == counts
        assert row["worst"] == next(status for status in STATUSES if counts[status])
        assert row["is_slight"] == (counts[row["worst"]] < sum(counts.values()) / 100)
    assert set(found["worst"]) == {"failed", "missing", "present"}


def test_the_headline_counts_what_the_tables_hold(ailing: Lake, facts: Facts) -> None:
    of = facts.first("summary")
    for name in ("instruments", "raw_candles", "candles"):
        assert of[name] == ailing.scan(name).collect().height
    assert of["basis_rows"] == ailing.scan("basis").collect().height
    unmatched = ailing.sql("FROM unmatched").height
    assert (of["unmatched"], unmatched > 0) == (unmatched, True)
    by_status = dict(minutes(ailing).group_by("status").len().iter_rows())
    due = sum(by_status.values()) - by_status["no_data"]
    assert (of["present_minutes"], of["due_minutes"]) == (by_status["present"], due)
    assert of["covered_pct"] == pytest.approx(100 * by_status["present"] / due)


def test_the_curve_on_any_day_holds_every_days_last_minute(ailing: Lake, facts: Facts) -> None:
    basis = ailing.scan("basis").filter(~pl.col("suspect"), pl.col("annualised_pct").is_not_null())
    last = (pl.col("ts").dt.hour() == 23) & (pl.col("ts").dt.minute() == 59)
    expected = basis.filter(last).collect()
    found = figure(facts, "term-structure").explode("instruments", "days", "annualised_pct")
    assert found.height == expected.height
    key = pl.col("ts").dt.strftime("%Y-%m-%d %H:%M").alias("minute")
    both = expected.select(key, "instrument", "days_to_expiry", "annualised_pct").join(
        found, left_on=["minute", "instrument"], right_on=["minute", "instruments"]
    )
    assert both.height == expected.height
    assert (both["annualised_pct"] - both["annualised_pct_right"]).abs().max() <= 0.00501  # type: ignore[operator]
    assert (both["days_to_expiry"] - both["days"]).abs().max() <= 0.00501  # type: ignore[operator]


def test_the_quotes_are_those_of_the_newest_minute(ailing: Lake, facts: Facts) -> None:
    candles = ailing.scan("candles").join(ailing.scan("instruments"), on="instrument")
    for row in figure(facts, "quotes").iter_rows(named=True):
        own = candles.filter(base=row["coin"]).collect()
        perpetual = own.filter(kind="perpetual").sort("ts")
        newest = perpetual["ts"][-1]
        assert (row["minute"], row["price"]) == (f"{newest:%Y-%m-%d %H:%M}", perpetual["close"][-1])
        for name, days in (("1d", 1), ("7d", 7), ("30d", 30)):
            before = perpetual.filter(ts=newest - timedelta(days=days))["close"].to_list()
            changes = [pytest.approx(100 * (row["price"] / p - 1), abs=0.00501) for p in before]
            assert row[f"change_{name}_pct"] == (changes[0] if changes else None)
        day = own.filter(pl.col("ts") > newest - timedelta(days=1), pl.col("ts") <= newest)
        of_day = day.filter(~pl.col("suspect"), kind="perpetual")
        assert (row["low_1d"], row["high_1d"]) == (of_day["low"].min(), of_day["high"].max())
        for kind in ("perpetual", "future"):
            cost = day.filter(kind=kind)["cost"].sum()
            assert row[f"{kind.replace('re', 'res')}_cost_1d"] == pytest.approx(cost, abs=0.501)
        quarterly = ailing.sql(
            "SELECT arg_max(instrument, ts) AS front FROM front_quarterly WHERE coin = "
            f"'{row['coin']}'"
        )
        assert row["front_quarterly"] == quarterly["front"][0]


def test_the_spreads_are_those_of_neighbours_on_the_curve(ailing: Lake, facts: Facts) -> None:
    basis = ailing.scan("basis").join(ailing.scan("instruments"), on="instrument").collect()
    curve, spreads = figure(facts, "curve"), figure(facts, "spreads")
    for coin in ("BTC", "ETH"):
        own = basis.filter(base=coin).filter(pl.col("ts") == pl.col("ts").max())
        own = own.sort("days_to_expiry")
        shown = curve.filter(coin=coin)
        assert shown["instrument"].to_list() == own["instrument"].to_list()
        assert shown["annualised_pct"].to_list() == pytest.approx(
            own["annualised_pct"].to_list(), abs=0.00501
        )
        rows = own.filter(~pl.col("suspect")).rows(named=True)
        found = spreads.filter(coin=coin).rows(named=True)
        assert len(found) == len(rows) - 1 > 0
        for row, (near, far) in zip(found, pairwise(rows), strict=True):
            years = (far["days_to_expiry"] - near["days_to_expiry"]) / 365
            rate = 100 * (far["future_close"] / near["future_close"] - 1) / years
            assert (row["nearer"], row["farther"]) == (near["instrument"], far["instrument"])
            assert row["spread"] == pytest.approx(far["future_close"] - near["future_close"])
            assert row["forward_pct"] == pytest.approx(rate, abs=0.00501)


def test_no_price_and_no_volume_is_lost_in_steps(ailing: Lake, facts: Facts) -> None:
    candles = ailing.scan("candles").join(ailing.scan("instruments"), on="instrument").collect()
    price, volume = figure(facts, "price"), figure(facts, "volume")
    for coin in ("BTC", "ETH"):
        own = candles.filter(~pl.col("suspect"), base=coin, kind="perpetual").sort("ts")
        steps = price.filter(coin=coin)
        assert steps["close"][-1] == own["close"][-1]
        assert (steps["low"].min(), steps["high"].max()) == (own["low"].min(), own["high"].max())
        hours = own.select(pl.col("ts").dt.strftime("%Y-%m-%d %H:00").unique(maintain_order=True))
        assert steps["start"].to_list() == hours["ts"].to_list()
        for kind, shown in (("perpetual", "perpetuals"), ("future", "futures")):
            cost = candles.filter(base=coin, kind=kind)["cost"].sum()
            found = volume.filter(coin=coin, kind=shown)["cost"]
            assert found.sum() == pytest.approx(cost, abs=found.len())


def test_the_surface_and_the_front_are_medians_and_last_values(ailing: Lake, facts: Facts) -> None:
    basis = ailing.scan("basis").join(ailing.scan("instruments"), on="instrument").collect()
    surface = figure(facts, "surface")
    hourly = basis.filter(
        pl.col("ts").dt.minute() == 59, pl.col("days_to_expiry") >= 1, ~pl.col("suspect")
    )
    assert surface["instruments"].explode().n_unique() == hourly["instrument"].n_unique()
    cell = surface.row(by_predicate=pl.int_range(pl.len()) == surface.height // 2, named=True)
    level, start = cell["level"], datetime.strptime(cell["start"] + "Z", "%Y-%m-%d %H:%M%z")
    days = pl.col("days_to_expiry")
    steps = surface["start"].unique().sort().str.to_datetime("%Y-%m-%d %H:%M")
    length = steps.diff().min()
    assert isinstance(length, timedelta)
    own = hourly.filter(
        days >= level**2 / 4, days < (level + 1) ** 2 / 4, pl.col("ts") >= start,
        pl.col("ts") < start + length, base=cell["coin"],
    )  # fmt: skip
    assert cell["annualised_pct"] == pytest.approx(own["annualised_pct"].median(), abs=0.00501)
    front = figure(facts, "front-quarterly")
    for coin in ("BTC", "ETH"):
        last = ailing.sql(
            f"FROM front_quarterly WHERE coin = '{coin}' AND NOT suspect ORDER BY ts DESC LIMIT 1"
        )
        found = front.filter(coin=coin)
        assert found["annualised_pct"][-1] == pytest.approx(last["annualised_pct"][0], abs=0.00051)
        assert found["instrument"][-1] == last["instrument"][0]


@pytest.mark.parametrize(
    ("lake_name", "facts_name"), [("ailing", "facts"), ("carry_lake", "carry_facts")]
)
def test_figures_of_hours_show_what_their_queries_find_in_the_whole_lake(
    lake_name: str, facts_name: str, request: pytest.FixtureRequest
) -> None:
    still = request.getfixturevalue(lake_name).state()
    shown = request.getfixturevalue(facts_name).rows
    hourly = [each for each in FIGURES if each.is_hourly]
    assert len(hourly) == 7
    with duck.connect(still.snapshots, extra=lake_frames(still, 1)) as connection:
        found = {each.name: duck.rows(connection, each.sql) for each in hourly}
    for name, rows in found.items():
        assert shown[name] == json.loads(json.dumps(rows.to_dict(as_series=False)))
    of_carry = {figure.name for figure in hourly} & {each.name for each in SECTIONS["Carry"]}
    assert {name for name, rows in found.items() if not rows.height} == (
        of_carry - {"methods"} if lake_name == "ailing" else set()
    )


def test_the_figures_of_carry_hold_what_its_views_do(carry_lake: Lake, carry_facts: Facts) -> None:
    lake, close = carry_lake, partial(pytest.approx, abs=0.00501)
    coin = pl.col("instrument").str.head(3).alias("coin")
    entries = lake.sql("FROM realised_carry ORDER BY ALL").filter(pl.col("days") >= 7)
    assert entries["net_apr_pct"].null_count() == 0
    ends = lake.read(INSTRUMENTS).select("instrument", "expires_at")
    entries = entries.join(ends, on="instrument").sort(coin, "expires_at", "instrument", "entry")
    shown = figure(carry_facts, "realised-carry")
    assert shown["instrument"].to_list() == entries["instrument"].to_list()
    assert shown["net_apr_pct"].to_list() == close(entries["net_apr_pct"].to_list())
    assert (shown["locked_apr_pct"] - shown["funding_apr_pct"]).to_list() == close(
        ((entries["locked_pct"] - entries["funding_pct"]) * 365 / entries["days"]).to_list(),
        abs=0.0101,
    )
    fewer = lake.sql(REALISED.sql.replace(str(MOST_ENTRIES), "100"))
    assert fewer["instrument"].n_unique() == shown["instrument"].n_unique()
    assert shown.height > 4 * fewer.height > 320

    premium = lake.sql("FROM perpetual_premium").with_columns(
        coin, start=pl.col("hour_end").dt.offset_by("-1m").dt.strftime("%Y-%m-%d 00:00")
    )
    days = premium.group_by("coin", "start").agg(
        mean_bp=100 * pl.col("premium_pct").mean(),
        low_bp=100 * pl.col("premium_pct").min(),
        high_bp=100 * pl.col("premium_pct").max(),
    )
    for name in ("mean_bp", "low_bp", "high_bp"):
        found = figure(carry_facts, "premium")[name].to_list()
        assert found == close(days.sort("coin", "start")[name].to_list())

    futures = lake.sql("FROM open_interest_daily").filter(
        ~pl.col("instrument").str.ends_with("PERPETUAL")
    )
    sums = futures.group_by(coin, pl.col("ts").dt.strftime("%Y-%m-%d").alias("day")).agg(
        pl.col("open_interest").sum()
    )
    layers = figure(carry_facts, "open-interest")
    stacked = layers.group_by("coin", "day").agg(pl.col("open_interest").sum())
    assert stacked.sort("coin", "day")["open_interest"].to_list() == pytest.approx(
        sums.sort("coin", "day")["open_interest"].to_list(), abs=3
    )
    assert set(layers["layer"]) == {
        "monthly", "2024-03-29", "2024-06-28", "2024-09-27", "2024-12-27",
    }  # fmt: skip

    months = figure(carry_facts, "funding-basis")
    paid = lake.sql("FROM funding_monthly ORDER BY instrument, month")
    assert months["funding_pct"].to_list() == close(paid["annualised_pct"].to_list())
    assert months.filter(pl.col("hours") < pl.col("month_hours"))[
        "month"
    ].unique().sort().to_list() == ["2023-12", "2024-07"]
    for method in ("forward", "linear", "nearest"):
        view = f"constant_maturity_by(1440, '{method}', 'perpetual')"
        at = lake.sql(f"FROM {view} WHERE days = 90 ORDER BY coin, ts")
        of_method = figure(carry_facts, "methods")[f"{method}_pct"]
        assert of_method.to_list() == close(at["annualised_pct"].to_list())
    basis_pct = pl.col("annualised_pct").mean()
    by_month = pl.col("ts").dt.strftime("%Y-%m").alias("month")
    forward = lake.sql("FROM constant_maturity_by(1440, 'forward', 'perpetual') WHERE days = 90")
    means = forward.group_by("coin", by_month).agg(basis_pct)
    both = months.join(means, on=["coin", "month"], how="left")
    assert both["basis_pct"].to_list() == close(both["annualised_pct"].to_list())


def test_a_contracts_steps_keep_every_extreme(ailing: Lake, facts: Facts) -> None:
    known = ailing.read(INSTRUMENTS)
    found = figure(facts, "contracts")
    for row in found.iter_rows(named=True):
        own = known.row(by_predicate=pl.col("instrument") == row["instrument"], named=True)
        step, left = timedelta(minutes=row["step_minutes"]), own["expires_at"] - pl.col("ts")
        assert (own["expires_at"] - own["listed_at"]) / step <= STEPS_A_LIFE
        rows = (
            ailing.scan("basis")
            .filter(pl.col("instrument") == row["instrument"], ~pl.col("suspect"))
            .with_columns(step=left.dt.total_minutes() // row["step_minutes"])
            .group_by("step")
            .agg(
                pl.col("basis_pct").sort_by("ts").last().alias("last"),
                pl.col("basis_pct").min().alias("low"),
                pl.col("basis_pct").max().alias("high"),
            )
            .sort("step", descending=True)
            .collect()
        )
        assert row["step"] == rows["step"].to_list()
        for name in ("last", "low", "high"):
            assert row[f"{name}_basis_pct"] == pytest.approx(rows[name].to_list(), abs=0.00005)


def test_the_untraded_share_is_that_of_the_candles(ailing: Lake, facts: Facts) -> None:
    kind = pl.when(pl.col("kind") == "perpetual").then(pl.lit("perpetual"))
    series = pl.concat_str("base", pl.lit(" "), kind.otherwise(pl.lit("futures"))).alias("series")
    expected = (
        ailing.scan("candles")
        .join(ailing.scan("instruments"), on="instrument")
        .group_by(series, pl.col("ts").dt.strftime("%Y-%m").alias("month"))
        .agg(pl.len().alias("candles"), (~pl.col("traded")).sum().alias("untraded"))
        .sort("series", "month")
        .collect()
    )
    found = figure(facts, "untraded")
    assert found.select("series", "month", "candles", "untraded").rows() == expected.rows()
    shares = 100 * expected["untraded"] / expected["candles"]
    assert found["untraded_pct"].to_list() == pytest.approx(shares.to_list(), abs=0.0005)


def test_the_batch_and_the_fingerprint_are_the_lakes(ailing: Lake, facts: Facts) -> None:
    done = basislake(None, "fingerprint", "--lake", ailing.uri, "--json").json
    found = figure(facts, "fingerprint")
    digests = dict(found.select("table_name", "sha256").iter_rows())
    assert digests.pop("the lake") == done["lake"]
    assert digests == done["tables"]
    assert facts.as_of == facts.built == newest_batch(ailing)
    sizes = dict(figure(facts, "storage").select("table_name", "bytes").iter_rows())
    files = {f.path: f.bytes for f in ailing.snapshot(CANDLES).files}
    assert sizes["candles"] == sum(files.values())


def test_no_progress_of_duckdb_gets_among_the_results(ailing: Lake) -> None:
    (setting,) = ailing.sql("SELECT current_setting('enable_progress_bar') AS is_on")["is_on"]
    assert setting is False


def test_the_same_lake_says_the_same_again(ailing: Lake, facts: Facts) -> None:
    again = gather(ailing, MADE_AT, None, 1)
    assert again == facts
    assert page(again) == page(facts)
    assert from_json(to_json(facts), "here") == facts
